"""Files that are something else than JSON Lines, or that a writer spoilt: each is called what it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.purposes import PURPOSES, Purpose
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.conversion.separators import BYTES_SEARCHED_MAX
from bulk_upload.core.validation.file_types import HEAD_BYTES
from tests.core.data_samples import (
    ALIGNMENT,
    ASSISTANT,
    CHAT,
    PREFERENCE,
    PRETRAIN,
    USER,
    check,
    found,
    good,
    line,
)
from tests.core.validation.bad_samples import GOOD_TEXT, OTHER_FILES, messages


def test_byte_order_mark() -> None:
    """A byte order mark is an error of line 1; the line itself is looked at without it."""
    assert found(PRETRAIN, b"\xef\xbb\xbf" + good(PRETRAIN, 2)) == [("byte-order-mark", 1, None)]
    (_, one) = check(PRETRAIN, b"\xef\xbb\xbf" + good(PRETRAIN, 1) + b'{"text": "\xff"}').findings
    assert one.byte_offset == 3 + len(good(PRETRAIN, 1)) + len('{"text": "')


def test_windows_line_ends_are_told_once() -> None:
    """CR LF is a warning, told once with its first line."""
    data = good(PRETRAIN, 2) + good(PRETRAIN, 5)[len(good(PRETRAIN, 2)) :].replace(b"\n", b"\r\n")
    assert found(PRETRAIN, data) == [("crlf", 3, None)]


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08", b"PAR1", b"\x00\x01\x02"])
def test_what_is_no_text_has_no_line_ends(head: bytes) -> None:
    """Nobody is told to mend the line ends of a compressed or binary file."""
    assert "crlf" not in check(PRETRAIN, head + b"a\r\nb\r\n" * 100).counts


def test_windows_line_ends_of_which_the_file_is_cut_in_two() -> None:
    """A cut between CR and LF hides nothing, and the first such line stays the first one among lines of any length."""
    small = replace(PRETRAIN, schema=replace(PRETRAIN.schema, line_bytes_max=600))
    data = b'{"text": "' + b"x" * HEAD_BYTES + b'"}\n' + b'{"text": "a"}\r\n' + b'{"text": "b"}\r\n'
    for purpose in (PRETRAIN, small):
        for cut in range(len(data) - 40, len(data)):
            assert found(purpose, data[:cut], b"", data[cut:]) == [("crlf", 2, None)]


@pytest.mark.parametrize(
    ("line", "rule", "word"),
    [
        (
            b"[" + b", ".join([b'{"text": "aaaaaaaaaa"}'] * 20) + b"]",
            "json-array",
            "one JSON array on one line",
        ),
        (b'{"text": "aaaaaaaaaa"}' * 20, "trailing-garbage", "several objects"),
        (b'{"text": "aaaaaaaaaa"}\r' * 20, "cr-lines", "CR alone"),
        (b'{"text": "' + b"a" * 400 + b'"}', "huge-line", "the limit"),
    ],
)
def test_a_file_on_one_huge_line_is_called_what_it_is(line: bytes, rule: str, word: str) -> None:
    """A whole file on one line is not one example that is too long, wherever its pieces end."""
    purpose = replace(PRETRAIN, schema=replace(PRETRAIN.schema, line_bytes_max=100))
    for size in (7, 1000):
        report = check(purpose, *(line[start : start + size] for start in range(0, len(line), size)))
        assert [one.rule for one in report.findings] == [rule]
        assert word in report.findings[0].found


EVERY = list(PURPOSES.values())

SPOILED = [
    ([GOOD_TEXT + b",\n"], ["trailing-comma"]),
    ([json.dumps(GOOD_TEXT.decode()).encode() + b"\n"], ["double-encoded"]),
    ([b'"' + GOOD_TEXT.replace(b'"', b'""') + b'"\n'], ["double-encoded"]),
    ([GOOD_TEXT + b"\r" + GOOD_TEXT], ["cr-lines"]),
    ([GOOD_TEXT + b"\n", b"\xef\xbb\xbf" + GOOD_TEXT.replace(b"a", b"b") + b"\n"], ["byte-order-mark"]),
    ([GOOD_TEXT.replace(b"a", "x\u2028y".encode()) + b"\n"], ["line-separator"]),
    ([b'{"content": "a"},\n'], ["trailing-comma", "foreign-schema"]),
]


@pytest.mark.parametrize(("lines", "rules"), SPOILED)
def test_what_a_writer_did_is_named(lines: list[bytes], rules: list[str]) -> None:
    """Not by what a parser says about it, and what else is wrong with the line is said at once."""
    report = check(PRETRAIN, *lines)
    assert [one.rule for one in report.findings] == rules


def test_line_separators_are_found_wherever_the_pieces_end() -> None:
    """The first line that has one is named, and it is looked for in the beginning of a file only."""
    lines = (
        good(PRETRAIN, 2) + line(PRETRAIN, 3) + '{"text": "a\u2029b"}\n{"text": "c\u0085d\u2028"}\n'.encode()
    )
    for size in (1, 2, 5, 1000):
        pieces = [lines[start : start + size] for start in range(0, len(lines), size)]
        assert found(PRETRAIN, *pieces) == [("line-separator", 4, None)]
    late = line(PRETRAIN, 1, text="x" * BYTES_SEARCHED_MAX) + '{"text": "a\u2029b"}\n'.encode()
    assert found(PRETRAIN, late) == []


def test_messages_alone_on_each_line_are_no_array_of_examples() -> None:
    """One array of messages is one conversation, in a file of one line too."""
    array = json.dumps([USER, ASSISTANT]).encode() + b"\n"
    for count in (1, 3):
        report = check(CHAT, array * count)
        assert report.findings[0].rule == "foreign-schema"
        assert "arrays of messages" in report.findings[0].found


def test_a_table_is_known_by_its_name() -> None:
    """Long cells do not make it plain text."""
    checker = Checker(CHAT, where="f.csv")
    checker.feed(b"prompt,completion" + b" of a header with long names" * 4 + b"\nx,y\n")
    checker.finish()
    assert "CSV" in checker.report().findings[0].found


def test_empty_file() -> None:
    """A file without a line that is not blank is an error."""
    assert found(PRETRAIN) == [("empty-file", None, None)]
    assert found(PRETRAIN, b"") == [("empty-file", None, None)]
    assert found(PRETRAIN, b"\n")[-1] == ("empty-file", None, None)


@pytest.mark.parametrize(("data", "rule", "word"), OTHER_FILES)
def test_files_that_are_something_else(data: bytes, rule: str, word: str) -> None:
    """What a newcomer takes for JSON Lines is called by its name, in one finding with a remedy."""
    report = check(PRETRAIN, data)
    assert [one.rule for one in report.findings] == [rule]
    assert word in report.findings[0].found
    assert not report.is_valid


def test_one_bad_first_line_does_not_condemn_the_file() -> None:
    """When the second line is an object, the first is only a bad line."""
    for first in (b"text,label\n", b'{"text": "cut of\n', b"[1, 2\n"):
        assert [one[:2] for one in found(PRETRAIN, first + good(PRETRAIN, 3))] == [("bad-json", 1)]
    assert found(PRETRAIN, b'{"text": "cut of') == [("bad-json", 1, "column 10")]


FOREIGN = [
    ({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, "ShareGPT"),
    ({"instruction": "a", "input": "", "output": "b"}, "Alpaca"),
    ({"prompt": "a", "completion": "b"}, "`prompt` and `completion`"),
    ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference pairs"),
    ({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, "Gemini"),
]


@pytest.mark.parametrize(("value", "word"), FOREIGN)
@pytest.mark.parametrize("purpose", EVERY, ids=lambda one: one.name)
def test_conventions_of_other_tools(purpose: Purpose, value: dict[str, Any], word: str) -> None:
    """A line as another tool writes it is called by that name once, counted on every line, and comes with a remedy."""
    data = b"".join(json.dumps({**value, "n": number}).encode() + b"\n" for number in range(5))
    report = check(purpose, data)
    assert [(one.rule, one.line_no) for one in report.findings] == [("foreign-schema", 1)]
    assert word in report.findings[0].found
    can_be = {
        CHAT: "ShareGPT Alpaca `prompt` Gemini",
        ALIGNMENT: "ShareGPT Alpaca `prompt` Gemini",
        PREFERENCE: "preference",
    }
    if word.split(maxsplit=1)[0] in can_be.get(purpose, "").split():
        assert report.findings[0].remedy == "Convert them"
    elif word == "preference pairs" and purpose in (CHAT, ALIGNMENT):
        assert report.findings[0].remedy == "Give the file the purpose preference-fine-tune, and convert it"
    else:
        assert report.findings[0].remedy.startswith("They cannot be converted: ")
    assert report.error_count == 5


def test_messages_in_the_words_of_sharegpt() -> None:
    """`from` and `value` inside `messages` are told apart from a key that is simply not there."""
    report = check(CHAT, good(CHAT, 1) + messages({"from": "human", "value": "a"}))
    assert {one.remedy for one in report.findings} == {
        'Rename "from" to "role"',
        'Rename "value" to "content"',
    }
