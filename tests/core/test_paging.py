"""Walking through a list that changes meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.paging import PAGE_OVERLAP, STALE_PAGES_MAX, Pager


@given(
    st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60),
    st.integers(1, 40),
)
def test_no_file_is_missed_while_others_come_and_go(
    count: int, changes: list[tuple[int, bool]], page_files: int
) -> None:
    """Files that are there all the time are all seen, though between pages some are added or removed."""
    files = [f"old-{number}" for number in range(count)]
    stays = set(files)
    seen: set[str] = set()
    pager = Pager(pages_max=10_000)
    changes = list(changes)
    while page := files[pager.offset : pager.offset + page_files]:
        fresh = [one for one in page if one not in seen]
        seen.update(fresh)
        assert pager.turn(file_count=len(page), fresh_count=len(fresh)) is None
        if changes:
            amount, adds = changes.pop()
            if adds:
                files[:0] = [f"new-{len(changes)}-{number}" for number in range(amount)]
            else:
                gone = files[: min(amount, PAGE_OVERLAP, page_files // 2)]
                stays -= set(gone)
                del files[: len(gone)]
    assert stays <= seen


def test_a_list_that_ignores_the_offset_is_given_up() -> None:
    """The same page again and again is an error, not the end."""
    pager = Pager(pages_max=1000)
    assert pager.turn(file_count=10, fresh_count=10) is None
    told = [pager.turn(file_count=10, fresh_count=0) for _ in range(STALE_PAGES_MAX + 1)]
    assert told[-2] is None
    assert told[-1] == "the server's list shows the same files on every page"


def test_a_list_without_end_is_given_up() -> None:
    """After so many pages there is something wrong with it."""
    pager = Pager(pages_max=3)
    assert [pager.turn(file_count=10, fresh_count=10) for _ in range(3)][-1] == (
        "the server's list did not end after 3 pages"
    )
