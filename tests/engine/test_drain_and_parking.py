from __future__ import annotations

import asyncio

import pytest

from bulk_upload.core.standing import Stop
from bulk_upload.engine.drain import Drain
from bulk_upload.engine.parking import Parking
from bulk_upload.exit_status import ExitStatus
from tests.fakes.virtual_time import on_virtual_time

FIRST = Stop(status=ExitStatus.INTERRUPTED, reason="first", hint="")
SECOND = Stop(status=ExitStatus.UNFINISHED, reason="second", hint="")


@on_virtual_time
async def test_a_drain_begins_once_and_keeps_its_first_reason() -> None:
    """The first reason is the run's, and listeners hear of it once."""
    heard: list[Stop] = []
    drain = Drain(heard.append)
    assert (drain.begun, drain.stop) == (False, None)
    drain.begin(FIRST)
    drain.begin(SECOND)
    assert (drain.begun, drain.stop, heard) == (True, FIRST, [FIRST])


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


def test_parked_entries_are_not_active() -> None:
    """An entry is live from start to end, and active except while it is parked; each change that may leave
    room is told."""
    seen: list[tuple[int, int]] = []
    parking = Parking(lambda: seen.append((parking.live_count, parking.parked_count)))
    with parking.life(), parking.life():
        assert parking.active_count == 2
        with parking.space():
            assert (parking.active_count, parking.parked_count) == (1, 1)
        assert parking.active_count == 2
    assert (parking.live_count, parking.parked_count) == (0, 0)
    assert seen == [(2, 1), (1, 0), (0, 0)]


def test_counts_survive_errors() -> None:
    """An entry that fails leaves no count behind."""
    parking = Parking(lambda: None)
    with pytest.raises(KeyError), parking.life(), parking.space():
        raise KeyError
    assert (parking.live_count, parking.parked_count) == (0, 0)
