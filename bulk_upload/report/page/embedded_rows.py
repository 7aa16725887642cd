"""Export rows as data inside a page: compact, in portions, truncated only where the page says so."""

from __future__ import annotations

import posixpath
from itertools import islice
from typing import TYPE_CHECKING

from bulk_upload.core.content_hash import BLAKE3_PREFIX
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.report.page.markup import embedded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.report.export import ExportRow

PORTION_ROWS = 2000

_SHARED_MAX = 9999


def data_scripts(name: str, rows: Iterable[ExportRow]) -> Iterator[str]:
    """Yield script elements that hold rows as JSON, `PORTION_ROWS` in each; `page/script.js` reads them.

    A row is the path without the prefix it shares with the row before, preceded by that length in UTF-16 units; then
    the other columns, 0 for a purpose or a reason that is the same as before, and without the nulls at its end.
    """
    rest = iter(rows)
    while portion := list(islice(rest, PORTION_ROWS)):
        before = ("", "", "")
        packed = []
        for row in portion:
            cells, before = _packed(row, before)
            packed.append(cells)
        yield f'<script type="application/json" data-rows="{name}">{embedded(packed)}</script>\n'


def _packed(row: ExportRow, before: tuple[str, str, str]) -> tuple[list[object], tuple[str, str, str]]:
    path = printable(row.path)
    purpose, reason = printable(row.purpose), printable(row.reason or "")
    shared = _shared(path, before[0])
    sent_name = None if row.sent_name is None else printable(row.sent_name)
    settled_s = utc_seconds(row.settled_utc)
    cells: list[object] = [
        shared,
        path[shared:],
        0 if purpose == before[1] else purpose,
        row.status,
        row.bytes,
        row.file_id and printable(row.file_id),
        row.sha256 or (row.blake3 and BLAKE3_PREFIX + row.blake3),
        # Nearly always the base name, which needs no second place.
        None if sent_name == posixpath.basename(path) else sent_name,
        row.attempts,
        settled_s and round(settled_s),
        row.http_status,
        (0 if reason == before[2] else reason) if reason else None,
    ]
    while cells[-1] is None:
        cells.pop()
    return cells, (path, purpose, reason or before[2])


def _shared(path: str, before: str) -> int:
    """The length of two paths' common prefix, as far as its characters are one UTF-16 unit each."""
    count = 0
    for one, other in zip(path[:_SHARED_MAX], before, strict=False):
        if one != other or one > "\uffff":
            break
        count += 1
    return count
