"""Time and chance as an interface: decisions get numbers, and who needs a clock is handed one."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Time and chance as a run sees them; tests put a virtual one in its place."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    def utc_s(self) -> float:
        """Return wall-clock seconds since 1970."""

    def minute_of_day(self) -> int:
        """Return minutes since midnight on the person's wall clock, 0 to 1439."""

    def jitter(self) -> float:
        """Return a fresh random number in [0, 1)."""

    async def sleep(self, seconds: float) -> None:
        """Wait without holding anything up."""
