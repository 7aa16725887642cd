"""Walks through a server's list while files may be added and deleted between two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

STALE_PAGES_MAX = 20
"""More pages in a row without a new file mean a server that ignores the offset, not a busy one."""

PAGE_OVERLAP = 10
"""Pages overlap: offsets shift when a file is deleted between two of them."""


class Pager(msgspec.Struct):
    """Where the next page begins, and whether there is one.

    A short page does not prove the end: servers have limits of their own. Nor does a page without new files: that many
    files may have been added before it since the last page was read. The end is proven by an empty page, or by one that
    ends with the same file as the page before it and is shorter than a full page. Without the latter a walk never ends
    while files are added: each moves the last page back by one. Pages have `overlap` files in common.
    """

    pages_max: int
    offset: int = 0
    page_count: int = 0
    at_end: bool = False
    _stale_count: int = 0
    _longest: int = 0
    _last_id: str | None = None
    overlap: int = PAGE_OVERLAP

    def turn(self, file_ids: Sequence[str], *, fresh_count: int) -> str | None:
        """Advance past a page of these files, `fresh_count` of them new; return what is wrong with the list, if
        anything."""
        if not file_ids:
            self.at_end = True
            return None
        self.page_count += 1
        self.at_end = file_ids[-1] == self._last_id and len(file_ids) < self._longest
        self._last_id, self._longest = file_ids[-1], max(self._longest, len(file_ids))
        self._stale_count = 0 if fresh_count else self._stale_count + 1
        if self.at_end:
            return None
        if self._stale_count > STALE_PAGES_MAX:
            return "the server's list shows the same files on every page"
        if self.page_count >= self.pages_max:
            return f"the server's list did not end after {self.pages_max} pages"
        self.offset += len(file_ids) - min(self.overlap, len(file_ids) // 2)
        return None
