"""Time and randomness as an interface: decisions get numbers, and code that needs a clock gets one passed in."""

from __future__ import annotations

from typing import Protocol

import msgspec

STEP_S = 4.0
"""Our wall clock stepped when it moved by more against the monotonic one. Less is covered by the windows' tolerance."""


class Clock(Protocol):
    """Time and randomness as a run sees them; tests replace it with a virtual one."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def utc_s(self) -> float:
        """Return wall-clock seconds since 1970."""

    def minute_of_day(self) -> int:
        """Return minutes since midnight on the person's wall clock, 0 to 1439."""

    def jitter(self) -> float:
        """Return a fresh random number in [0, 1)."""

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One moment on both of our clocks. `utc_s` is since 1970; `monotonic_s` means something in this process only."""

    utc_s: float
    monotonic_s: float


class WallClock:
    """Notices that the wall clock was set. On Linux the monotonic clock stands still while the machine sleeps
    (clock_gettime(2), CLOCK_MONOTONIC), so a sleep looks like a clock that is set forward."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    def step_s(self, now: Moment) -> float:
        """Return by how many seconds the wall clock was set forward since the last call, negative if back, 0.0 if it
        was not set."""
        ahead_s = now.utc_s - now.monotonic_s
        if self._ahead_s is None:
            self._ahead_s = ahead_s
        step_s = ahead_s - self._ahead_s
        if abs(step_s) <= STEP_S:
            return 0.0
        self._ahead_s = ahead_s
        return step_s


def moment(clock: Clock) -> Moment:
    """Return the present moment."""
    while True:
        before_s, utc_s, after_s = clock.monotonic(), clock.utc_s(), clock.monotonic()
        # A process that was stopped between the readings would see a step that was none.
        if after_s - before_s < STEP_S / 4:
            return Moment(utc_s=utc_s, monotonic_s=before_s)
