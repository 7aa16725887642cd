"""The rows of a CSV file as JSON objects, with one key for each column."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    Json,
    array_of,
    encode_object,
    encode_text,
    items_of,
    object_of,
    on_one_line,
    record_of,
)
from bulk_upload.core.shapes.layouts.conversation import ANSWER_KEYS
from bulk_upload.core.shapes.layouts.reinforcement import REFERENCE_KEYS
from bulk_upload.core.shapes.messages import is_conversation, is_message
from bulk_upload.core.shapes.names import PAIR_KEYS, SYSTEM_KEYS, TEXT_KEYS
from bulk_upload.core.shapes.prompts import CONTEXT_KEYS, QUESTION_KEYS
from bulk_upload.core.shapes.target import MESSAGES, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROWS_AT_ONCE = 500
_DELIMITERS = (",", "\t", ";")
_JSON_STARTS = frozenset("[{")
_SPOKEN = frozenset(
    {
        *QUESTION_KEYS, *ANSWER_KEYS, *CONTEXT_KEYS, *REFERENCE_KEYS, *SYSTEM_KEYS, *TEXT_KEYS, TEXT,
        *(name for pair in PAIR_KEYS for name in pair),
    }
)  # fmt: skip
"""Columns of what is said: JSON there is a text to learn from, unless it is a conversation."""


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
    """Return rows as JSON objects, some at once. A cell that holds a JSON array or object becomes that value: see `_SPOKEN`."""
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
            return object_of({name: _value(name, cell) for name, cell in zip(header, cells, strict=True)})
    # Nearly all rows have nothing but texts.
    return encode_object(dict(zip(header, cells, strict=True)))


def _value(column: str, cell: str) -> Json:
    if cell[:1] in _JSON_STARTS:
        text = cell.strip().encode()
        try:
            is_value = _is_said(text) if column in _SPOKEN else _is_json(text)
        except NOT_JSON:
            is_value = False
        if is_value:
            return on_one_line(text)
    return encode_text(cell)


def _is_said(text: Json) -> bool:
    """Whether a value is messages, one message, or an object of messages."""
    if text[:1] == b"[":
        return is_conversation(text)
    record = record_of(text)
    return is_message(record) or is_conversation(record.get(MESSAGES, b""))


def _is_json(text: Json) -> bool:
    if text[:1] == b"[":
        items_of(text)
    else:
        record_of(text)
    return True
