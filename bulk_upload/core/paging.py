"""How to walk through a server's list whose files may come and go between two pages."""

from __future__ import annotations

from dataclasses import dataclass

STALE_PAGES_MAX = 20
"""More pages in a row without a new file are no sign of a busy server, but of one that ignores the offset."""

PAGE_OVERLAP = 10
"""Pages overlap: offsets shift when somebody deletes a file between two of them."""


@dataclass(slots=True)
class Pager:
    """Where the next page begins. A short page is no proof of the end: only an empty one is.

    A page without news is not the end either: as many files as it has may have come in before it since the last
    one was read.
    """

    pages_max: int
    offset: int = 0
    page_count: int = 0
    _stale_count: int = 0

    def turn(self, *, file_count: int, fresh_count: int) -> str | None:
        """Go on behind a page with so many files, and so many new ones; return what is wrong with the list, if so."""
        self.page_count += 1
        self._stale_count = 0 if fresh_count else self._stale_count + 1
        if self._stale_count > STALE_PAGES_MAX:
            return "the server's list shows the same files on every page"
        if self.page_count >= self.pages_max:
            return f"the server's list did not end after {self.pages_max} pages"
        self.offset += file_count - min(PAGE_OVERLAP, file_count // 2)
        return None
