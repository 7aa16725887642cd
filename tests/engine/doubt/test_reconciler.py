from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from msgspec.structs import replace

from bulk_upload.core.api.paging import STALE_PAGES_MAX, ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.server_clock import DATE_ALONE_S, ClockOffset
from bulk_upload.core.api.server_habits import OwnFile
from bulk_upload.core.events import Event, Reconciling
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.run.reconcile import Absent, Doubt, Found, Undecided
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.api_retry import TRIES_MAX, ApiRetry
from bulk_upload.engine.doubt.listing import Listing, should_show
from bulk_upload.engine.doubt.reconciler import Reconciler
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.exit_status import ExitStatus
from tests.fakes.ledger import LedgerFile, MemoryLedger, Mishap
from tests.fakes.server import FakeServer, ServerSettings
from tests.fakes.transport import FakeTransport
from tests.fakes.virtual_time import EPOCH_UTC_S, VirtualClock, on_virtual_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Moment
    from bulk_upload.core.model import ListedFile
    from bulk_upload.edge.transport import Transport

STOP = Stop(status=ExitStatus.INTERRUPTED, reason="asked to stop", hint="")
SHORT_PAGES = replace(FLOW, list_page=10)


class Desk(FakeTransport):
    """A transport whose pages a test may see, change or hold up."""

    def __init__(self, server: FakeServer, clock: VirtualClock) -> None:
        super().__init__(server, clock)
        self.offsets: list[int] = []
        self.before_page: Callable[[int], object] = lambda _: None
        self.ignores_offset = False
        self.look_up_hangs = False
        self.page_hangs = False
        self.looked_up: list[ListedFile | None] = []
        """What look-ups answer instead of the truth, in order."""

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return a page, after the test had its say."""
        self.before_page(len(self.offsets))
        self.offsets.append(request.offset)
        if self.page_hangs:
            await asyncio.sleep(3600)
        return await super().list_page(replace(request, offset=0) if self.ignores_offset else request)

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return what the test wants, else the truth."""
        if self.look_up_hangs:
            await asyncio.sleep(3600)
        truth = await super().look_up(file_id)
        return self.looked_up.pop(0) if self.looked_up else truth


