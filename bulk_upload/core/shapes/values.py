"""Finds JSON values one after the other: in an array, on one line, or over many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    array_of,
    is_object,
    is_text,
    items_of,
    record_of,
    value_length,
)
from bulk_upload.core.shapes.messages import is_message

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
_BEGINNING_BYTES = 8
_GAP = re.compile(rb"[ \t\r\n,\xef\xbb\xbf]*")
BETWEEN = b" \t\r\n,\xef\xbb\xbf"
"""What may stand between values."""


class NotAValue(NamedTuple):
    """Bytes between values, a value that does not end, or, without a text, the end of an array that does not end."""

    text: bytes


class ValueTooLong(ValueError):
    """A value is longer than the limit."""


class ValueSplitter:
    """Splits text into the values it holds; those of an outer array come one by one, an array of messages is one value.

    A value is what stands between brackets that match, line ends included: whether it is JSON is for its reader to
    find out. Memory is that of the longest value. `feed` and `finish` raise ValueTooLong.
    """

    def __init__(self, value_bytes_max: int) -> None:
        self._value_bytes_max = value_bytes_max
        self._pieces: list[bytes] = []
        self._pieces_bytes = 0
        self._text = b""
        self._wanted_bytes = 0
        self._position = 0
        self._end = 0
        """Where the last value ended."""
        self._start: int | None = None
        """Where the value begins that has not ended."""
        self._depth = 0
        self._base = 0
        """The depth that values stand at: 1 inside an outer array."""
        self._is_undecided = False
        """Whether the outermost open bracket may be that of an array of values, or of one value."""
        self._inner_start = 0

    def feed(self, piece: bytes) -> list[Json | NotAValue]:
        """Add text, and return the values that it completes."""
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        # A string that does not end is read again from its start: not for every piece.
        if self._pieces_bytes < self._wanted_bytes:
            return []
        return self._split()

    def finish(self) -> list[Json | NotAValue]:
        """Return what is left."""
        found = self._split()
        rest = self._text[self._end if self._start is None else self._start :].strip(BETWEEN)
        if rest:
            found.append(NotAValue(rest))
        elif self._base:
            found.append(NotAValue(b""))
        return found

    def _split(self) -> list[Json | NotAValue]:
        self._text = b"".join([self._text, *self._pieces])
        self._pieces.clear()
        self._pieces_bytes = self._wanted_bytes = 0
        found: list[Json | NotAValue] = []
        self._take_objects(found)
        has_objects = True
        while self._take_tokens(found, until_value=has_objects):
            has_objects = self._take_objects(found)
        self._trim()
        return found

    def _take_objects(self, found: list[Json | NotAValue]) -> bool:
        """Take the objects that come next and are JSON, as far as they are whole; return whether there were any.

        A parser finds their ends many times as fast as a search for their brackets.
        """
        if self._start is not None or self._depth != self._base:
            return False
        text, taken_count = self._text, len(found)
        with memoryview(text) as view:
            at = _after_gap(text, self._position)
            while text[at : at + 1] == b"{" and not text[self._end : at].strip(BETWEEN):
                with view[at:] as rest:
                    length = value_length(rest)
                if length is None:
                    break
                found.append(text[at : at + length])
                at = self._go_on(at + length)
                at = self._take_alike(at, found)
        return len(found) > taken_count

    def _take_alike(self, at: int, found: list[Json | NotAValue]) -> int:
        """Take the objects from `at` to the last one that begins like the first one, at once; return where to go on."""
        last = self._text.rfind(self._text[self._end - 1 : at + _BEGINNING_BYTES], at)
        if last > at:
            try:
                values = items_of(array_of([self._text[at : last + 1]]))
            except NOT_JSON:
                return at
            if all(map(is_object, values)):
                found += values
                return self._go_on(last + 1)
        return at

    def _go_on(self, end: int) -> int:
        """Return where the next value may begin after one that ends at `end`."""
        self._end = self._position = end
        return _after_gap(self._text, end)

    def _take_tokens(self, found: list[Json | NotAValue], *, until_value: bool) -> bool:
        """Take what comes next by its brackets, all of it or until a value ends; return whether there may be more."""
        for match in _TOKEN.finditer(self._text, self._position):
            token = match[0]
            if token == b'"':
                self._position = match.start()
                self._wanted_bytes = len(self._text) - self._position
                break
            self._position = match.end()
            if token in (b"{", b"["):
                self._open(token, match.start(), found)
            elif token in (b"}", b"]"):
                self._close(match.end(), found)
                if until_value and self._depth == self._base and self._start is None:
                    return True
            elif self._depth == self._base:
                self._begin(match.start(), found)
                self._emit(match.end(), found)
            elif self._is_undecided and self._depth == self._base + 1:
                # An array of strings: they are its values.
                self._descend()
                self._end = self._inner_start
                self._begin(match.start(), found)
                self._emit(match.end(), found)
        else:
            self._position = len(self._text)
        return False

    def _open(self, token: bytes, at: int, found: list[Json | NotAValue]) -> None:
        if self._depth == self._base:
            self._begin(at, found)
            self._is_undecided = token == b"[" and self._base == 0
            self._inner_start = at + 1
        elif self._is_undecided and self._depth == self._base + 1:
            if token == b"[":
                self._descend()
                self._start = at
            else:
                self._inner_start = at
        self._depth += 1

    def _close(self, end: int, found: list[Json | NotAValue]) -> None:
        if self._depth == self._base:
            if self._base:
                # The end of the outer array.
                self._between(end - 1, found)
                self._base = self._depth = 0
                self._end = end
            return
        self._depth -= 1
        if self._depth == self._base:
            self._emit(end, found)
        elif self._is_undecided and self._depth == self._base + 1:
            self._is_undecided = False
            if not _is_message(self._text[self._inner_start : end]):
                self._descend()
                self._start = self._inner_start
                self._emit(end, found)

    def _descend(self) -> None:
        self._is_undecided = False
        self._base += 1
        self._start = None

    def _begin(self, at: int, found: list[Json | NotAValue]) -> None:
        self._between(at, found)
        self._start = at

    def _between(self, at: int, found: list[Json | NotAValue]) -> None:
        between = self._text[self._end : at].strip(BETWEEN)
        if between:
            found.append(NotAValue(between))

    def _emit(self, end: int, found: list[Json | NotAValue]) -> None:
        if self._start is not None:
            found.append(self._text[self._start : end])
        self._start = None
        self._end = end
        self._is_undecided = False

    def _trim(self) -> None:
        done = self._end if self._start is None else self._start
        if len(self._text) - done > self._value_bytes_max:
            raise ValueTooLong
        self._text = self._text[done:]
        self._position -= done
        self._inner_start -= done
        self._end = 0 if self._start is None else self._end - done
        self._start = None if self._start is None else 0


def _after_gap(text: bytes, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()


def values_in(text: bytes) -> list[Json] | None:
    """Return the objects and arrays of messages that a text consists of, None where there is anything else."""
    if text.lstrip(BETWEEN)[:1] not in (b"{", b"["):
        # Most texts: no search is needed.
        return None
    splitter = ValueSplitter(len(text))
    values: list[Json] = []
    for one in [*splitter.feed(text), *splitter.finish()]:
        if not isinstance(one, bytes) or is_text(one):
            return None
        values.append(one)
    return values


def _is_message(text: bytes) -> bool:
    try:
        return is_message(record_of(text))
    except NOT_JSON:
        return False
