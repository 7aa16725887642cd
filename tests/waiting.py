"""Waiting for what is about to happen, and calls that wait until the test lets them go. Limits are for hangs alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

HANG_S = 60.0
_LOOK_AGAIN_S = 0.002
_STILL_LOOKS = 10


async def until(condition: Callable[[], object]) -> None:
    """Look again and again until something is so. Raises TimeoutError."""
    async with asyncio.timeout(HANG_S):
        while not condition():
            await asyncio.sleep(_LOOK_AGAIN_S)


async def until_still(value: Callable[[], object]) -> None:
    """Wait until something stays the same for ten looks in a row. Raises TimeoutError."""
    seen: list[object] = []

    def is_still() -> bool:
        seen.append(value())
        return len(seen) >= _STILL_LOOKS and len(set(seen[-_STILL_LOOKS:])) == 1

    await until(is_still)


def until_in_thread(condition: Callable[[], object]) -> None:
    """Wait as `until` does where there is no event loop, or where it must stand still."""
    ends_at = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < ends_at, "nothing happened"
        time.sleep(_LOOK_AGAIN_S)


def until_the_clock_ticks(folder: Path) -> None:
    """Wait until the file system gives a change another time than one made before the call."""
    probe = folder / ".clock"

    def now_ns() -> int:
        probe.unlink(missing_ok=True)
        probe.touch()
        return probe.stat().st_ctime_ns

    before_ns = now_ns()
    until_in_thread(lambda: now_ns() > before_ns)
    probe.unlink()


class HeldCall:
    """A call that returns `result` once the test releases it, as a disk does that is slow or dead.

    `begun` is set when the first thread is in it; after `released` is set nobody waits any more.
    """

    def __init__(self, result: object = None) -> None:
        self.begun = threading.Event()
        self.released = threading.Event()
        self._result = result

    def __call__(self, *_: object) -> object:
        self.begun.set()
        assert self.released.wait(HANG_S), "nobody released the call"
        return self._result
