from __future__ import annotations

import asyncio

import pytest

from bulk_upload.engine.limits.drain import Drain
from bulk_upload.engine.limits.twins import TwinGate, TwinKey
from tests.fakes.virtual_time import on_virtual_time

KEY = TwinKey("data.jsonl", 10, "fine-tune")
OTHER = TwinKey("data.jsonl", 11, "fine-tune")


@on_virtual_time
async def test_one_of_a_kind_goes_at_a_time_and_in_order() -> None:
    """Entries that look alike pass one by one, in the order they came; others are not held up."""
    gate = TwinGate(Drain(lambda _: None))
    order: list[int] = []

    async def go(number: int) -> None:
        assert await gate.hold(KEY)
        order.append(number)
        await asyncio.sleep(1)
        gate.release(KEY)

    async with asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(go(number))
        await asyncio.sleep(0)
        assert gate.try_hold(OTHER)
    assert order == [0, 1, 2, 3]
    assert asyncio.get_running_loop().time() == pytest.approx(4.0, abs=0.01)
    assert gate.try_hold(KEY)


@on_virtual_time
async def test_a_held_key_cannot_be_taken() -> None:
    """Taking without waiting fails while somebody holds the key, and works again once it is free."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    assert not gate.try_hold(KEY)
    gate.release(KEY)
    assert gate.try_hold(KEY)


@on_virtual_time
async def test_a_barred_key_turns_everybody_away() -> None:
    """Those who wait and those who come later hear False once a twin stays in doubt."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    waiting = [asyncio.create_task(gate.hold(KEY)) for _ in range(2)]
    await asyncio.sleep(0)
    gate.bar(KEY)
    assert [await one for one in waiting] == [False, False]
    assert not await gate.hold(KEY)
    assert not gate.try_hold(KEY)
    assert await gate.hold(OTHER)


@on_virtual_time
async def test_releasing_a_barred_key_changes_nothing() -> None:
    """Two doubts may share a key: one may bar it before the other lets it go."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    gate.bar(KEY)
    gate.release(KEY)
    assert not gate.try_hold(KEY)


@on_virtual_time
async def test_a_closed_gate_wakes_all_who_wait() -> None:
    """When the run drains nobody waits for a key any more, whoever has it and however long."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    waiting = [asyncio.create_task(gate.hold(KEY)) for _ in range(2)]
    await asyncio.sleep(0)
    gate.close()
    assert [await one for one in waiting] == [False, False]
    assert not await gate.hold(OTHER)
    gate.release(KEY)


@on_virtual_time
async def test_a_cancelled_waiter_passes_the_key_on() -> None:
    """A waiter cancelled in the instant it gets the key hands it to the next one."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    gone = asyncio.create_task(gate.hold(KEY))
    patient = asyncio.create_task(gate.hold(KEY))
    await asyncio.sleep(0)
    gate.release(KEY)
    gone.cancel()
    assert await patient
    assert gone.cancelled()


@on_virtual_time
async def test_a_waiter_cancelled_early_is_passed_over() -> None:
    """A waiter that is gone when the key comes free is not given it."""
    gate = TwinGate(Drain(lambda _: None))
    assert gate.try_hold(KEY)
    gone = asyncio.create_task(gate.hold(KEY))
    patient = asyncio.create_task(gate.hold(KEY))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    gate.release(KEY)
    assert await patient
