"""Counts entries that wait without a slot, so that the feeder knows how many are really at work."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Parking:
    """How many live entries there are, and how many of them are parked."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self.live_count = 0
        self.parked_count = 0

    @property
    def active_count(self) -> int:
        """Entries that hold or want a slot."""
        return self.live_count - self.parked_count

    @contextmanager
    def life(self) -> Iterator[None]:
        """Count an entry while its task lives."""
        self.live_count += 1
        try:
            yield
        finally:
            self.live_count -= 1
            self._on_change()

    @contextmanager
    def space(self) -> Iterator[None]:
        """Count an entry as parked while it waits."""
        self.parked_count += 1
        self._on_change()
        try:
            yield
        finally:
            self.parked_count -= 1
