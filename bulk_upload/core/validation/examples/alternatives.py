"""Judges lines that may have one of several shapes, each with rules of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.purposes import shapes_of
from bulk_upload.core.validation.fast_decoder import NOT_PASSED, reader_of
from bulk_upload.core.validation.line_checker import LineJudge
from bulk_upload.core.validation.rules import NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from bulk_upload.core.purposes import Purpose, Schema
    from bulk_upload.core.validation.json_text import Parsed

_plain = msgspec.json.Decoder().decode


def line_judge(
    purpose: Purpose,
    *,
    known: Iterable[Purpose],
    thorough: bool = False,
    counted: Container[str] = NO_RULES,
) -> LineJudge | AlternativesJudge:
    """Return what checks single lines of a purpose: `LineJudge`, or one that chooses a shape for each line."""
    shapes = shapes_of(purpose)
    known = tuple(shape for one in known for shape in shapes_of(one))
    judges = [LineJudge(one, known=known, thorough=thorough, counted=counted) for one in shapes]
    return judges[0] if len(judges) == 1 else AlternativesJudge(shapes, judges, thorough=thorough)


class AlternativesJudge:
    """Checks lines as `LineJudge` does, each by the alternative whose fields it has."""

    def __init__(self, shapes: Sequence[Purpose], judges: Sequence[LineJudge], *, thorough: bool) -> None:
        self._schemas = tuple(one.schema for one in shapes)
        self._judges = tuple(judges)
        self._readers = tuple(reader_of(one.schema) for one in shapes)
        # A line with the fields of an earlier alternative alone is one of that, and needs a look at its keys.
        self._is_quick = tuple(
            not thorough and not any(_takes(earlier, one) for earlier in self._schemas[:number])
            for number, one in enumerate(self._schemas)
        )
        self._current = 0

    def judge(self, lines: Sequence[bytes]) -> Iterator[tuple[int, list[Complaint]]]:
        """Yield each line with findings, by its index."""
        for index, line in enumerate(lines):
            complaints = self._quickly(line)
            if complaints is None:
                complaints = self._chosen(_value_of(line)).complaints(line)
            if complaints:
                yield index, complaints

    def passes_alone(self, line: bytes) -> bool:
        """Whether a line is valid and has exactly the fields of the alternative that the last line had."""
        return self._quickly(line) == []

    def parse(self, line: bytes) -> Parsed:
        """Parse a line."""
        return self._judges[0].parse(line)

    def examine(self, line: bytes) -> list[Complaint]:
        """Return what is wrong with one line, by the exact path."""
        return self._chosen(_value_of(line)).examine(line)

    def weigh(self, parsed: Parsed) -> list[Complaint]:
        """Return what is wrong with a parsed line."""
        return self._chosen(parsed.value).weigh(parsed)

    def is_example(self, parsed: Parsed) -> bool:
        """Whether a line holds an example, with or without mistakes, and is not part of something larger."""
        return self._chosen(parsed.value).is_example(parsed)

    def likeness(self, parsed: Parsed) -> list[Complaint]:
        """Return a complaint when a line that has all it needs looks like another purpose's."""
        return self._chosen(parsed.value).likeness(parsed)

    def _quickly(self, line: bytes) -> list[Complaint] | None:
        """Return what is wrong with a line of the same shape as the one before, None where that takes a closer look."""
        if not self._is_quick[self._current]:
            return None
        reader = self._readers[self._current]
        try:
            return reader.judge_strict(reader.strict(line))
        except NOT_PASSED:
            return None

    def _chosen(self, value: object) -> LineJudge:
        if isinstance(value, dict):
            self._current = alternative_of(value, self._schemas)
        return self._judges[self._current]


def alternative_of(value: Mapping[str, Any], schemas: Sequence[Schema]) -> int:
    """Return which alternative a line follows: the first that fits, or the one of which it has the most fields."""
    for number, schema in enumerate(schemas):
        if all(name in value for name in schema.required_names) and (
            not schema.is_closed or value.keys() <= {one.name for one in schema.fields}
        ):
            return number
    return max(
        range(len(schemas)), key=lambda number: sum(name in value for name in schemas[number].required_names)
    )


def _takes(earlier: Schema, later: Schema) -> bool:
    """Whether a line with no other fields than those of the later alternative may follow the earlier one."""
    return set(earlier.required_names) <= {one.name for one in later.fields}


def _value_of(line: bytes) -> object:
    try:
        return _plain(line)
    except (*NOT_PASSED, ValueError):
        return None
