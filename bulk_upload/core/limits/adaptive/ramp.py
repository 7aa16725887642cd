"""Ramp: opens slots one after another, so that no burst is refused which the rate alone would not have been."""

from __future__ import annotations

TRIP_S = (0.02, 1.0)
TRIP_S_UNKNOWN = 0.2
SPREAD = 0.8


class Ramp:
    """A slot that an accepted upload leaves is filled at once; any other opens in its turn.

    New slots, refused ones and those that ran empty in a pause open evenly, all of them within about one round trip.
    Times are monotonic seconds.
    """

    def __init__(self) -> None:
        self._free = 0
        self._free_until = float("-inf")
        self._next_at = float("-inf")
        self._paused_until = float("-inf")

    def on_accepted(self, now: float, trip_s: float) -> None:
        """Record that an accepted upload left its slot."""
        if now < self._paused_until:
            return
        if now > self._free_until:
            self._free = 0
        self._free += 1
        self._free_until = now + trip_s

    def on_pause(self, until: float) -> None:
        """Record that nothing starts until then, so that slots run empty."""
        self._free = 0
        self._paused_until = max(self._paused_until, until)

    def wait_s(self, now: float) -> float:
        """Return how long until the next slot opens; 0 means now."""
        if self._free and now <= self._free_until:
            return 0.0
        wait_s = self._next_at - now
        return wait_s if wait_s > 1e-6 else 0.0

    def on_start(self, now: float, limit: int, trip_s: float) -> None:
        """Fill a slot."""
        if self._free and now <= self._free_until:
            self._free -= 1
            return
        self._next_at = max(now, self._next_at) + SPREAD * trip_s / limit


def trip_s(fixed_s: float | None) -> float:
    """Return the round trip that is assumed, after the fitted cost of an empty upload."""
    return TRIP_S_UNKNOWN if fixed_s is None else min(TRIP_S[1], max(TRIP_S[0], fixed_s))
