"""Counts entries that wait without a slot, so that the feeder knows how many are really at work."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Parking:
    """How many live entries there are, and how many of them are parked.

    Args:
        on_change: hears of every change that may leave room for others.
        parked_max: with so many parked, nothing new is to start.
    """

    def __init__(self, on_change: Callable[[], None], *, parked_max: float = math.inf) -> None:
        self._on_change = on_change
        self._parked_max = parked_max
        self.live_count = 0
        self.parked_count = 0

    @property
    def active_count(self) -> int:
        """Entries that hold or want a slot."""
        return self.live_count - self.parked_count

    @property
    def is_full(self) -> bool:
        """Whether as many entries are parked as may be."""
        return self.parked_count >= self._parked_max

    def enter(self) -> None:
        """Count one more live entry; `leave` must follow."""
        self.live_count += 1

    def leave(self) -> None:
        """Count one live entry less."""
        self.live_count -= 1
        self._on_change()

    @contextmanager
    def life(self) -> Iterator[None]:
        """Count an entry while its task lives."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @contextmanager
    def space(self) -> Iterator[None]:
        """Count an entry as parked while it waits."""
        self.parked_count += 1
        self._on_change()
        try:
            yield
        finally:
            self.parked_count -= 1
