from __future__ import annotations

import asyncio

import pytest

from bulk_upload.core.events import Draining, Event
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.conditions import Conditions
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.engine.limits.occupancy import Occupancy
from bulk_upload.engine.limits.slots import SlotPool
from bulk_upload.exit_status import ExitStatus
from tests.fakes.virtual_time import VirtualClock, on_virtual_time

FIRST = Stop(status=ExitStatus.INTERRUPTED, reason="first", hint="")
SECOND = Stop(status=ExitStatus.UNFINISHED, reason="second", hint="")


@on_virtual_time
async def test_a_drain_begins_once_and_keeps_its_first_reason() -> None:
    """The first reason is the run's, and listeners hear of it once."""
    heard: list[Event] = []
    drain = Drain(heard.append)
    assert (drain.begun, drain.stop) == (False, None)
    drain.begin(FIRST)
    drain.begin(SECOND)
    assert (drain.begun, drain.stop, heard) == (True, FIRST, [Draining(reason="first")])


@on_virtual_time
async def test_a_sleep_ends_when_the_drain_begins() -> None:
    """A backoff is cut short by the drain, and none begins after it."""
    drain = Drain(lambda _: None)
    loop = asyncio.get_running_loop()
    await drain.sleep(5)
    assert loop.time() == pytest.approx(5.0, abs=0.01)
    loop.call_later(1, drain.begin, FIRST)
    await drain.sleep(1000)
    await drain.sleep(1000)
    await drain.wait()
    assert loop.time() == pytest.approx(6.0, abs=0.01)


@on_virtual_time
async def test_a_cut_is_left_when_the_drain_begins() -> None:
    """What waits inside a cut is left at once; what is done inside one before the drain is untouched."""
    drain = Drain(lambda _: None)
    loop = asyncio.get_running_loop()
    done = []
    with drain.cut():
        await asyncio.sleep(1)
        done.append("before")
    loop.call_later(1, drain.begin, FIRST)
    with drain.cut():
        await asyncio.sleep(1000)
        done.append("during")
    with drain.cut():
        await asyncio.sleep(1000)
        done.append("after")
    assert done == ["before"]
    assert loop.time() == pytest.approx(2.0, abs=0.01)


@on_virtual_time
async def test_an_error_inside_a_cut_comes_out_as_it_is() -> None:
    """A cut hides no error."""
    drain = Drain(lambda _: None)
    with pytest.raises(KeyError), drain.cut():
        raise KeyError


def _occupancy(limit: int) -> tuple[Occupancy, Drain, Conditions]:
    drain, conditions = Drain(lambda _: None), Conditions()
    slots = SlotPool(
        FixedLimit(limit), VirtualClock(), drain=drain, conditions=conditions, errors=CallbackErrors()
    )
    return Occupancy(slots, drain, conditions, parked_max=2), drain, conditions


@on_virtual_time
async def test_parked_entries_are_not_active() -> None:
    """An entry is live from start to end, and active except while it is parked."""
    occupancy, _, _ = _occupancy(4)
    occupancy.enter()
    occupancy.enter()
    assert occupancy.active_count == 2
    with occupancy.parked():
        assert (occupancy.active_count, occupancy.parked_count) == (1, 1)
    assert occupancy.active_count == 2
    occupancy.leave()
    assert occupancy.live_count == 1


@on_virtual_time
async def test_what_may_be_sent_waits_for_no_other_entry() -> None:
    """An entry that backs off will be sent, one that waits for another may never be; nor is one fed while too many wait."""
    occupancy, _, _ = _occupancy(4)
    assert occupancy.may_send()
    occupancy.feeds = False
    assert not occupancy.may_send()
    occupancy.enter()
    with occupancy.parked():
        assert occupancy.may_send()
    with occupancy.parked(depends=True):
        assert not occupancy.may_send()
        occupancy.feeds = True
        assert occupancy.may_send()
        with occupancy.parked(depends=True):
            assert not occupancy.may_send()


@on_virtual_time
async def test_as_many_entries_may_be_active_as_there_are_slots() -> None:
    """One more than that may not, nor any while too many are parked, nor once the run drains."""
    occupancy, drain, _ = _occupancy(3)
    assert [occupancy.may_hold(count) for count in (3, 4)] == [True, False]
    with occupancy.parked(), occupancy.parked():
        assert not occupancy.may_hold(1)
    drain.begin(FIRST)
    assert not occupancy.may_hold(1)


@on_virtual_time
async def test_whoever_waits_for_room_is_woken_by_every_change_that_may_leave_some() -> None:
    """An entry that ends, or is parked, wakes a task that waits for room; one that finds none waits on."""
    occupancy, _, conditions = _occupancy(2)
    occupancy.enter()
    occupancy.enter()
    woken = asyncio.create_task(conditions.until(lambda: occupancy.active_count < 2))
    await asyncio.sleep(0)
    with occupancy.parked():
        pass
    await asyncio.sleep(0)
    assert not woken.done()
    occupancy.leave()
    await woken


@on_virtual_time
async def test_counts_survive_errors() -> None:
    """An entry that fails while it is parked leaves no count behind."""
    occupancy, _, _ = _occupancy(1)
    with pytest.raises(KeyError), occupancy.parked():
        raise KeyError
    assert occupancy.parked_count == 0
