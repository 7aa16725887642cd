"""The only module that reads time and randomness, and the only one that sleeps."""

from __future__ import annotations

import asyncio
import random
import time


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - spreads retries, guards nothing

    def monotonic(self) -> float:
        """Return monotonic seconds, as the event loop counts them."""
        return time.monotonic()

    def utc_s(self) -> float:
        """Return wall-clock seconds since 1970."""
        return time.time()

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