class Bench:
    """A reconciler at work, and everything around it."""

    def __init__(
        self,
        *,
        settings: ServerSettings | None = None,
        profile: Profile = FLOW,
        mishap: Mishap | None = None,
        away_s: float = 0.0,
    ) -> None:
        self.clock = VirtualClock()
        self.server = FakeServer(settings=settings or ServerSettings(latency_s=(0.01, 0.01)))
        self.desk = Desk(self.server, self.clock)
        self.drain = Drain(lambda _: None)
        self.events: list[Event] = []
        self.file = LedgerFile()
        self.ledger = MemoryLedger(self.file, self.file.begin_run(utc_s=self.clock.utc_s()), mishap=mishap)
        self.reconciler = Reconciler(
            files_api=cast("Transport", self.desk),
            api_retry=ApiRetry(self.clock, sleep=self.drain.sleep, away_s=lambda: away_s),
            ledger=self.ledger,
            profile=profile,
            clock=self.clock,
            drain=self.drain,
            emit=self.events.append,
        )
        self.attempt_count = 0

    def goes_away(self, until_s: float) -> None:
        """Let nobody connect before that time."""

        async def unconnected(request: PageRequest) -> ListedPage:
            if self.now < until_s:
                raise NoAnswer("listing files failed: Connection refused", away=True)
            return await list_page(request)

        list_page = self.desk.list_page
        self.desk.list_page = unconnected  # type: ignore[method-assign]

    @property
    def now(self) -> float:
        """Virtual time."""
        return self.clock.monotonic()

    @property
    def listing_count(self) -> int:
        """How many times the whole list was read."""
        return sum(isinstance(one, Reconciling) for one in self.events)

    def doubt(self, name: str = "a.jsonl", *, settle_s: float = 30.0, ago_s: float = 1.0) -> Doubt:
        """Return a doubt about an attempt that began a while ago and settles in a while."""
        self.attempt_count += 1
        return Doubt(
            entry_id=self.attempt_count,
            attempt_id=self.attempt_count,
            sent_name=name,
            file_bytes=1000,
            purpose="fine-tune",
            sent_at_utc_s=self.clock.utc_s() - ago_s,
            settles_at_utc_s=self.clock.utc_s() + settle_s,
            began_at=self.now - ago_s,
        )

    def shows_its_clock(self) -> None:
        """Let the run have a file whose time agrees with `Date`."""
        self.desk.shows_its_clock()

    def store(self, name: str = "a.jsonl", *, count: int = 1, appears_in_s: float = 0.0) -> list[str]:
        """Put files at the server and return their ids."""
        files = [
            self.server.add_stranger(name, size=1000, purpose="fine-tune", stored_at=self.now)
            for _ in range(count)
        ]
        for one in files:
            one.listed_at += appears_in_s
        return [one.file_id for one in files]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Reconciler]:
        """Let it serve while the block lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.reconciler.serve)
            yield self.reconciler
            tasks.cancel_scope.cancel()


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


@pytest.mark.parametrize("page_max", [1, 2, 7, 15])
def test_pages_shorter_than_asked_for_are_no_end(page_max: int) -> None:
    """A server that caps its pages is read to the end, page by page."""

    @on_virtual_time
    async def scenario() -> None:
        bench = Bench(settings=ServerSettings(latency_s=(0.01, 0.01), page_max=page_max))
        (oldest,) = bench.store()
        bench.store("other.jsonl", count=60)
        async with bench.serving() as reconciler:
            verdict = await reconciler.resolve(bench.doubt())
        assert isinstance(verdict, Found)
        assert verdict.file.file_id == oldest
        assert len(bench.desk.offsets) < 3 * 62 / page_max + 3

    scenario()


@on_virtual_time
async def test_files_deleted_between_pages_hide_nothing() -> None:
    """Pages overlap: a file that moves up because others are deleted is still seen."""
    bench = Bench(profile=SHORT_PAGES)
    bench.store()
    bench.store("other.jsonl", count=29)
    newest = bench.server.stored[-4:]

    def delete(count: int) -> None:
        if count == 1:
            for one in newest:
                bench.server.stored.remove(one)

    bench.desk.before_page = delete
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt(settle_s=0.0)), Found)


@pytest.mark.parametrize("added_count", [5, 10, 50])
def test_files_added_between_pages_do_not_end_the_list(added_count: int) -> None:
    """A page that shows nothing new may only be the last one, moved down by new files: the list goes on."""

    @on_virtual_time
    async def scenario() -> None:
        bench = Bench(profile=SHORT_PAGES)
        bench.store()
        bench.store("other.jsonl", count=29)

        def add(count: int) -> None:
            if count == 1:
                bench.store("new.jsonl", count=added_count)

        bench.desk.before_page = add
        async with bench.serving() as reconciler:
            assert isinstance(await reconciler.resolve(bench.doubt(settle_s=0.0)), Found)

    scenario()


@on_virtual_time
async def test_a_list_that_grows_all_the_time_still_has_an_end() -> None:
    """A doubt from the first seconds of a run is settled while that run goes on filling the list."""
    bench = Bench(profile=SHORT_PAGES)
    bench.store()
    bench.store("other.jsonl", count=29)
    bench.desk.before_page = lambda _: bench.store("new.jsonl", count=3)
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt(settle_s=0.0)), Found)
    assert len(bench.desk.offsets) < 30


@on_virtual_time
async def test_a_server_that_shows_one_page_for_ever_decides_nothing() -> None:
    """Where the offset is ignored the list has no end, and what is not on its page is not absent."""
    bench = Bench(profile=SHORT_PAGES)
    bench.store()
    bench.store("other.jsonl", count=29)
    bench.desk.ignores_offset = True
    async with bench.serving() as reconciler:
        verdict = await reconciler.resolve(bench.doubt(settle_s=0.0))
    assert verdict == Undecided("the server's list shows the same files on every page")
    assert len(bench.desk.offsets) <= (STALE_PAGES_MAX + 2) * TRIES_MAX


@on_virtual_time
async def test_a_long_list_is_read_no_further_than_the_attempt() -> None:
    """Files older than the oldest attempt in question cannot be it: the rest of the list stays unread."""
    bench = Bench(profile=SHORT_PAGES)
    bench.store("old.jsonl", count=1000)
    await asyncio.sleep(1000)
    bench.store("other.jsonl", count=20)
    bench.store()
    bench.shows_its_clock()
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt()), Found)
    assert max(bench.desk.offsets) < 40


@on_virtual_time
async def test_a_date_alone_reads_two_days_back() -> None:
    """Before a file of the run agreed with `Date`, that may be another machine's: only files days older end the reading."""
    bench = Bench(profile=SHORT_PAGES)
    for name, count, ago_s in (("older.jsonl", 1000, DATE_ALONE_S + 100), ("old.jsonl", 100, 1000)):
        for _ in range(count):
            bench.server.add_stranger(name, size=1000, purpose="fine-tune", stored_at=-ago_s)
    bench.store()
    async with bench.serving() as reconciler:
        assert isinstance(await reconciler.resolve(bench.doubt()), Found)
    assert 90 <= max(bench.desk.offsets) < 120


