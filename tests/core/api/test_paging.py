"""Walking through a list that changes meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.paging import PAGE_OVERLAP, STALE_PAGES_MAX, ListedPage, Pager
from bulk_upload.core.model import ListedFile


def shown(ids: Sequence[str], next_page: str | None = None) -> ListedPage:
    """Return a page with these files."""
    return ListedPage([ListedFile(file_id=one) for one in ids], next_page)


PAGE = shown([f"file-{number}" for number in range(10)])


class _List:
    """A server's list, newest first, that somebody adds to and deletes from between two pages."""

    def __init__(self, count: int, page_files: int) -> None:
        self.files = [f"old-{number}" for number in range(count)]
        self.stays = set(self.files)
        self.seen: set[str] = set()
        self.added_count = 0
        self.pager = Pager(pages_max=10_000)
        self.page_files = page_files

    def turn(self) -> str | None:
        """Read a page."""
        page = self.files[self.pager.offset : self.pager.offset + self.page_files]
        fresh = [one for one in page if one not in self.seen]
        self.seen.update(fresh)
        return self.pager.turn(shown(page), fresh_count=len(fresh))

    def add(self, count: int) -> None:
        self.files[:0] = [f"new-{self.added_count + number}" for number in range(count)]
        self.added_count += count

    def delete(self, count: int) -> None:
        gone = self.files[: min(count, PAGE_OVERLAP, self.page_files // 2)]
        self.stays -= set(gone)
        del self.files[: len(gone)]


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60),
    st.integers(1, 40),
)
def test_no_file_is_missed_while_others_come_and_go(
    count: int, changes: list[tuple[int, bool]], page_files: int
) -> None:
    """Files that are there all the time are all seen, unless so many come in that the walk gives up and says so."""
    server = _List(count, page_files)
    changes = list(changes)
    while not server.pager.at_end:
        if server.turn() is not None:
            step_files = page_files - min(PAGE_OVERLAP, page_files // 2)
            assert server.added_count >= step_files * STALE_PAGES_MAX
            return
        if changes:
            amount, adds = changes.pop()
            (server.add if adds else server.delete)(amount)
    assert server.stays <= server.seen


@given(st.integers(0, 1000), st.integers(21, 100), st.data())
def test_a_walk_ends_while_files_come_in_all_the_time(
    count: int, page_files: int, data: st.DataObject
) -> None:
    """Fewer than a page goes on by: the last page is known by the file that it ends with, and by full ones before it."""
    count += page_files
    server = _List(count, page_files)
    turns_max = 40 + (count + page_files) // (page_files - PAGE_OVERLAP) * page_files
    for _ in range(turns_max):
        assert server.turn() is None
        if server.pager.at_end:
            break
        server.add(data.draw(st.integers(1, page_files - PAGE_OVERLAP - 1)))
    assert server.pager.at_end
    assert server.stays <= server.seen


def test_a_list_that_grows_as_fast_as_it_is_read_is_given_up() -> None:
    """Nobody can tell it from one that ignores the offset."""
    server = _List(95, 25)
    told = None
    while told is None and not server.pager.at_end:
        told = server.turn()
        server.add(15)
    assert told == "the server's list shows the same files on every page"


def test_a_short_page_is_not_the_end() -> None:
    """A server may have a smaller limit than was asked for, and may show fewer than that."""
    pager = Pager(pages_max=10)
    assert pager.turn(shown([f"file-{number}" for number in range(20)]), fresh_count=20) is None
    assert pager.turn(shown([f"file-{number}" for number in range(10, 25)]), fresh_count=5) is None
    assert not pager.at_end


def test_a_list_that_ignores_the_offset_is_given_up() -> None:
    """The same page again and again is an error, not the end."""
    pager = Pager(pages_max=1000)
    assert pager.turn(PAGE, fresh_count=10) is None
    told = [pager.turn(PAGE, fresh_count=0) for _ in range(STALE_PAGES_MAX + 1)]
    assert told[-2] is None
    assert told[-1] == "the server's list shows the same files on every page"


def test_a_list_without_end_is_given_up() -> None:
    """After so many pages there is something wrong with it."""
    pager = Pager(pages_max=3)
    pages = [shown([f"file-{number}-{place}" for place in range(10)]) for number in range(3)]
    assert [pager.turn(page, fresh_count=10) for page in pages][-1] == (
        "the server's list did not end after 3 pages"
    )


def test_a_list_that_never_filled_a_page_gives_up_where_its_growth_keeps_pace() -> None:
    """One file, and one more with every page read: it looks like a server that ignores the offset, and is read anew."""
    server = _List(1, 21)
    problems = []
    for _ in range(STALE_PAGES_MAX + 2):
        problems.append(server.turn())
        server.add(1)
    assert problems[-1] == "the server's list shows the same files on every page"
    server.pager = Pager(pages_max=10_000)
    while not server.pager.at_end:
        assert server.turn() is None
        server.add(1)
    assert server.stays <= server.seen
