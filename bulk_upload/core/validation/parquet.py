"""Checks a Parquet file by its first and last bytes and by its footer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.validation.file_types import PARQUET_MAGIC, not_json_lines
from bulk_upload.core.validation.mixup.sample import mismatch_of_columns
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.purposes import Purpose

TAIL_BYTES = 8
"""The length of the footer, little-endian, and the magic: parquet.apache.org/docs/file-format."""

_COLUMNS_SHOWN = 8


def ends_complaint(head: bytes, tail: bytes, file_bytes: int) -> Complaint | None:
    """Return a complaint about the first and the last bytes of a file named as Parquet."""
    if not head.startswith(PARQUET_MAGIC):
        other = not_json_lines(head)
        what = f": {other.found.removesuffix(', not JSON Lines')}" if other is not None else ""
        return Complaint("bad-parquet", f"the name says Parquet, but the file does not begin like one{what}")
    if not tail.endswith(PARQUET_MAGIC):
        return Complaint("bad-parquet", "the Parquet file does not end like one: its end is missing")
    if int.from_bytes(tail[:4], "little") + TAIL_BYTES + len(PARQUET_MAGIC) > file_bytes:
        return Complaint("bad-parquet", "the Parquet file is shorter than its footer says")
    return None


def footer_complaints(
    columns: Sequence[str], row_count: int, purpose: Purpose, known: Iterable[Purpose] = ()
) -> list[Complaint]:
    """Return what is wrong with the columns and the rows that a footer describes.

    A missing column is only a warning: the service also accepts files of tokens, whose columns its reference
    does not name.
    """
    complaints = []
    mismatch = mismatch_of_columns(columns, purpose, known)
    if mismatch is not None:
        return [mismatch]
    if not row_count:
        complaints.append(Complaint("empty-file", "the Parquet file has no rows"))
    missing = [name for name in purpose.schema.required_names if name not in columns]
    if missing:
        shown = ", ".join(columns[:_COLUMNS_SHOWN]) or "none"
        found = f"there is no column {', '.join(missing)}; there is {shown}"
        complaints.append(Complaint("parquet-columns", found, "footer"))
    return complaints
