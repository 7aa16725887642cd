"""Counts the entries in progress, and says whether one more may start."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.slots import SlotPool


class Occupancy:
    """How many entries are live, and how many of them are parked: waiting without a slot.

    Args:
        slots: as many entries may be active as there are slots.
        parked_max: with this many parked, nothing new may start.
    """

    def __init__(
        self, slots: SlotPool, drain: Drain, conditions: Conditions, *, parked_max: float = math.inf
    ) -> None:
        self._slots = slots
        self._drain = drain
        self._conditions = conditions
        self._parked_max = parked_max
        self.live_count = 0
        self.parked_count = 0
        self.feeds = True
        """Whether entries of the plan are left to be started."""
        self._dependent_count = 0

    @property
    def active_count(self) -> int:
        """Entries that hold or want a slot."""
        return self.live_count - self.parked_count

    def may_send(self) -> bool:
        """Whether something is sent, or will be, that does not wait for another entry."""
        return self.live_count > self._dependent_count or (
            self.feeds and self.parked_count < self._parked_max
        )

    def may_hold(self, active_count: int) -> bool:
        """Whether this many entries may be active now."""
        return (
            active_count <= self._slots.limit
            and self.parked_count < self._parked_max
            and not self._drain.begun
        )

    def enter(self) -> None:
        """Count one more live entry; `leave` must follow."""
        self.live_count += 1

    def leave(self) -> None:
        """Count one live entry less."""
        self.live_count -= 1
        self._conditions.check()

    @contextmanager
    def parked(self, *, depends: bool = False) -> Iterator[None]:
        """Count an entry as parked while it waits. It `depends` where what other entries do may end the wait."""
        self.parked_count += 1
        self._dependent_count += depends
        self._conditions.check()
        try:
            yield
        finally:
            self.parked_count -= 1
            self._dependent_count -= depends
