"""The mapping from path to file id, as a table for a terminal."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from bulk_upload.core.text.printable import human_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.report.export import ExportRow

_STATUS_STYLE = {
    "accepted": "green",
    "in_doubt": "yellow",
    "pending": "",
    "superseded": "dim",
    "dropped": "dim",
}


def mapping_table(rows: Iterable[ExportRow], limit: int, row_count: int | None = None) -> Table:
    """Return the first `limit` rows as a table; its caption says how many more there are.

    `row_count` is how many rows there are in all; without it, the rest of `rows` is read to be counted. Nothing
    is cut off: wide cells wrap, so that paths and ids can be copied.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 0), pad_edge=False, caption_justify="left")
    table.add_column("path", overflow="fold")
    table.add_column("purpose", overflow="fold")
    table.add_column("status", no_wrap=True)
    table.add_column("file id", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    rest = iter(rows)
    for row in islice(rest, limit):
        table.add_row(
            # Text, not str: a file name may look like markup, "[red]".
            Text(printable(row.path)),
            Text(printable(row.purpose)),
            Text(row.status, _STATUS_STYLE.get(row.status, "red")),
            Text(printable(row.file_id or "-")),
            Text("-" if row.bytes is None else human_bytes(row.bytes)),
        )
    more = sum(1 for _ in rest) if row_count is None else row_count - table.row_count
    if more > 0:
        table.caption = Text(f"... and {more:,} more")
    return table