@on_virtual_time
async def test_what_else_is_stored_is_kept_whatever_its_size() -> None:
    """Files of other names show another job at work, also those that could be ours under a name cut short."""
    bench = Bench()
    (other,) = bench.store("other.jsonl")
    bench.store("a.jsonl")
    bench.store("1712-a.jsonl")
    async with bench.serving() as reconciler:
        await reconciler.resolve(bench.doubt())
    assert other in [one.file_id for one in reconciler.others]
    assert [one.filename for one in reconciler.others] == ["1712-a.jsonl", "other.jsonl"]


def test_a_listing_reaches_a_file_by_the_servers_time() -> None:
    """A wall clock that was an hour ahead, and set back since, does not make an old file a new one."""

    class Clocks:
        def clock_offset(self, then: Moment) -> ClockOffset:
            ahead_s = 3600.0 if then.monotonic_s < 50 else 0.0
            return ClockOffset(best_s=-ahead_s, least_s=-ahead_s)

    def shows(own: OwnFile, not_before_s: float | None) -> bool:
        listing = Listing(began_s=200.0, not_before_s=not_before_s)
        return should_show(listing, own, files_api=cast("Transport", Clocks()))

    old = OwnFile(
        file_id="file-1",
        name="a",
        purpose="fine-tune",
        file_bytes=1,
        began_utc_s=EPOCH_UTC_S + 3605.0,
        began_at=5.0,
        lasted_s=1.0,
        accepted_at_s=6.0,
    )
    new = replace(old, began_utc_s=EPOCH_UTC_S + 150.0, began_at=150.0)
    assert [shows(one, EPOCH_UTC_S + 100.0) for one in (old, new)] == [False, True]
    assert [shows(one, None) for one in (old, new)] == [True, True]


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0], ids=["behind", "ahead"])
def test_the_first_page_of_a_run_sets_the_clocks(ahead_s: float) -> None:
    """A server whose clock is hours off is read far enough also before any of its answers was seen."""

    @on_virtual_time
    async def scenario() -> None:
        bench = Bench(
            profile=SHORT_PAGES,
            settings=ServerSettings(latency_s=(0.01, 0.01), clock_ahead_s=ahead_s),
        )
        bench.store()
        bench.store("other.jsonl", count=50)
        async with bench.serving() as reconciler:
            assert isinstance(await reconciler.resolve(bench.doubt(settle_s=0.0)), Found)

    scenario()


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
