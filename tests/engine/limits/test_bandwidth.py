"""The bandwidth cap over many bodies at once, on virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest

from bulk_upload.core.limits.capped import CappedController
from bulk_upload.core.limits.caps import Caps
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.limits.bandwidth import BandwidthGate
from tests.fakes.virtual_time import VirtualClock, on_virtual_time

MIXED = [300, 5_000, 20_000, 80_000, 400_000, 3_000_000]


class Line:
    """Bodies that pass through one throttle; `passed` has when how many bytes did."""

    def __init__(self, bytes_per_s: float | None) -> None:
        clock = VirtualClock()
        self.capped = CappedController(caps(bytes_per_s), minute_of_day=0)
        self.bandwidth = BandwidthGate(self.capped, clock, CallbackErrors())
        self.passed: list[tuple[float, int]] = []

    async def send(self, count: int) -> None:
        """Pass a body through, as a request does."""
        while count:
            piece_bytes = self.bandwidth.piece_bytes
            piece = count if piece_bytes is None else min(count, piece_bytes)
            await self.bandwidth.pass_bytes(piece)
            self.passed.append((asyncio.get_running_loop().time(), piece))
            count -= piece

    def change(self, bytes_per_s: float | None) -> None:
        """Let another cap hold."""
        self.capped.change(asyncio.get_running_loop().time(), caps(bytes_per_s))
        self.bandwidth.admit()

    def total(self, first_s: float = 0.0, last_s: float = float("inf")) -> int:
        """Bytes that passed in a stretch of time."""
        return sum(count for at, count in self.passed if first_s <= at < last_s)


def caps(bytes_per_s: float | None) -> Caps:
    """Caps with that bandwidth."""
    return Caps(bandwidth=None if bytes_per_s is None else Timetable.always(bytes_per_s))


@pytest.mark.parametrize("bytes_per_s", [20_000.0, 400_000.0, 5e6, 80e6])
@on_virtual_time
async def test_any_ten_seconds_hold_the_cap_within_five_percent(bytes_per_s: float) -> None:
    """With 32 bodies of mixed sizes in flight, the whole time, wherever the ten seconds begin."""
    line = Line(bytes_per_s)
    chance = random.Random(int(bytes_per_s))
    lasts_s = 40.0

    async def slot() -> None:
        while asyncio.get_running_loop().time() < lasts_s:
            await line.send(max(300, int(chance.choice(MIXED) * bytes_per_s / 5e6)))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(32):
            tasks.create_task(slot())
    for quarter in range(4 * 30):
        begin_s = quarter / 4
        assert line.total(begin_s, begin_s + 10.0) == pytest.approx(bytes_per_s * 10.0, rel=0.05)
    # Smooth, too: no second has twice its share.
    assert all(line.total(at, at + 1.0) <= bytes_per_s * 1.25 for at in range(39))


@on_virtual_time
async def test_nobody_starves() -> None:
    """A small body that comes while large ones are on their way passes with its next turn."""
    line = Line(1e6)
    async with asyncio.TaskGroup() as tasks:
        large = [tasks.create_task(line.send(5_000_000)) for _ in range(4)]
        await asyncio.sleep(2.0)
        began = asyncio.get_running_loop().time()
        await line.send(1000)
        assert asyncio.get_running_loop().time() - began < 0.5
        assert not any(one.done() for one in large)


@on_virtual_time
async def test_a_lifted_cap_frees_those_who_wait() -> None:
    """They were promised nothing at the old rate."""
    line = Line(10_000.0)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(line.send(1_000_000))
        await asyncio.sleep(5.0)
        line.change(None)
        await asyncio.sleep(0.1)
    assert line.total() == 1_000_000
    assert asyncio.get_running_loop().time() < 5.5
    assert line.bandwidth.piece_bytes is None


@on_virtual_time
async def test_another_cap_holds_at_once() -> None:
    """Slower or faster, also for pieces that wait already."""
    line = Line(1e6)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(line.send(2_000_000))
        await asyncio.sleep(3.0)
        line.change(100_000.0)
        await asyncio.sleep(10.0)
        line.change(2e6)
    assert line.total(0.0, 3.0) == pytest.approx(3e6, rel=0.1)
    assert line.total(3.0, 13.0) == pytest.approx(1e6, rel=0.15)
    assert line.total(13.0, 16.0) == pytest.approx(6e6, rel=0.1)


@on_virtual_time
async def test_who_is_cancelled_is_skipped() -> None:
    """A request that was given up while it waited holds nobody up and takes nothing."""
    line = Line(10_000.0)
    async with asyncio.TaskGroup() as tasks:
        kept = tasks.create_task(line.send(41_000))
        for one in [tasks.create_task(line.send(40_000)) for _ in range(3)]:
            await asyncio.sleep(0)
            one.cancel()
        await kept
    assert line.total() == pytest.approx(41_000, abs=4096)
    assert asyncio.get_running_loop().time() == pytest.approx(4.1, abs=0.5)
