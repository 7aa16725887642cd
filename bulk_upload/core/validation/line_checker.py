"""Checks lines: the fast path for valid ones, the exact path for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.shapes.telling_keys import TELLING_KEYS
from bulk_upload.core.validation.conversion.line_faults import with_fault_named
from bulk_upload.core.validation.fast_decoder import NOT_PASSED, reader_of
from bulk_upload.core.validation.foreign import (
    are_plain_messages,
    foreign_schema,
    foreign_value,
    is_unknown,
    other_purpose,
)
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.line_schema import LineRules
from bulk_upload.core.validation.quick.repair import quickly_mended
from bulk_upload.core.validation.quick.text_faults import counted_fault
from bulk_upload.core.validation.rules import NO_RULES, Complaint, is_error

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.json_text import Parsed

_SHAPES_REMEMBERED_MAX = 256
_RETRIES_MAX = 1_000
"""How many lines are looked at again whose keys are those of a line that could not be converted."""


_MISSES_MAX = 8
_LINES_LEFT = 64
"""After so many lines in a row that were not passed quickly, so many are not tried: the file is of another kind."""

_plain: Callable[[bytes], Any] = msgspec.json.Decoder().decode
# Numbers of thousands of digits are values that Python refuses to make.
_NOT_PLAIN = (*NOT_PASSED, ValueError)
_UNREAD = object()


class LineJudge:
    """Checks single lines against the rules of one purpose.

    Args:
        known: the purposes that lines may look like.
        thorough: also look for duplicate keys: no line takes the fast path then.
        counted: rules whose complaints need no words; it may grow meanwhile.
    """

    def __init__(
        self,
        purpose: Purpose,
        *,
        known: Iterable[Purpose],
        thorough: bool = False,
        counted: Container[str] = NO_RULES,
    ) -> None:
        self._purpose = purpose
        self._schema = purpose.schema
        self._counted = counted
        self._rules = LineRules(purpose.schema, counted)
        self._known = tuple(known)
        self._thorough = thorough
        self._reader = reader_of(purpose.schema)
        self._foreign_known: dict[tuple[str, ...], Complaint] = {}
        self._retries_left = _RETRIES_MAX
        self._required = frozenset(purpose.schema.required_names)
        self._others: dict[tuple[str, ...], Complaint | None] = {}
        self._telling = _telling_keys(self._known)
        self._array: Complaint | None = None
        self._unread_count = self._unread_left = 0
        self._decode = _pass_none if thorough else self._reader.strict
        self._missed_count = 0
        self._needs_all = all(field.required for field in purpose.schema.fields) and not thorough

    def complaints(self, line: bytes) -> list[Complaint]:
        """Return what is wrong with one line, its end included or not."""
        return next((found for _, found in self.judge([line])), [])

    def judge(self, lines: Sequence[bytes]) -> Iterator[tuple[int, list[Complaint]]]:
        """Yield each line with findings, by its index."""
        decode, strict = self._decode, self._reader.strict
        judge_row = self._reader.judge_strict if decode is strict else self._reader.judge
        missed_count, left_count = self._missed_count, 0
        for index, line in enumerate(lines):
            is_tried = not left_count
            if left_count:
                left_count -= 1
            else:
                try:
                    complaints = judge_row(decode(line))
                except NOT_PASSED:
                    complaints = None
                if complaints is not None:
                    missed_count = 0
                    if complaints:
                        yield index, complaints
                    continue
                missed_count += 1
                if missed_count >= _MISSES_MAX:
                    left_count = _LINES_LEFT
            complaints = self._looked_at(line)
            if complaints:
                yield index, complaints
            if is_tried and decode is strict and not any(map(is_error, complaints)):
                # Good, but not passed: it has other keys, as the rest of the file will probably have.
                decode, judge_row = self._decode_lenient, self._reader.judge
                self._decode = decode
        self._missed_count = missed_count

    def passes_alone(self, line: bytes) -> bool:
        """Whether a line is valid and has exactly the schema's keys: it cannot match a purpose that needs more."""
        if not (self._needs_all and self._schema.fields):
            return False
        try:
            found = self._reader.judge_strict(self._reader.strict(line))
        except NOT_PASSED:
            return False
        return found is not None and not found

    def _looked_at(self, line: bytes) -> list[Complaint]:
        """Return what is wrong with a line that may well be JSON: as `examine` does, and faster."""
        if self._thorough:
            return self.examine(line)
        value = self._read(line)
        if isinstance(value, dict):
            return self._schema_complaints(value)
        if isinstance(value, list):
            return self._array_complaints(value, line)
        return self._fault_complaints(line, value) or self.examine(line)

    def _fault_complaints(self, line: bytes, value: object) -> list[Complaint]:
        """Return what is wrong with a line that is no object as it stands, nothing where the exact way must say it."""
        fault = quickly_mended(line, value)
        if fault is None and value is _UNREAD:
            fault = counted_fault(line, self._counted)
        if fault is None:
            return []
        complaint, text = fault
        if text is None:
            return [complaint]
        found = self._object_complaints(text)
        return [] if found is None else [complaint, *found]

    def _object_complaints(self, text: bytes) -> list[Complaint] | None:
        """Return what is wrong with the object that a text is, None where it is none or not read quickly."""
        try:
            found = self._reader.judge_strict(self._reader.strict(text))
        except NOT_PASSED:
            found = None
        if found is not None:
            return found
        try:
            value = _plain(text)
        except _NOT_PLAIN:
            return None
        return self._schema_complaints(value) if isinstance(value, dict) else None

    def _read(self, line: bytes) -> Any:  # noqa: ANN401 (a JSON value)
        """Return what a line holds, `_UNREAD` where only the exact way can say it, and after many such lines untried."""
        if self._unread_left:
            self._unread_left -= 1
            return _UNREAD
        try:
            value = _plain(line)
        except _NOT_PLAIN:
            self._unread_count += 1
            if self._unread_count >= _MISSES_MAX:
                self._unread_left = _LINES_LEFT
            return _UNREAD
        self._unread_count = 0
        return value

    def _array_complaints(self, value: list[Any], line: bytes) -> list[Complaint]:
        if is_unknown(value, self._schema):
            return [_not_an_object(value)]
        if not are_plain_messages(value, self._schema.roles):
            return self.examine(line)
        if self._array is None:
            self._array = foreign_value(value, self._schema)
        return [_not_an_object(value)] if self._array is None else [self._array]

    def examine(self, line: bytes) -> list[Complaint]:
        """Return what is wrong with one line, by the exact path."""
        if not line.strip():
            return [Complaint("blank-line", "the line is blank")]
        return self.weigh(self.parse(line))

    def parse(self, line: bytes) -> Parsed:
        """Parse a line."""
        parsed = parse_line(line, find_repeated_keys=self._thorough, counted=self._counted)
        return with_fault_named(parsed, line, self._counted)

    def weigh(self, parsed: Parsed) -> list[Complaint]:
        """Return what is wrong with a parsed line."""
        if not parsed.is_json:
            return parsed.complaints
        if not isinstance(parsed.value, dict):
            if (foreign := foreign_value(parsed.value, self._schema)) is not None:
                return [*parsed.complaints, foreign]
            return [*parsed.complaints, _not_an_object(parsed.value)]
        return [*parsed.complaints, *self._schema_complaints(parsed.value)]

    def is_example(self, parsed: Parsed) -> bool:
        """Whether a line holds an example, with or without mistakes, and is not part of something larger."""
        return (
            isinstance(parsed.value, dict)
            and not parsed.complaints
            and not any(one.rule == "missing-key" for one in self.weigh(parsed))
        )

    def likeness(self, parsed: Parsed) -> list[Complaint]:
        """Return a complaint when a line that has all it needs looks like another purpose's."""
        if not isinstance(parsed.value, dict) or not parsed.value.keys() >= set(self._schema.required_names):
            return []
        other = other_purpose(parsed.value, self._purpose, self._known)
        return [] if other is None else [other]

    def _schema_complaints(self, value: Mapping[str, Any]) -> list[Complaint]:
        if value.keys() >= self._required or (self._telling is not None and self._telling.isdisjoint(value)):
            return self._rules.complaints(value)
        foreign = self._foreign(value)
        if foreign is not None:
            return [foreign]
        complaints = self._rules.complaints(value)
        other = self._other_purpose(value)
        return complaints if other is None else [*complaints, other]

    def _other_purpose(self, value: Mapping[str, Any]) -> Complaint | None:
        """Return a complaint about another purpose, which the keys of a line alone decide."""
        keys = tuple(value)
        if keys in self._others:
            return self._others[keys]
        other = other_purpose(value, self._purpose, self._known)
        if len(self._others) < _SHAPES_REMEMBERED_MAX:
            self._others[keys] = other
        return other

    def _foreign(self, value: Mapping[str, Any]) -> Complaint | None:
        """Return a complaint about another tool's shape. A few are kept of a file: lines with the same keys share one.

        Where one line cannot be converted, the next ones may well be.
        """
        keys = tuple(value)
        known = self._foreign_known.get(keys)
        if known is None or (known.convert is None and self._retries_left > 0):
            self._retries_left -= known is not None
            known = foreign_schema(value, self._schema)
            if known is not None and len(self._foreign_known) < _SHAPES_REMEMBERED_MAX:
                self._foreign_known[keys] = known
        return known

    def _decode_lenient(self, line: bytes) -> Any:  # noqa: ANN401 (rows are of a type made for the schema)
        row = self._reader.lenient(line)
        if not line.isascii():
            # msgspec does not check what it skips.
            line.decode("utf-8")
        return row


def _not_an_object(value: object) -> Complaint:
    what = "an array" if isinstance(value, list) else "a single value"
    return Complaint("not-an-object", f"the line is {what}, not an object")


def _telling_keys(known: Iterable[Purpose]) -> frozenset[str] | None:
    """Return the keys by which a line is known as another tool's or another purpose's, None where any may be."""
    keys = set(TELLING_KEYS)
    for one in known:
        if one.schema.fields and not one.schema.required_names:
            return None
        keys.update(one.schema.required_names)
    return frozenset(keys)


def _pass_none(line: bytes) -> Any:  # noqa: ANN401, ARG001 (a decoder by its signature)
    raise msgspec.DecodeError
