"""Export rows as CSV, JSON Lines and Parquet: to a stream, to a file that is replaced as a whole, or as they settle."""

from __future__ import annotations

import csv
import io
import json
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from bulk_upload.core.report.export import ExportRow, csv_cells, plain_csv_line
from bulk_upload.edge.output import replaced
from bulk_upload.report.files.parquet import write_parquet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.report.member_rows import MemberRow

    Row = ExportRow | MemberRow

CSV_HEADER = f"{','.join(ExportRow._fields)}\n".encode("ascii")
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


class RowFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def write_csv(rows: Iterable[Row], stream: BinaryIO, kind: type[Row] = ExportRow) -> int:
    """Write a header and one CSV record (RFC 4180) per row; return how many rows.

    Lines end in a bare newline: every CSV reader accepts it, and line tools such as `cut` and `diff` see no stray
    carriage return in the last column. Undecodable names come out as the bytes they are on disk.

    Raises:
        OSError: the stream cannot be written.
    """
    stream.write(f"{','.join(kind._fields)}\n".encode("ascii"))
    count = 0
    for row in rows:
        stream.write(csv_line(row))
        count += 1
    return count


def csv_line(row: Row) -> bytes:
    """Return a row as one line of CSV, newline included: the one rule for everything that a spreadsheet may open."""
    line = plain_csv_line(row)
    if line is None:
        record = io.StringIO(newline="")
        csv.writer(record, lineterminator="").writerow(csv_cells(row))
        line = record.getvalue()
    return f"{line}\n".encode("utf-8", "surrogateescape")


def write_jsonl(rows: Iterable[Row], stream: BinaryIO) -> int:
    """Write one JSON object per row, with exactly the columns as keys and in their order; return how many rows.

    Raises:
        OSError: the stream cannot be written.
    """
    count = 0
    for row in rows:
        stream.write(json_line(row))
        count += 1
    return count


def json_line(row: Row) -> bytes:
    """Return a row as one line of JSON, newline included.

    The line is ASCII: an undecodable byte of a file name is the escape `\\udcXX`, as in manifests, and reading the
    line gives the same text back.
    """
    return _encode(row._asdict()).encode("ascii") + b"\n"


def write_rows(
    rows: Iterable[Row], stream: BinaryIO, row_format: RowFormat, kind: type[Row] = ExportRow
) -> int:
    """Write rows of one kind in the given format; return how many."""
    match row_format:
        case RowFormat.CSV:
            return write_csv(rows, stream, kind)
        case RowFormat.JSONL:
            return write_jsonl(rows, stream)
        case RowFormat.PARQUET:
            return write_parquet(rows, stream, kind)


def save_rows(
    rows: Iterable[Row],
    path: str,
    row_format: RowFormat,
    kind: type[Row] = ExportRow,
    *,
    private: bool = False,
) -> int:
    """Write rows to a file that is either complete and durable or absent; return how many.

    An older file at `path` stays as it is until the new one is durable.

    Raises:
        OSError: the file cannot be written; the older one, if any, is untouched.
    """
    with replaced(path, private=private) as stream:
        return write_rows(rows, stream, row_format, kind)
