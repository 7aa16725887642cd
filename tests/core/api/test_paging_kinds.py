"""Each kind of paging: the next request comes from the last answer, and a walk ends, or says what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.api.paging import (
    NO_CURSOR,
    SAME_NEXT,
    SAME_PAGE,
    STALE_PAGES_MAX,
    ListedPage,
    Pager,
    PageRequest,
)
from bulk_upload.core.api.profile import FLOW, Complete, Paging
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import unproven_absence


class Server:
    """A list, newest first, of files that are made in whole seconds, three in each."""

    def __init__(self, count: int, *, page_max: int = 1000) -> None:
        self.ids = [f"old-{number}" for number in range(count)]
        self.page_max = page_max
        self.request_count = 0

    def add(self, count: int) -> None:
        """Have new files."""
        self.ids[:0] = [f"new-{len(self.ids)}-{number}" for number in range(count)]

    def answer(self, request: PageRequest, paging: Paging) -> ListedPage:
        """Return a page as a server of that kind does."""
        self.request_count += 1
        query = request.query(paging)
        limit = min(int(query.get("limit", query.get("page_size", 10**6))), self.page_max)
        start = int(query.get("offset", 0))
        match paging:
            case Paging.AFTER:
                start = self.ids.index(str(query["after"])) + 1 if "after" in query else 0
            case Paging.NEXT_PAGE:
                start = self.ids.index(str(query["page"]).removeprefix("token ")) if "page" in query else 0
            case Paging.PAGE:
                start = int(query["page"]) * limit
            case Paging.NONE:
                limit = len(self.ids)
        rest = self.ids[start + limit :]
        token = f"token {rest[0]}" if paging is Paging.NEXT_PAGE and rest else None
        return shown(self.ids[start : start + limit], token)


def shown(ids: list[str], next_page: str | None = None) -> ListedPage:
    """Return a page with these files."""
    return ListedPage([ListedFile(file_id=one) for one in ids], next_page)


def walk(
    server: Server, pager: Pager, *, between: Callable[[], object] = lambda: None
) -> tuple[set[str], str | None]:
    """Walk to the end; return what was seen, and what was wrong with the list."""
    seen: set[str] = set()
    while True:
        page = server.answer(pager.request, pager.paging)
        fresh = set(page.ids) - seen
        seen |= fresh
        problem = pager.turn(page, fresh_count=len(fresh))
        if problem is not None or pager.at_end:
            return seen, problem
        between()


@pytest.mark.parametrize("paging", Paging)
@given(count=st.integers(0, 120), page_files=st.integers(1, 30), page_max=st.integers(1, 30))
def test_a_quiet_list_is_seen_whole(paging: Paging, count: int, page_files: int, page_max: int) -> None:
    """Whatever is asked for, and whatever smaller limit the server has."""
    server = Server(count, page_max=page_files if paging is Paging.PAGE else page_max)
    pager = Pager(pages_max=1000, paging=paging, page_files=page_files)
    assert walk(server, pager) == (set(server.ids), None)


@pytest.mark.parametrize("paging", [Paging.AFTER, Paging.NEXT_PAGE, Paging.PAGE])
@given(count=st.integers(0, 60), page_files=st.integers(2, 10), data=st.data())
def test_files_that_come_in_hide_none_of_those_that_were_there(
    paging: Paging, count: int, page_files: int, data: st.DataObject
) -> None:
    """They shift pages by number, and are before every cursor."""
    server = Server(count)
    there = set(server.ids)
    pager = Pager(pages_max=1000, paging=paging, page_files=page_files)

    def come_in() -> None:
        if server.request_count < 20:
            server.add(data.draw(st.integers(0, page_files - 1)))

    seen, problem = walk(server, pager, between=come_in)
    assert problem is None
    assert there <= seen


def test_a_cursor_that_is_ignored_is_noticed_at_the_second_page() -> None:
    """A server that knows no `after` answers with the same files again: two requests, not a thousand."""
    pager = Pager(pages_max=1000, paging=Paging.AFTER, page_files=3)
    page = shown(["a", "b", "c"])
    assert pager.turn(page, fresh_count=3) is None
    assert pager.request.query(Paging.AFTER) == {"limit": 3, "order": "desc", "after": "c"}
    assert pager.turn(page, fresh_count=0) == SAME_PAGE


def test_a_page_number_that_is_ignored_is_noticed_at_the_second_page() -> None:
    """The same for pages by number."""
    pager = Pager(pages_max=1000, paging=Paging.PAGE, page_files=3, page_no=1)
    assert pager.request.query(Paging.PAGE) == {"page": 1, "page_size": 3}
    assert pager.turn(shown(["a", "b", "c"]), fresh_count=3) is None
    assert pager.request.query(Paging.PAGE) == {"page": 2, "page_size": 3}
    assert pager.turn(shown(["a", "b", "c"]), fresh_count=0) == SAME_PAGE


def test_a_cursor_ends_at_an_empty_page_alone() -> None:
    """A short page may be a limit of the server's own."""
    pager = Pager(pages_max=1000, paging=Paging.AFTER, page_files=100)
    assert (pager.turn(shown(["a"]), fresh_count=1), pager.at_end) == (None, False)
    assert (pager.turn(shown([]), fresh_count=0), pager.at_end) == (None, True)
    assert pager.page_count == 1


