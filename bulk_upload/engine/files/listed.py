"""The files of a server, page by page."""

from __future__ import annotations

from collections import deque
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from bulk_upload.core.api.paging import Pager
from bulk_upload.errors import ServerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import ListedFile
    from bulk_upload.engine.doubt.inquiry import Inquiry

LIST_PAGES_MAX = 1_000_000
PAGES_REMEMBERED = 3
"""Pages whose ids are kept: pages overlap, and files that are added meanwhile move them on."""


async def listed(
    inquiry: Inquiry, profile: Profile, *, purpose: str | None = None, name: str | None = None
) -> AsyncIterator[ListedFile]:
    """Yield files in the order of the list, newest first, as they come: memory does not grow with their number.

    A file that moves by several pages meanwhile may come twice. Raises what Inquiry raises.

    Args:
        inquiry: the server.
        profile: says how its list is asked for.
        purpose: only files with this purpose.
        name: only files whose name matches this pattern of `*`, `?` and `[...]`.
    """
    pager = Pager.through(profile, pages_max=LIST_PAGES_MAX)
    recent: deque[frozenset[str]] = deque(maxlen=PAGES_REMEMBERED)
    while not pager.at_end:
        page = await inquiry.list_page(pager.request)
        known = frozenset().union(*recent)
        fresh = [one for one in page.files if one.file_id not in known]
        recent.append(frozenset(page.ids))
        for one in fresh:
            if _is_wanted(one, purpose=purpose, name=name):
                yield one
        problem = pager.turn(page, fresh_count=len(fresh))
        if problem is not None:
            raise ServerUnusable(problem, hint="the files above are not all")


def _is_wanted(file: ListedFile, *, purpose: str | None, name: str | None) -> bool:
    if purpose is not None and file.purpose != purpose:
        return False
    return name is None or (file.filename is not None and fnmatchcase(file.filename, name))
