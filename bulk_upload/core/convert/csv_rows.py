"""The rows of a CSV file as JSON objects, with one key for each column."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    array_of,
    encode_object,
    encode_text,
    items_of,
    object_of,
    on_one_line,
    record_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.shapes.json_values import Json

_ROWS_AT_ONCE = 500
_DELIMITERS = (",", "\t", ";")
_JSON_STARTS = frozenset("[{")


class BadRow(NamedTuple):
    """A row that does not fit the header, as an array of its cells, and why."""

    text: bytes
    reason: str


def delimiter_of(line: bytes) -> str | None:
    """Return what separates the cells of a header, None where nothing does."""
    text = line.decode("utf-8", "replace")
    best = max(_DELIMITERS, key=text.count)
    return best if best in text else None


def csv_rows(pieces: Iterable[bytes]) -> Iterator[list[Json] | BadRow]:
    """Return rows as JSON objects, some at once. A cell that holds a JSON array or object becomes that value."""
    lines = chain.from_iterable(_texts(pieces))
    first = next(lines, "")
    reader = csv.reader(chain([first], lines), delimiter=delimiter_of(first.encode()) or ",", strict=True)
    header: list[str] | None = None
    rows: list[Json] = []
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield BadRow(b"", f"the CSV cannot be read at line {reader.line_num:,}: {error}")
            continue
        if not cells:
            continue
        if header is None:
            header = cells
            if len(set(header)) < len(header):
                yield BadRow(array_of(map(encode_text, cells)), "the header names a column twice")
                return
            continue
        if len(cells) != len(header):
            reason = f"the row has {len(cells):,} cells and the header has {len(header):,}"
            yield BadRow(array_of(map(encode_text, cells)), reason)
            continue
        rows.append(_object(header, cells))
        if len(rows) == _ROWS_AT_ONCE:
            yield rows
            rows = []
    if rows:
        yield rows


def _texts(pieces: Iterable[bytes]) -> Iterator[StringIO]:
    """Yield whole lines, some at once."""
    rest = b""
    for piece in pieces:
        whole, end, rest = (rest + piece).rpartition(b"\n")
        if end:
            yield StringIO((whole + end).decode("utf-8"), newline="\n")
    if rest:
        yield StringIO(rest.decode("utf-8"), newline="\n")


def _object(header: list[str], cells: list[str]) -> Json:
    for cell in cells:
        if cell[:1] in _JSON_STARTS:
            return object_of(dict(zip(header, map(_value, cells), strict=True)))
    # Nearly all rows have nothing but texts.
    return encode_object(dict(zip(header, cells, strict=True)))


def _value(cell: str) -> Json:
    if cell[:1] in _JSON_STARTS:
        text = cell.strip().encode()
        try:
            if text[:1] == b"[":
                items_of(text)
            else:
                record_of(text)
        except NOT_JSON:
            return encode_text(cell)
        return on_one_line(text)
    return encode_text(cell)
