from __future__ import annotations

import asyncio

import pytest

from tests.fakes.virtual_time import (
    EPOCH_UTC_S,
    Killed,
    Stuck,
    VirtualClock,
    VirtualLoop,
    on_virtual_time,
    run_virtually,
)


def test_an_hour_passes_in_no_time() -> None:
    """Nobody waits for a virtual hour, and the clock says that it has passed."""

    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(3600)
        return loop.time()

    assert run_virtually(main, starts_at=100.0) == pytest.approx(3700.0, abs=0.01)


def test_a_deadlock_is_named() -> None:
    """A program in which everybody waits for somebody else ends with a message that says who stands where."""

    async def main(_: VirtualLoop) -> None:
        await asyncio.Event().wait()

    with pytest.raises(Stuck, match=r"everybody waits for somebody else:\n.*Event\.wait"):
        run_virtually(main)


def test_a_busy_loop_is_named() -> None:
    """A program that only yields never makes the clock jump, and is stopped."""

    async def main(_: VirtualLoop) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="a busy loop"):
        run_virtually(main)


def test_a_program_that_goes_on_for_ever_is_stopped() -> None:
    """What still runs at the end of its time is stopped."""

    async def main(_: VirtualLoop) -> None:
        while True:
            await asyncio.sleep(1)

    with pytest.raises(Stuck, match="still running at 1"):
        run_virtually(main, lasts_s_max=10)


def test_a_kill_ends_everything_at_once() -> None:
    """Nothing that waits when the loop is killed goes on."""
    went_on = []

    async def main(loop: VirtualLoop) -> None:
        loop.call_later(1, loop.kill)
        await asyncio.sleep(2)
        went_on.append(loop.time())

    with pytest.raises(Killed):
        run_virtually(main)
    assert went_on == []


@on_virtual_time
async def test_the_clock_follows_the_loop() -> None:
    """Monotonic and wall-clock time move together, and chance repeats itself."""
    clock = VirtualClock(3, ahead_s=60.0)
    await clock.sleep(5)
    assert clock.monotonic() == pytest.approx(5.0, abs=0.001)
    assert clock.utc_s() == pytest.approx(EPOCH_UTC_S + 65.0, abs=0.001)
    assert clock.jitter() == VirtualClock(3).jitter() != VirtualClock(4).jitter()
