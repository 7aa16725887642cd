"""Time and randomness as an interface: decisions get numbers, and code that needs a clock gets one passed in."""

from __future__ import annotations

from typing import Protocol


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
