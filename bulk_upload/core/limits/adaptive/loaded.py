"""Loaded: what is in flight, and the ticket of a start with the load that it met."""

from __future__ import annotations

from bulk_upload.core.limits.controller import Ticket

LEVEL_WEIGHT = 1 / 16

MOVING_S = 2.0
"""An older upload counts as making progress for this long after it sent bytes."""


class LoadedTicket(Ticket, frozen=True, kw_only=True):
    """A ticket with the load at its start: `beyond` a known limit; `calm`, near none although one is suspected; `easy`,
    no closer to others than usual; or `new`, with more in flight than was ever accepted."""

    beyond: bool = False
    calm: bool = False
    easy: bool = False
    new: bool = False

    @property
    def near(self) -> bool:
        """Whether it was paced at about the known rate, or faster."""
        return self.beyond and self.paced


class Load:
    """The uploads in flight. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.started_count = 0
        self._in_flight: dict[int, float] = {}
        self._usual = 0.0
        self._proven = 0
        self._bytes_at = float("-inf")

    @property
    def level(self) -> int:
        """How many are in flight."""
        return len(self._in_flight)

    def on_start(self, now: float) -> int:
        """Count a start and return its number."""
        self.started_count += 1
        self._in_flight[self.started_count] = now
        return self.started_count

    def on_end(self, number: int) -> None:
        """Record that it is over."""
        self._in_flight.pop(number, None)

    def on_bytes(self, now: float, count: int) -> None:
        """Record that bytes left."""
        if count > 0:
            self._bytes_at = now

    def on_proven(self, level: int) -> None:
        """Record that a whole epoch was accepted at this level."""
        self._proven = max(self._proven, level)

    def is_new(self, level: int) -> bool:
        """Return whether so many were never accepted."""
        return level > self._proven

    def is_usual(self, level: int) -> bool:
        """Return whether no more than usual are in flight; the next start is compared with this one, too."""
        usual = self._usual
        self._usual += (level - usual) * LEVEL_WEIGHT
        return level <= usual

    def older_moves(self, now: float, since: float) -> bool:
        """Return whether bytes of an upload that began before `since` still leave."""
        oldest = next(iter(self._in_flight.values()), now)
        return oldest < since and now - self._bytes_at < MOVING_S
