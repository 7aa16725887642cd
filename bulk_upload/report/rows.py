"""Export rows as CSV and JSON Lines: to a stream, to a file that is replaced as a whole, or as they settle."""

from __future__ import annotations

import csv
import json
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, BinaryIO

from bulk_upload.core.export import COLUMNS, csv_cells
from bulk_upload.report.replacing import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.export import ExportRow

_values = attrgetter(*COLUMNS)
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


class RowFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


def write_csv(rows: Iterable[ExportRow], stream: BinaryIO) -> int:
    """Write a header and one CSV record (RFC 4180) a row; return how many rows.

    Lines end in a bare newline: every CSV reader takes it, and line tools such as `cut` and `diff` see no stray
    carriage return in the last column. Undecodable names come out as the bytes they are on disk.

    Raises:
        OSError: the stream cannot be written.
    """
    writer = csv.writer(_Encoding(stream), lineterminator="\n")
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        writer.writerow(csv_cells(row))
        count += 1
    return count


def write_jsonl(rows: Iterable[ExportRow], stream: BinaryIO) -> int:
    """Write one JSON object a row, with exactly the columns as keys and in their order; return how many rows.

    Raises:
        OSError: the stream cannot be written.
    """
    count = 0
    for row in rows:
        stream.write(json_line(row))
        count += 1
    return count


def json_line(row: ExportRow) -> bytes:
    """Return a row as one line of JSON, newline included.

    All of it is ASCII: an undecodable byte of a file name is the escape `\\udcXX`, as in manifests, and reading the
    line gives the same text back.
    """
    return _encode(dict(zip(COLUMNS, _values(row), strict=True))).encode("ascii") + b"\n"


def write_rows(rows: Iterable[ExportRow], stream: BinaryIO, row_format: RowFormat) -> int:
    """Write rows in the given format; return how many."""
    return (write_csv if row_format is RowFormat.CSV else write_jsonl)(rows, stream)


def save_rows(rows: Iterable[ExportRow], path: str, row_format: RowFormat) -> int:
    """Write rows to a file that is complete and durable or not there at all; return how many.

    An older file at `path` stays as it is until the new one is durable.

    Raises:
        OSError: the file cannot be written; the older one, if any, is untouched.
    """
    with replaced(path) as stream:
        return write_rows(rows, stream, row_format)


class _Encoding:
    """What `csv.writer` writes to: text becomes bytes, surrogate escapes the bytes they stand for."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(text.encode("utf-8", "surrogateescape"))
