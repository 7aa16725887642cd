"""How the records of a file follow each other, and the lines of JSON that they become."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.convert.csv_rows import csv_rows, delimiter_of
from bulk_upload.core.convert.wrapped import Unwrapped, wrapper_of
from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.shapes.json_values import NOT_JSON, is_array, is_object, is_text, text_of
from bulk_upload.core.shapes.repairs import is_example, repaired
from bulk_upload.core.shapes.values import NotAValue, ValueSplitter
from bulk_upload.core.validation.line_splitter import PIECE_BYTES, HugeLine, LineSplitter

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

RECORD_BYTES_MAX = 256 * 1024 * 1024
"""A longer record is left in its file: it is eight times what validation accepts."""

HEAD_BYTES = 256 * 1024
"""How much of a file decides how its records are told apart."""

_LINES_SEEN_MAX = 50
_NO_VALUE = "it is no JSON value, or one that does not end"
_CUT_OFF = "the array does not end: the file may have been cut off here"
_OBJECT_CUT_OFF = "the object around the records does not end: the file may have been cut off here"
_CSV_SUFFIXES = (".csv", ".tsv")


class Framing(StrEnum):
    """How records follow each other."""

    LINES = "lines"
    CR_LINES = "lines that end with CR alone"
    VALUES = "one JSON array, or objects that span several lines"
    WRAPPED = "the array in one object"
    CSV = "CSV"


class Unreadable(NamedTuple):
    """A part of a file that is no record, and why. `text` is empty where it is too long to keep."""

    text: bytes
    reason: str


Batch = list[bytes] | Unreadable


def framing_of(head: bytes, name: str, *, is_whole: bool, fields: Container[str] | None = None) -> Framing:
    """Return how the records of a file follow each other, by its first bytes in UTF-8 and its name.

    `fields` are those that a record has; where they are not known, one object is one record, whatever it holds.
    """
    text = head.strip()
    is_json = is_object(text) or is_array(text)
    if suffix_of(name) in _CSV_SUFFIXES and not is_json:
        return Framing.CSV
    if b"\n" not in text and b"\r" in text and _is_record(text.split(b"\r")[0]):
        return Framing.CR_LINES
    lines = [line for line in text.split(b"\n") if line.strip()]
    if not is_whole and len(lines) > 1:
        lines.pop()
    seen = lines[:_LINES_SEEN_MAX]
    if is_array(text):
        return Framing.LINES if any(is_array(one) and is_example(one) for one in seen) else Framing.VALUES
    if is_object(text):
        if fields is not None and wrapper_of(text, fields) is not None and _is_one(text, is_whole=is_whole):
            return Framing.WRAPPED
        return _of_objects(text, seen, is_whole=is_whole)
    if any(map(_is_record, seen)) or (is_text(text) and _is_string(seen[0])):
        return Framing.LINES
    return Framing.CSV if seen and delimiter_of(seen[0]) is not None else Framing.LINES


def _of_objects(text: bytes, lines: list[bytes], *, is_whole: bool) -> Framing:
    if _is_record(lines[0]):
        return Framing.LINES
    first = next(iter(ValueSplitter(len(text)).feed(text)), None)
    if isinstance(first, bytes):
        # An object over many lines; if it is no JSON, its first line is only a bad one.
        return Framing.VALUES if is_example(first) or not any(map(_is_record, lines)) else Framing.LINES
    is_open = lines[0].rstrip().endswith((b"{", b"[", b",", b":")) and not is_whole
    return Framing.VALUES if is_open or not any(map(_is_record, lines)) else Framing.LINES


def _is_one(text: bytes, *, is_whole: bool) -> bool:
    """Whether a text that begins with an object holds nothing else."""
    first = next(iter(ValueSplitter(len(text)).feed(text)), None)
    return first is None or (is_whole and first == text)


def _is_record(line: bytes) -> bool:
    """Whether a line holds records of its own, as it is or mended."""
    return is_example(line.strip()) or repaired(line) is not None


def _is_string(line: bytes) -> bool:
    try:
        text_of(line.strip())
    except NOT_JSON:
        return False
    return True


def batches(pieces: Iterable[bytes], framing: Framing) -> Iterator[Batch]:
    """Return the records of a file as lines of JSON text, and what is no record.

    Raises ValueTooLong where the text of a value does not end within the limit.
    """
    match framing:
        case Framing.CSV:
            for row in csv_rows(pieces):
                yield row if isinstance(row, list) else Unreadable(row.text, row.reason)
        case Framing.VALUES:
            yield from _values(pieces)
        case Framing.WRAPPED:
            array = Unwrapped(pieces)
            yield from _values(array)
            if not array.has_end:
                yield Unreadable(b"", _OBJECT_CUT_OFF)
        case Framing.CR_LINES:
            yield from _lines(piece.replace(b"\r", b"\n") for piece in pieces)
        case Framing.LINES:
            yield from _lines(pieces)


def _lines(pieces: Iterable[bytes]) -> Iterator[Batch]:
    splitter = LineSplitter(RECORD_BYTES_MAX)
    for piece in pieces:
        for start in range(0, len(piece), PIECE_BYTES):
            for run in splitter.split(piece[start : start + PIECE_BYTES]):
                yield _run(run)
    for run in splitter.rest():
        yield _run(run)


def _run(run: list[bytes] | HugeLine) -> Batch:
    if isinstance(run, HugeLine):
        return Unreadable(b"", f"the line has {run.length:,} bytes; it stays in the original")
    return run


def _values(pieces: Iterable[bytes]) -> Iterator[Batch]:
    splitter = ValueSplitter(RECORD_BYTES_MAX)
    for piece in pieces:
        yield from _told_apart(splitter.feed(piece))
    yield from _told_apart(splitter.finish())


def _told_apart(found: list[bytes | NotAValue]) -> Iterator[Batch]:
    values: list[bytes] = []
    for one in found:
        if isinstance(one, bytes):
            values.append(one)
            continue
        if values:
            yield values
            values = []
        yield Unreadable(one.text, _NO_VALUE if one.text else _CUT_OFF)
    if values:
        yield values
