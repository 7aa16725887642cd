"""Walks through a server's list while files may be added and deleted between two pages.

How a list is paged is one of a few kinds (`Paging`). Each is a pure function: the next request from the last answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.api.profile import Paging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import ListedFile

STALE_PAGES_MAX = 20
"""More pages in a row without a new file mean a server that ignores the offset, not a busy one."""

PAGE_OVERLAP = 10
"""Pages overlap: offsets shift when a file is deleted between two of them."""

SAME_PAGE = "the server's list shows the same files on every page"
NO_CURSOR = "the server's list cannot be followed: the last file of a page has no usable id"
SAME_NEXT = "the server's list names the same next page again"


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for: `limit` files, from a place that the kind of paging names in one of these ways.

    `offset` counts files, `page_no` pages; `cursor` is the id of the file before (`after`), or what the server called the
    next page, None for the first one.
    """

    limit: int
    offset: int = 0
    page_no: int = 0
    cursor: str | None = None

    def query(self, paging: Paging) -> dict[str, str | int]:
        """Return the parameters of the request."""
        match paging:
            case Paging.OFFSET:
                return {
                    "limit": self.limit,
                    "offset": self.offset,
                    "sort_by": "created_at",
                    "sort_order": "desc",
                }
            case Paging.AFTER:
                newest_first: dict[str, str | int] = {"limit": self.limit, "order": "desc"}
                return newest_first | ({} if self.cursor is None else {"after": self.cursor})
            case Paging.NEXT_PAGE:
                return {"limit": self.limit} | ({} if self.cursor is None else {"page": self.cursor})
            case Paging.PAGE:
                return {"page": self.page_no, "page_size": self.limit}
            case Paging.NONE:
                return {}


class ListedPage(msgspec.Struct, frozen=True):
    """One answer of a list. `next_page` is what the server calls the next page, None where it names none."""

    files: Sequence[ListedFile] = ()
    next_page: str | None = None

    @property
    def ids(self) -> list[str]:
        """What is shown in the place of ids, usable or not."""
        return [one.file_id for one in self.files]

    @property
    def last_id(self) -> str | None:
        """The id of the last file, None where there is none that can be used."""
        return self.files[-1].file_id if self.files and self.files[-1].has_id else None


class Pager(msgspec.Struct):
    """Where the next page begins, and whether there is one.

    A short page does not prove the end: servers have limits of their own. Nor does a page without new files where pages
    are counted: that many files may have been added before it since the last page was read. The end is proven by an empty
    page, by an answer that names no next page (`next-page`), or, with offsets, by a page that ends with the same file as
    the page before it and is shorter than a full page. Without the latter a walk never ends while files are added: each
    moves the last page back by one. Pages by offset have `overlap` files in common.

    `page_count` is the number of pages that showed files.
    """

    pages_max: int
    page_files: int = 100
    paging: Paging = Paging.OFFSET
    page_no: int = 0
    offset: int = 0
    page_count: int = 0
    at_end: bool = False
    overlap: int = PAGE_OVERLAP
    _cursor: str | None = None
    _stale_count: int = 0
    _longest: int = 0
    _last_ids: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def through(cls, profile: Profile, *, pages_max: int, overlap: int = PAGE_OVERLAP) -> Pager:
        """Return a pager at the beginning of the list of a profile's server."""
        return cls(
            pages_max=pages_max,
            page_files=profile.list_page,
            paging=profile.paging,
            page_no=profile.first_page,
            overlap=overlap,
        )

    @property
    def request(self) -> PageRequest:
        """What to ask for next."""
        return PageRequest(
            limit=self.page_files, offset=self.offset, page_no=self.page_no, cursor=self._cursor
        )

    def turn(self, page: ListedPage, *, fresh_count: int) -> str | None:
        """Advance past a page, `fresh_count` of its files new; return what is wrong with the list, if anything."""
        ids, before = page.ids, self._last_ids
        self._last_ids = ids
        self.page_count += bool(ids)
        self._stale_count = 0 if fresh_count else self._stale_count + 1
        problem = self._step(page, ids, before, fresh_count)
        if self.at_end or problem is not None:
            return problem
        if self._stale_count > STALE_PAGES_MAX:
            return SAME_PAGE
        if self.page_count >= self.pages_max:
            return f"the server's list did not end after {self.pages_max} pages"
        return None

    def _step(self, page: ListedPage, ids: list[str], before: list[str], fresh_count: int) -> str | None:
        match self.paging:
            case Paging.NONE:
                self.at_end = True
                return None
            case Paging.NEXT_PAGE:
                return self._named(page.next_page)
        self.at_end = not ids
        if self.at_end:
            return None
        match self.paging:
            case Paging.AFTER:
                return self._after(page.last_id, before, fresh_count)
            case Paging.PAGE:
                # As many files may have come in as a page has, but hardly between two requests.
                self.page_no += 1
                return SAME_PAGE if ids == before else None
            case _:
                self._by_offset(ids, before)
                return None

    def _by_offset(self, ids: list[str], before: list[str]) -> None:
        self.at_end = bool(before) and ids[-1] == before[-1] and len(ids) < self._longest
        self._longest = max(self._longest, len(ids))
        self.offset += len(ids) - min(self.overlap, len(ids) // 2)

    def _after(self, last_id: str | None, before: list[str], fresh_count: int) -> str | None:
        """Go on after the last file; what comes after it cannot end with it, or be known already."""
        if last_id is None:
            return NO_CURSOR
        if not fresh_count or (before and before[-1] == last_id):
            return SAME_PAGE
        self._cursor = last_id
        return None

    def _named(self, token: str | None) -> str | None:
        self.at_end = not token
        if token and token == self._cursor:
            return SAME_NEXT
        self._cursor = token
        return None


def next_page_in(answer: dict[str, Any]) -> str | None:
    """Return what an answer calls the next page, None where it names none."""
    token = answer.get("next_page")
    return token if isinstance(token, str) and token else None
