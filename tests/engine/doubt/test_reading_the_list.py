"""How far a server's list is read, and where it ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.paging import STALE_PAGES_MAX
from bulk_upload.core.api.server_clock import DATE_ALONE_S, ClockOffset
from bulk_upload.core.api.server_habits import OwnFile
from bulk_upload.core.run.reconcile import Found, Undecided
from bulk_upload.engine.doubt.api_retry import TRIES_MAX
from bulk_upload.engine.doubt.listing import Listing, should_show
from tests.fakes.server_settings import ServerSettings
from tests.fakes.virtual_time import EPOCH_UTC_S, on_virtual_time

if TYPE_CHECKING:
    from bulk_upload.core.clock import Moment
    from bulk_upload.edge.transport import Transport

from tests.engine.doubt.bench import SHORT_PAGES, Bench


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
