"""What is judged across the lines of a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.purposes import Field, Kind, Purpose, Schema
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.examples.file_values import FileValues
from bulk_upload.core.validation.quarantine import LineSorter

REQUESTS = Purpose(
    name="batch",
    summary="requests",
    suffixes=(".jsonl",),
    schema=Schema(
        fields=(
            Field(name="id", kind=Kind.STRING, unique=True),
            Field(name="url", kind=Kind.STRING, same=True),
            Field(
                name="body",
                kind=Kind.OBJECT,
                fields=(Field(name="model", kind=Kind.STRING, required=False, same=True),),
            ),
        ),
        lines_max=4,
        file_bytes_max=400,
    ),
)


def line(id: object = "a", url: object = "/x", **body: object) -> bytes:  # noqa: A002 (the field's name)
    return json.dumps({"id": id, "url": url, "body": body}).encode() + b"\n"


def found(
    *lines: bytes, purpose: Purpose = REQUESTS, piece_bytes: int = 10**6
) -> list[tuple[str, int | None, str]]:
    """Return rule, line and place of each finding of such a file."""
    checker = Checker(purpose, where="a.jsonl", known=(purpose,))
    data = b"".join(lines)
    findings = [
        one
        for start in range(0, len(data), piece_bytes)
        for one in checker.feed(data[start : start + piece_bytes])
    ]
    return [(one.rule, one.line_no, one.place or "") for one in [*findings, *checker.finish()]]


def test_a_value_that_must_differ_is_named_with_its_first_line() -> None:
    """The second line with a value is an error; a third one as well; the first is not."""
    checker = Checker(REQUESTS, where="a.jsonl", known=(REQUESTS,))
    findings = [*checker.feed(line("a") + line("b") + line("a", n=1)), *checker.finish()]
    (one,) = findings
    assert (one.rule, one.line_no, one.place, one.found) == (
        "repeated-value",
        3,
        "$.id",
        '"a" stands on line 1 already',
    )


def test_a_value_that_must_be_the_same_is_compared_with_the_first() -> None:
    """Every line with another value is an error, also within an object; where it is absent nothing is wrong."""
    assert found(line("a"), line("b", "/y"), line("c", model="m"), line("d", model="n")) == [
        ("differing-value", 2, "$.url"),
        ("differing-value", 4, "$.body.model"),
    ]


def test_limits_of_the_whole_file_are_named_once() -> None:
    """More lines, or more bytes, than the server takes: one finding each, about no line."""
    rules = found(*[line(str(number), text="x" * 100) for number in range(5)])
    assert rules == [("too-many-lines", None, ""), ("too-many-bytes", None, "")]
    assert found(*[line(str(number)) for number in range(4)]) == []


@pytest.mark.parametrize("bad", [b"\n", b"not json\n", b"[]\n", b'{"id": []}\n', b"\xff\n", b'{"id": "a"\n'])
def test_lines_that_cannot_be_read_are_passed_over(bad: bytes) -> None:
    """They have findings of their own; line numbers behind them stay right."""
    assert FileValues(REQUESTS.schema).take([bad, line("a"), bad, line("a")], 1)[0][0] == 3


def test_lines_are_found_in_whatever_pieces_a_file_is_read() -> None:
    """The beginning of a file is judged apart; no line is counted twice or left out."""
    lines = [line(str(number % 3), "/x" if number < 3 else "/y") for number in range(4)]
    assert found(*lines, piece_bytes=7) == found(*lines)


def test_a_repaired_copy_keeps_the_first_of_equal_values() -> None:
    """Lines whose value stands on an earlier line are sorted out with their finding."""
    sorter = LineSorter(REQUESTS, where="a.jsonl", known=(REQUESTS,))
    first = sorter.sort([line("a"), line("b")])
    second = sorter.sort([line("a", n=1), line("c")])
    assert [*first.good, *second.good] == [line("a"), line("b"), line("c")]
    ((line_no, _, (finding,)),) = second.bad
    assert (line_no, finding.rule) == (3, "repeated-value")


VALUES: st.SearchStrategy[Any] = st.one_of(
    st.text(max_size=2), st.integers(-2, 2), st.booleans(), st.none(), st.just([])
)


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12))
def test_what_is_found_is_what_a_loop_finds(rows: list[tuple[Any, Any]]) -> None:
    """The same lines as by a loop over decoded lines."""
    schema = replace(
        REQUESTS.schema,
        fields=(
            Field(name="id", kind=Kind.ANY, unique=True),
            Field(name="url", kind=Kind.ANY, same=True),
        ),
    )
    lines = [json.dumps({"id": one, "url": url}).encode() for one, url in rows]
    expected: dict[int, set[str]] = {}
    seen: set[str] = set()
    first: str | None = None
    for index, (one, url) in enumerate(rows):
        if isinstance(one, list) or isinstance(url, list):
            continue
        if one is not None:
            if json.dumps(one) in seen:
                expected.setdefault(index, set()).add("repeated-value")
            seen.add(json.dumps(one))
        if url is not None:
            first = json.dumps(url) if first is None else first
            if json.dumps(url) != first:
                expected.setdefault(index, set()).add("differing-value")
    got = {index: {one.rule for one in complaints} for index, complaints in FileValues(schema).take(lines, 1)}
    assert got == expected
