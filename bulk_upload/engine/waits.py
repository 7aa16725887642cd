"""What a run waits for outside of itself."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Wait(StrEnum):
    """Something outside a run that ends a wait by itself."""

    CLOCK = "a time to pass"
    DISK = "a disk"
    LEDGER = "the ledger"
    SERVER = "the server"
    VALIDATION = "files to be validated"
    PERSON = "a person who paused the run"


class Waits:
    """Counts waits that no other object counts."""

    def __init__(self) -> None:
        self._counts: Counter[Wait] = Counter()

    @contextmanager
    def on(self, wait: Wait) -> Iterator[None]:
        """Count a wait while the block runs."""
        self._counts[wait] += 1
        try:
            yield
        finally:
            self._counts[wait] -= 1

    def going_on(self) -> set[Wait]:
        """Return what is waited for now."""
        return {wait for wait, count in self._counts.items() if count}
