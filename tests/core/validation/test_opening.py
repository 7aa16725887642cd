"""The first lines of a file: a bad start condemns nothing, and what is no JSON Lines is called by its name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.validation.opening.hold import SAMPLE_LINES
from bulk_upload.core.validation.quarantine import LineSorter
from tests.core.data_samples import CHAT, PRETRAIN, check, found, good, sample

BAD_STARTS = {
    "a raw line break": (b'{"messages":[{"role":"user","content":"one\ntwo"},{"role":"assistant","content":"y"}]}\n', [1, 2]),
    "a zero byte": (b'{"messages":[{"role":"user","content":"a\0b"},{"role":"assistant","content":"y"}]}\n', [1]),
    "zero bytes before": (b"\0" * 700 + b'{"messages":[]}\n', [1]),
    "invisible characters": ('\u200b{"messages": []}\n\ufeff{"messages": []}\n'.encode(), [1, 2]),
    "comments": (b"# made by export.py\n// two\n\n# three\n", [1, 2, 4]),
    "log lines": (b"2026-01-01 INFO start\n" * 3, [1, 2, 3]),
    "a table's header": (b"text,label\nx,y\n", [1, 2]),
    "a bracket": (b"[\n", [1]),
    "a brace": (b"{\n", [1]),
    "an array": (b'[{"text": "a"}, {"text": "b"}]\n', [1]),
    "markup": (b"<html>\n<body>\n", [1, 2]),
    "bytes of Latin-1": (b"caf\xe9\ncaf\xe9, cr\xe8me\n", [1, 2]),
}  # fmt: skip


@pytest.mark.parametrize("start", BAD_STARTS)
def test_a_bad_start_condemns_nothing(start: str) -> None:
    """Where any line of the start is an example, the bad lines are named and the good ones are kept."""
    bad, numbers = BAD_STARTS[start]
    for count in (1, 20, 60):
        data = bad + good(CHAT, count)
        report = check(CHAT, data)
        assert sorted({one.line_no or 0 for one in report.findings if one.severity == "error"}) == numbers
        assert report.line_count == data.count(b"\n")
        sorter = LineSorter(CHAT, where="f", known=())
        assert len(sorter.sort(data.splitlines(keepends=True)).good) == count


def test_a_bad_start_of_other_lines_than_examples() -> None:
    """Objects that lack a key are lines too, once they are most of the first ones."""
    report = check(PRETRAIN, b"# a comment\n" + b'{"txt": "a"}\n{"txt": "b"}\n')
    assert list(report.counts) == ["bad-json", "missing-key"]
    prose = b"Once upon a time\n" * 5 + b'{"txt": "a"}\n' + b"the end.\n"
    assert list(check(PRETRAIN, prose).counts) == ["not-json-lines"]


@pytest.mark.parametrize("indent", [0, 1, 4])
def test_an_object_within_something_larger_is_no_line(indent: int) -> None:
    """The elements of an array on lines of their own are examples by their text alone: what follows shows otherwise."""
    elements = [sample(PRETRAIN, number) for number in range(3)]
    whole = json.dumps(elements, indent=indent).encode()
    one_a_line = b"[\n" + b",\n".join(json.dumps(one).encode() for one in elements) + b"\n]\n"
    comma_first = b"[\n  " + b"\n, ".join(json.dumps(one).encode() for one in elements) + b"\n]\n"
    for data in (whole, one_a_line, comma_first, b"\n\n" + one_a_line):
        assert list(check(PRETRAIN, data).counts)[-1:] == ["json-array"]
    nested = b'{"docs": [\n{"text": "a"}\n]}\n'
    assert list(check(PRETRAIN, nested).counts) == ["pretty-printed"]


def test_a_long_start_without_an_example() -> None:
    """After so many lines the file is what its first line says, and not more of it is held."""
    prose = b"Once upon a time there was a princess\n" * SAMPLE_LINES
    assert found(CHAT, prose + good(CHAT, 3)) == [("not-json-lines", 1, None)]
    within = prose[: len(prose) * (SAMPLE_LINES - 2) // SAMPLE_LINES]
    assert "not-json-lines" not in check(CHAT, within + good(CHAT, 3)).counts


@pytest.mark.parametrize("byte_count", [1, 8, 511, 512, 5000, 300_000])
def test_a_file_of_zero_bytes(byte_count: int) -> None:
    """It was never written, or lost in a crash: not UTF-16, nor a line that can be mended."""
    assert found(CHAT, b"\0" * byte_count) == [("zero-filled", None, None)]
    assert found(CHAT, *[b"\0"] * min(byte_count, 600)) == [("zero-filled", None, None)]


@pytest.mark.parametrize("rest", [b"", b'{"messages": [{"role": "us', b"{"])
def test_a_file_that_ends_with_zero_bytes(rest: bytes) -> None:
    """It was not written whole; a line that was cut off there is bad, and the lines before are judged as ever."""
    before = good(CHAT, 20) + rest
    report = check(CHAT, before + b"\0" * 4096)
    assert report.findings[0].rule == "zero-filled-tail"
    assert (report.findings[0].line_no, report.findings[0].byte_offset) == (21, len(before))
    assert list(report.counts) == ["zero-filled-tail", *(["bad-json"] if rest else [])]
    assert f"from byte {len(before):,} to the end" in report.findings[0].found


def test_an_invisible_character_is_named() -> None:
    """By its code, since nobody sees it."""
    report = check(CHAT, b"\xe2\x80\x8b" + good(CHAT, 3))
    assert "U+200B" in report.findings[0].found
    glued = good(CHAT, 2) + b"\xef\xbb\xbf" + good(CHAT, 1)
    assert "U+FEFF" in check(CHAT, glued).findings[0].found


_STARTS = st.lists(
    st.sampled_from(
        [b"[\n", b"{\n", b"]\n", b"},\n", b"\n", b"# x\n", b"a,b\n", b'{"text": "a"}\n', b'{"text": "a"},\n', b'{"x": 1}\n', b"\0\n",
         b'{"text": "cut\n', b"[1, 2]\n", b'[{"text": "a"}]\n', b"\xe2\x80\x8b{}\n", b"\0\0", b"\xff\n"]
    ),
    max_size=12,
)  # fmt: skip


@given(_STARTS, st.data())
def test_no_finding_depends_on_where_the_pieces_end(lines: list[bytes], data: Any) -> None:
    """However a file is cut, whatever it begins with, its findings are the same, in the same order."""
    whole = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    pieces = [whole[first:last] for first, last in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    padding = b'{"text": "%s"}\n' % (b"x" * 600)
    for after in (b"", padding):
        expected = check(PRETRAIN, whole + after)
        assert check(PRETRAIN, *pieces, after) == expected
        assert check(PRETRAIN, *((whole + after)[n : n + 1] for n in range(len(whole + after)))) == expected
