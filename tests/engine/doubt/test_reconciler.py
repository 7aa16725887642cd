"""Doubts against a list of files: what it proves, when, and what decides nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import Reconciling
from bulk_upload.core.run.reconcile import Absent, Found, Undecided
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.api_retry import TRIES_MAX
from tests.fakes.ledger import Mishap
from tests.fakes.server_settings import ServerSettings
from tests.fakes.transport import FakeTransport
from tests.fakes.virtual_time import on_virtual_time

if TYPE_CHECKING:
    from bulk_upload.core.model import ListedFile

from tests.engine.doubt.bench import STOP, Bench


@on_virtual_time
async def test_one_listing_serves_all_that_wait() -> None:
    """However many entries wait, the list is read once for all of them."""
    bench = Bench()
    names = [f"{number}.jsonl" for number in range(20)]
    ids = {name: bench.store(name) for name in names}
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        answers = [asking.create_task(reconciler.resolve(bench.doubt(name))) for name in names]
    for name, answer in zip(names, answers, strict=True):
        verdict = answer.result()
        assert isinstance(verdict, Found)
        assert [verdict.file.file_id] == ids[name]
    assert bench.listing_count == 1
    assert [one.waiting_count for one in bench.events if isinstance(one, Reconciling)] == [20]


@on_virtual_time
async def test_absence_is_believed_after_several_looks_over_the_settle_time() -> None:
    """A file that nobody lists is absent once the settle time has passed, and the list was asked on the way."""
    bench = Bench()
    async with bench.serving() as reconciler:
        assert await reconciler.resolve(bench.doubt(settle_s=30.0)) == Absent()
    assert 30.0 <= bench.now < 31.0
    assert 4 <= bench.listing_count <= 6


@on_virtual_time
async def test_a_listing_that_began_too_early_proves_nothing() -> None:
    """Absence counts from the moment a listing began, not from when its last page came."""
    bench = Bench()
    bench.desk.before_page = lambda count: bench.store() if count == 1 else None
    bench.server.settings = ServerSettings(latency_s=(3.0, 3.0))
    async with bench.serving() as reconciler:
        verdict = await reconciler.resolve(bench.doubt(settle_s=2.0))
    assert isinstance(verdict, Found)


@on_virtual_time
async def test_a_list_that_lags_is_asked_again() -> None:
    """A file that appears late, but within the settle time, is found soon after."""
    bench = Bench()
    ids = bench.store(appears_in_s=12.0)
    async with bench.serving() as reconciler:
        verdict = await reconciler.resolve(bench.doubt(settle_s=30.0))
    assert isinstance(verdict, Found)
    assert [verdict.file.file_id] == ids
    assert 12.0 <= bench.now < 20.0


@on_virtual_time
async def test_a_list_that_fails_for_good_leaves_everything_undecided() -> None:
    """After a few tries with growing pauses nobody waits any longer, and nothing is decided."""
    bench = Bench()
    bench.server.list_fails = 1_000
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        answers = [asking.create_task(reconciler.resolve(bench.doubt(name))) for name in ("a", "b")]
    for one in answers:
        assert one.result() == Undecided("the server's list gave no usable answer (HTTP 500)")
    assert bench.listing_count == TRIES_MAX
    assert 7.0 <= bench.now < 20.0


@on_virtual_time
async def test_a_list_that_recovers_is_believed() -> None:
    """A few failures in between cost time and nothing else, also in the look-up that follows."""
    bench = Bench()
    bench.store()
    bench.server.list_fails = TRIES_MAX - 1
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt()), Found)


@on_virtual_time
async def test_a_server_that_is_away_is_waited_for() -> None:
    """Nobody can connect for five minutes: the doubt waits, within patience, and is resolved by the list."""
    bench = Bench(away_s=900.0)
    bench.store()
    bench.goes_away(300.0)
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt()), Found)
    assert 300.0 <= bench.now < 340.0


@on_virtual_time
async def test_a_server_that_stays_away_leaves_everything_undecided() -> None:
    """Beyond patience nobody waits; without any, a few tries are all."""
    for away_s, ended_s in ((900.0, 960.0), (0.0, 30.0)):
        bench = Bench(away_s=away_s)
        bench.goes_away(float("inf"))
        began = bench.now
        async with bench.serving() as reconciler:
            assert isinstance(await reconciler.resolve(bench.doubt()), Undecided)
        assert away_s <= bench.now - began < ended_s


@on_virtual_time
async def test_a_named_wait_holds_back_every_question() -> None:
    """A Retry-After in answer to a look-up holds the list back, too; the wait is kept in full."""
    bench = Bench()
    bench.store("a.jsonl")
    bench.store("b.jsonl", appears_in_s=2.0)
    look_up, throttled = bench.desk.look_up, iter([True])

    async def throttled_once(file_id: str) -> ListedFile | None:
        if next(throttled, False):
            raise NoAnswer("HTTP 429", http_status=429, retry_after_s=60.0)
        return await look_up(file_id)

    bench.desk.look_up = throttled_once  # type: ignore[method-assign]
    listed_at: list[float] = []
    bench.desk.before_page = lambda _: listed_at.append(bench.now)
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        answers = [
            asking.create_task(reconciler.resolve(bench.doubt(name))) for name in ("a.jsonl", "b.jsonl")
        ]
    assert all(isinstance(one.result(), Found) for one in answers)
    assert listed_at[0] < 1.0
    assert all(at < 1.0 or at >= 60.0 for at in listed_at)
    assert listed_at[-1] >= 60.0


@on_virtual_time
async def test_a_wait_beyond_patience_decides_nothing() -> None:
    """A list that is to be asked again tomorrow holds no run up: the doubt stays for the next one."""
    bench = Bench()

    def throttle(_: int) -> None:
        raise NoAnswer("HTTP 429", http_status=429, retry_after_s=86_400.0)

    bench.desk.before_page = throttle
    async with bench.serving() as reconciler:
        assert await reconciler.resolve(bench.doubt()) == Undecided("HTTP 429")
    assert bench.now < 1.0


@on_virtual_time
async def test_a_look_up_that_disagrees_decides_nothing() -> None:
    """A listed file is believed only if a look-up shows the same."""
    for told in (None, "another size"):
        bench = Bench()
        (file_id,) = bench.store()
        async with bench.serving() as reconciler:
            wrong = None
            if told is not None:
                (right,) = (
                    await FakeTransport(bench.server, bench.clock).list_page(PageRequest(limit=1))
                ).files
                wrong = replace(right, bytes=999)
            bench.desk.looked_up = [wrong]
            verdict = await reconciler.resolve(bench.doubt())
        assert verdict == Undecided(f"{file_id} is in the server's list but a look-up disagrees")


@on_virtual_time
async def test_a_look_up_that_keeps_failing_decides_nothing() -> None:
    """After a few tries a file that is listed but cannot be looked up stays in doubt."""
    bench = Bench()
    bench.store()

    bench.desk.before_page = lambda _: asyncio.get_running_loop().call_later(
        0.015, setattr, bench.server, "list_fails", 100
    )
    async with bench.serving() as reconciler:
        verdict = await reconciler.resolve(bench.doubt())
    assert isinstance(verdict, Undecided)
    assert "gave no usable answer" in verdict.reason


@on_virtual_time
async def test_a_drain_ends_every_wait() -> None:
    """Whoever waits for the settle time when the run drains hears at once that it is undecided, later ones too."""
    bench = Bench()
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        answers = [asking.create_task(reconciler.resolve(bench.doubt(name))) for name in ("a", "b")]
        await asyncio.sleep(5)
        bench.drain.begin(STOP)
        answers.append(asking.create_task(reconciler.resolve(bench.doubt("c"))))
    assert bench.now < 5.1
    expected = Undecided("the run ended before the server's list could decide it")
    assert [one.result() for one in answers] == [expected] * 3


@pytest.mark.parametrize("what", ["page_hangs", "look_up_hangs"])
def test_a_drain_ends_a_call_that_hangs(what: str) -> None:
    """A page or a look-up that never comes does not hold up the end of the run."""

    @on_virtual_time
    async def scenario() -> None:
        bench = Bench()
        bench.store()
        setattr(bench.desk, what, True)
        asyncio.get_running_loop().call_later(5, bench.drain.begin, STOP)
        async with bench.serving() as reconciler:
            verdict = await reconciler.resolve(bench.doubt())
        assert verdict == Undecided("the run ended before the server's list could decide it")
        assert bench.now < 5.1

    scenario()


@on_virtual_time
async def test_two_doubts_that_look_alike_are_not_decided() -> None:
    """One file and two attempts it could be of: neither gets it."""
    bench = Bench()
    bench.store()
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        answers = [asking.create_task(reconciler.resolve(bench.doubt())) for _ in range(2)]
    expected = Undecided("another entry with the same name, size and purpose is in doubt too")
    assert [one.result() for one in answers] == [expected] * 2


@on_virtual_time
async def test_a_look_alike_that_comes_while_the_list_is_read_counts() -> None:
    """A doubt asked about in the middle of a listing keeps its look-alike from being decided without it."""
    bench = Bench(settings=ServerSettings(latency_s=(1.0, 1.0)))
    bench.store()
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        first = asking.create_task(reconciler.resolve(bench.doubt()))
        await asyncio.sleep(0.5)
        second = asking.create_task(reconciler.resolve(bench.doubt()))
        await first
        second.cancel()
    assert isinstance(first.result(), Undecided)


@on_virtual_time
async def test_several_files_that_could_be_it_are_named() -> None:
    """With more than one candidate nobody guesses; the reason names them."""
    bench = Bench()
    ids = bench.store(count=2)
    async with bench.serving() as reconciler:
        verdict = await reconciler.resolve(bench.doubt())
    assert isinstance(verdict, Undecided)
    assert all(one in verdict.reason for one in ids)


@pytest.mark.parametrize("lacks", ["can_list", "keeps_names"])
def test_a_server_whose_list_cannot_tell_is_not_asked(lacks: str) -> None:
    """Without a list, or without names in it, every doubt is undecided at once."""

    @on_virtual_time
    async def scenario() -> None:
        profile = replace(FLOW, can_list=lacks != "can_list", keeps_names=lacks != "keeps_names")
        bench = Bench(profile=profile)
        async with bench.serving() as reconciler:
            assert isinstance(await reconciler.resolve(bench.doubt()), Undecided)
        assert bench.desk.offsets == []

    scenario()


@on_virtual_time
async def test_a_ledger_that_fails_leaves_everything_undecided() -> None:
    """Without the ledger's claims nothing can be judged: everybody is answered, and serving goes on."""
    bench = Bench(mishap=Mishap(step_no=1, kills=False))
    bench.store()
    async with bench.serving() as reconciler:
        first = await reconciler.resolve(bench.doubt())
        second = await reconciler.resolve(bench.doubt())
    assert isinstance(first, Undecided)
    assert "disk I/O error" in first.reason
    assert isinstance(second, Undecided)


@on_virtual_time
async def test_who_stops_waiting_holds_nobody_up() -> None:
    """A question whose asker is gone is answered into the void; the others go on."""
    bench = Bench()
    bench.store("b.jsonl", appears_in_s=10.0)
    async with bench.serving() as reconciler, asyncio.TaskGroup() as asking:
        gone = asking.create_task(reconciler.resolve(bench.doubt("a.jsonl")))
        stays = asking.create_task(reconciler.resolve(bench.doubt("b.jsonl")))
        await asyncio.sleep(1)
        gone.cancel()
    assert isinstance(stays.result(), Found)
