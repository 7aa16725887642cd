"""The only module that reads time and randomness, and the only one that sleeps."""

from __future__ import annotations

import asyncio
import random
import time


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    # Not methods that call them: both are asked for more than ten times a file.
    monotonic = staticmethod(time.monotonic)
    utc_s = staticmethod(time.time)

    def minute_of_day(self) -> int:
        """Return minutes since midnight in local time."""
        here = time.localtime()
        return here.tm_hour * 60 + here.tm_min

    def jitter(self) -> float:
        """Return a fresh random number in [0, 1)."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the event loop."""
        await asyncio.sleep(seconds)
