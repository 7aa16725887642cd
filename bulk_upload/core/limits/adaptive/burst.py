"""Burst: the refusals of starts that were in flight together, and how many of these the server took."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.limits.adaptive.goodput import Epoch
    from bulk_upload.core.limits.controller import Ticket

NEW = 1.1
"""A burst is of new load where this many times as much was in flight as was last held."""

FEWER = 1.15
FEWER_MIN = 2
"""A limit of simultaneous requests that took a level for an epoch leaves as much of a burst. By this factor, and at
least so many, it may look softer from here than it is."""

AGAIN = 0.4
"""What a burst left was accepted at once, and a limit of simultaneous requests leaves no less of the next burst. By this
factor, and by at least two, that may have been taken for more than it is."""

MEASURED_MIN = 8
"""Of so many starts what was taken shows the rate to about a tenth."""

LASTED_S_MIN = 0.01


class Burst:
    """What started before the answer to the first refusal belongs to one burst. Times are monotonic seconds.

    Two numbers bound what the server took of it at once. What is in flight when the last refusal comes is too little:
    accepted uploads have left meanwhile. What was in flight at the first one, without those that were refused later, is
    too much: some of it was only taken because others had left.
    """

    def __init__(self) -> None:
        self.began_at = float("-inf")
        self.concerns_slots = False
        """Whether the slots are blamed for it, not the rate."""
        self.held: Epoch | None = None
        """The last epoch of which hardly anything was refused."""
        self.is_contradicted = False
        """Whether the slots were blamed, and it left less than they held, or than another burst left, before."""
        self._taken = 0
        self._first = 0
        self._followers = self._sent = 0
        self._is_paced = False
        self._lasted_s = LASTED_S_MIN
        self._is_new = False
        self._left_before: int | None = None

    def on_held(self, epoch: Epoch) -> None:
        """Record an epoch; one of which much was refused shows no level that the server holds."""
        if epoch.is_clean:
            self.held = epoch

    def begin(
        self,
        now: float,
        ticket: Ticket,
        *,
        started_count: int,
        in_flight: int,
        concerns_slots: bool,
        left_before: int | None = None,
    ) -> None:
        """Record the verdict on a refused start, before more is sent.

        Args:
            now: monotonic seconds.
            ticket: the start's.
            started_count: how many have started so far.
            in_flight: how many still are.
            concerns_slots: whether the slots are blamed.
            left_before: what the burst before left, if nothing else shows a limit of simultaneous requests.
        """
        self.began_at = now
        self.concerns_slots = concerns_slots
        self.is_contradicted = False
        level = max(ticket.level, in_flight + 1)
        self._taken = in_flight
        self._first = ticket.number
        self._followers = self._sent = started_count - ticket.number
        self._is_paced = ticket.paced
        self._lasted_s = max(LASTED_S_MIN, now - ticket.started_at)
        self._is_new = self.held is not None and level > NEW * self.held.limit
        self._left_before = left_before

    def includes(self, started_at: float) -> bool:
        """Return whether a start belongs to it."""
        return started_at <= self.began_at

    def on_refused_too(self, number: int) -> None:
        """Record that another one of it was refused."""
        self._taken -= 1
        self._followers -= number > self._first
        if self.concerns_slots and self._is_less():
            self.concerns_slots = False
            self.is_contradicted = True

    def left(self, in_flight: int) -> int:
        """Return how many the server took at once, after all refusals so far."""
        return max(1, math.isqrt(max(1, self._taken) * max(1, in_flight)))

    @property
    def taken_per_s(self) -> float:
        """How many a second the server took once it had begun to refuse, and no more than it held."""
        held_per_s = self.held.uploads_per_s if self.held is not None else math.inf
        return min(held_per_s, max(1, self._followers) / self._lasted_s)

    @property
    def paced_per_s(self) -> float | None:
        """What the server took a second of the paced starts that followed the first refused one; None where they are too
        few to show it."""
        if self.concerns_slots or not self._is_paced or self._sent < MEASURED_MIN:
            return None
        return (self._followers + 1) / self._lasted_s

    def _is_less(self) -> bool:
        """Return whether less was taken than the level that was held before: the level is not what is new, but the rate."""
        before = self._left_before
        if before is not None and self._taken <= min(AGAIN * before, before - FEWER_MIN):
            return True
        if self.held is None or not self._is_new:
            return False
        return self._taken <= min(math.floor(self.held.limit / FEWER), self.held.limit - FEWER_MIN)