def test_a_cursor_needs_an_id() -> None:
    """A last file whose id cannot be used leads nowhere, and that is not the end."""
    page = ListedPage([ListedFile(file_id="7", has_id=False)])
    assert Pager(pages_max=9, paging=Paging.AFTER).turn(page, fresh_count=1) == NO_CURSOR


def test_the_next_page_is_what_the_answer_names() -> None:
    """Also after a page that shows nothing; a name that comes again is a loop."""
    pager = Pager(pages_max=1000, paging=Paging.NEXT_PAGE, page_files=2)
    assert pager.request.query(Paging.NEXT_PAGE) == {"limit": 2}
    assert pager.turn(shown([], "t1"), fresh_count=0) is None
    assert pager.request.query(Paging.NEXT_PAGE) == {"limit": 2, "page": "t1"}
    assert not pager.at_end
    assert pager.turn(shown(["a"], "t1"), fresh_count=1) == SAME_NEXT


@pytest.mark.parametrize("ids", [["a"], []], ids=["the same", "nothing"])
def test_tokens_in_a_circle_are_given_up(ids: list[str]) -> None:
    """New names for the same files, or for none, end as any list that goes round."""
    pager = Pager(pages_max=1000, paging=Paging.NEXT_PAGE)
    assert pager.turn(shown(["a"], "t0"), fresh_count=1) is None
    turns = range(1, STALE_PAGES_MAX + 2)
    told = [pager.turn(shown(ids, f"t{number}"), fresh_count=0) for number in turns]
    assert told[-2:] == [None, SAME_PAGE]


def test_a_list_without_pages_is_one_request() -> None:
    """It is asked for with no parameters, and its one answer is all."""
    pager = Pager(pages_max=9, paging=Paging.NONE)
    assert pager.request.query(Paging.NONE) == {}
    assert pager.turn(shown(["a", "b"]), fresh_count=2) is None
    assert (pager.at_end, pager.page_count) == (True, 1)


@given(ids=st.lists(st.text("ab", min_size=1, max_size=2), max_size=8), paging=st.sampled_from(Paging))
def test_no_walk_goes_on_for_ever(ids: list[str], paging: Paging) -> None:
    """Whatever a server repeats, a walk ends with its last page, or with what is wrong."""
    pager = Pager(pages_max=50, paging=paging)
    seen: set[str] = set()
    for turn in range(200):
        page = shown(ids, ids[0] if ids else None)
        problem = pager.turn(page, fresh_count=len(set(ids) - seen))
        seen |= set(ids)
        if pager.at_end or problem is not None:
            assert turn <= STALE_PAGES_MAX + 1
            return
    raise AssertionError(paging)


@pytest.mark.parametrize(
    ("complete", "page_count", "proves"),
    [
        (Complete.WALK, 1, True),
        (Complete.WALK, 9, True),
        (Complete.ONE_PAGE, 0, True),
        (Complete.ONE_PAGE, 1, True),
        (Complete.ONE_PAGE, 2, False),
        (Complete.NEVER, 1, False),
    ],
)
def test_what_proves_that_a_file_is_not_there(complete: Complete, page_count: int, proves: bool) -> None:
    """Cursors that skip files which share a second prove it in one page only, or never."""
    found = unproven_absence(replace(FLOW, complete=complete), page_count=page_count)
    assert (found is None) is proves


def test_only_a_whole_walk_that_proves_absence_settles_every_doubt() -> None:
    """Intents are recorded ahead there, and nowhere else."""
    assert FLOW.list_shows_absence
    for change in (
        {"complete": Complete.ONE_PAGE},
        {"complete": Complete.NEVER},
        {"can_list": False},
        {"keeps_names": False},
    ):
        assert not replace(FLOW, **change).list_shows_absence
