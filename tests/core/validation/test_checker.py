"""Validation of JSON Lines: each rule with its line and place, whatever the pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.finding import Severity
from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema, unknown_to_us
from bulk_upload.core.validation import checker as validation
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.conversion.separators import BYTES_SEARCHED_MAX
from bulk_upload.core.validation.fast_decoder import NOT_PASSED, LineReader
from bulk_upload.core.validation.file_types import HEAD_BYTES
from bulk_upload.core.validation.line_checker import LineJudge
from bulk_upload.core.validation.mixup.sample import mismatch_of_beginning, mismatch_of_columns
from bulk_upload.core.validation.rules import KEPT_PER_RULE_MAX, RULES, RuleChoice
from tests.core.data_samples import (
    ALIGNMENT,
    ASSISTANT,
    CHAT,
    PREFERENCE,
    PRETRAIN,
    REINFORCEMENT,
    SYSTEM,
    USER,
    check,
    found,
    good,
    line,
    sample,
)

EVERY = list(PURPOSES.values())


def messages(*those: dict[str, Any]) -> bytes:
    """Return a line of a conversation."""
    return line(CHAT, messages=list(those))


@pytest.mark.parametrize("purpose", EVERY, ids=lambda one: one.name)
def test_good_lines_have_no_findings(purpose: Purpose) -> None:
    """A file as the reference describes it is good, with further keys too, with and without a last line end."""
    assert found(purpose, good(purpose, 300)) == []
    assert found(purpose, good(purpose, 3).rstrip(b"\n")) == []
    extra = b"".join(line(purpose, number, note="\u00e9\U0001f600", n=[1.5, None]) for number in range(300))
    assert found(purpose, extra) == []
    assert found(purpose, extra, thorough=True) == []


@pytest.mark.parametrize("purpose", EVERY, ids=lambda one: one.name)
def test_every_required_key_is_missed(purpose: Purpose) -> None:
    """A line without a required key is named with the key's path."""
    for name in purpose.schema.required_names:
        bad = sample(purpose, 5)
        del bad[name]
        bad["other"] = 1
        report = check(
            purpose, good(purpose, 5) + json.dumps(bad).encode() + b"\n" + good(purpose, 7)[-60:][:0]
        )
        first = report.findings[0]
        assert (first.rule, first.line_no, first.place) == ("missing-key", 6, f"$.{name}")
        assert not report.is_valid


GOOD_TEXT = b'{"text": "a"}'
BAD_LINES = [
    # purpose, line, rule, place
    (CHAT, b'{"messages": [}', "bad-json", "column 15"),
    (CHAT, b'{"messages": [{"role": "user", "content": "a"}', "bad-json", "column 47"),
    (CHAT, b"{'messages': []}", "bad-json", "column 2"),
    (PRETRAIN, b'{"text": None}', "bad-json", "column 10"),
    (PRETRAIN, b'{"text": "a\tb"}', "bad-json", "column 12"),
    (PRETRAIN, b'{"text": "\\q"}', "bad-json", "column 11"),
    (PRETRAIN, b'{"text": "a",}', "bad-json", "column 13"),
    (PRETRAIN, b'{"text": "a" , \t}', "bad-json", "column 14"),
    (PRETRAIN, b'{"text": "a", "x": [1, 2, ]}', "bad-json", "column 25"),
    (PRETRAIN, b'{"text": "a", "x": [1, }', "bad-json", "column 24"),
    (PRETRAIN, b'{"text": "a", ]', "bad-json", "column 15"),
    (PRETRAIN, b'{,}', "bad-json", "column 2"),
    (PRETRAIN, b'{"text": "a",', "bad-json", "column 14"),
    (PRETRAIN, b'{"text": "a"} x', "trailing-garbage", "column 15"),
    (PRETRAIN, b'{"text": "a"}{"text": "b"}', "trailing-garbage", "column 14"),
    (PRETRAIN, b'"text"', "not-an-object", None),
    (PRETRAIN, b"[1, 2]", "not-an-object", None),
    (PRETRAIN, b"null", "not-an-object", None),
    (PRETRAIN, b'{"text": 5}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": null}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": ["a"]}', "wrong-type", "$.text"),
    (PRETRAIN, b'{"text": ""}', "empty-content", "$.text"),
    (PRETRAIN, b'{"text": "a", "x": NaN}', "not-a-number", "$.x"),
    (PRETRAIN, b'{"text": "a", "x": {"y": [1, -Infinity]}}', "not-a-number", "$.x.y[1]"),
    (PRETRAIN, b'{"text": "\\ud83d"}', "lone-surrogate", "column 11"),
    (PRETRAIN, b'{"text": "a", "x": "\\udc00\\ud83d"}', "lone-surrogate", "column 21"),
    (PRETRAIN, b'{"text": "caf\xe9"}', "not-utf-8", "column 14"),
    (PRETRAIN, b'{"text": "a", "x": "caf\xe9"}', "not-utf-8", "column 24"),
    (PRETRAIN, b'{"text": "a", "x": ' + b"[" * 100_000 + b"}", "too-deep", None),
    (PRETRAIN, b" \t", "blank-line", None),
    (CHAT, b'{"messages": "[]"}', "wrong-type", "$.messages"),
    (CHAT, b'{"messages": []}', "empty-messages", "$.messages"),
    (CHAT, b'{"messages": ["a"]}', "wrong-type", "$.messages[0]"),
    (CHAT, messages(USER, {"role": "Assistant", "content": "a"}), "wrong-role", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": "gpt", "content": "a"}), "wrong-role", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": 3, "content": "a"}), "wrong-type", "$.messages[1].role"),
    (CHAT, messages(USER, {"content": "a"}), "missing-key", "$.messages[1].role"),
    (CHAT, messages(USER, {"role": "assistant"}), "missing-key", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": None}), "wrong-type", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": [{"type": "text"}]}), "content-parts", "$.messages[1].content"),
    (CHAT, messages(USER, {"role": "assistant", "content": ""}), "empty-content", "$.messages[1].content"),
    (CHAT, messages(USER, SYSTEM, ASSISTANT), "role-order", "$.messages[1].role"),
    (CHAT, messages(ASSISTANT, USER, ASSISTANT), "role-order", "$.messages[0].role"),
    (CHAT, messages(USER, ASSISTANT, ASSISTANT), "role-order", "$.messages[2].role"),
    (CHAT, messages(USER, ASSISTANT, USER), "last-role", "$.messages[2].role"),
    (CHAT, messages(SYSTEM, USER), "no-assistant", "$.messages"),
    (PREFERENCE, line(PREFERENCE, chosen=[ASSISTANT, USER]), "last-role", "$.chosen[1].role"),
    (PREFERENCE, line(PREFERENCE, rejected="no"), "wrong-type", "$.rejected"),
    (PREFERENCE, line(PREFERENCE, rejected=[]), "empty-messages", "$.rejected"),
    (REINFORCEMENT, line(REINFORCEMENT, reference_answer=28), "wrong-type", "$.reference_answer"),
    (REINFORCEMENT, line(REINFORCEMENT, reference_answer=""), "empty-content", "$.reference_answer"),
    (ALIGNMENT, line(ALIGNMENT, messages={}), "wrong-type", "$.messages"),
]  # fmt: skip


@pytest.mark.parametrize(("purpose", "bad", "rule", "place"), BAD_LINES)
def test_bad_lines(purpose: Purpose, bad: bytes, rule: str, place: str | None) -> None:
    """Each mistake is found on its line and at its place, among good lines and after lines with other keys."""
    end = b"" if bad.endswith(b"\n") else b"\n"
    expected = [(rule, 4, place)]
    assert found(purpose, good(purpose, 3) + bad + end + line(purpose, 3)) == expected
    assert found(purpose, good(purpose, 3) + bad) == expected
    extra = b"".join(line(purpose, number, id=number) for number in range(3))
    assert found(purpose, extra + bad + end + line(purpose, 3)) == expected
    assert found(purpose, extra + bad, thorough=True) == expected


@pytest.mark.parametrize(("bad", "column"), [(b'{"text": "a",}', 13), (b'{"text": "a", "x": [1 , ]}', 23)])
def test_a_comma_before_a_closing_bracket_is_named(bad: bytes, column: int) -> None:
    """It is pointed at and said in the same words by every Python; their json modules disagree."""
    (finding,) = check(PRETRAIN, bad + b"\n").findings
    assert finding.place == f"column {column}"
    assert "no comma may stand before a closing bracket" in str(finding)


def test_a_remedy_is_given_for_everything() -> None:
    """No finding leaves the person alone with it, and each is printable on one line."""
    for purpose, bad, _, _ in BAD_LINES:
        for one in check(purpose, good(purpose, 1) + bad).findings:
            assert one.remedy
            assert str(one).isprintable()
            assert len(str(one)) < 500


@pytest.mark.parametrize(
    ("role", "word"),
    [("human", "user"), ("gpt", "assistant"), ("assistent", "assistant"), ("bot", "assistant")],
)
def test_other_words_for_roles(role: str, word: str) -> None:
    """A role of another tool, or a slip, is answered with the right one."""
    report = check(CHAT, good(CHAT, 1) + messages(USER, {"role": role, "content": "a"}))
    assert f'"{word}"' in report.findings[0].remedy


def test_byte_offset_of_what_is_not_utf_8() -> None:
    """The offset counts bytes of the whole file."""
    before = good(PRETRAIN, 2) + '{"text": "\u00e9\u00e9'.encode()
    (one,) = check(PRETRAIN, before + b'\xff"}\n').findings
    assert one.byte_offset == len(before)
    assert one.column == len('{"text": "éé') + 1


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


def test_duplicate_lines_name_the_earlier_one() -> None:
    """A repeated line is a warning that names the first such line; blank lines are not duplicates."""
    data = good(PRETRAIN, 3) + b"\n\n" + line(PRETRAIN, 1) + line(PRETRAIN, 1)
    report = check(PRETRAIN, data)
    assert [(one.rule, one.line_no) for one in report.findings] == [
        ("blank-line", 4), ("blank-line", 5), ("duplicate-line", 6), ("duplicate-line", 7),
    ]  # fmt: skip
    assert report.findings[2].found == "the line is the same as line 2"
    assert report.is_valid


def test_duplicates_are_looked_for_among_the_first_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit lines are not compared, and a note says so."""
    monkeypatch.setattr(validation, "LINES_COMPARED_MAX", 4)
    assert found(PRETRAIN, good(PRETRAIN, 3) + line(PRETRAIN, 0) + line(PRETRAIN, 1)) == [
        ("duplicate-line", 4, None), ("duplicates-unchecked", None, None),
    ]  # fmt: skip


def test_duplicate_keys_are_found_when_thorough() -> None:
    """The same key twice in one object is only looked for with `thorough`."""
    bad = b'{"text": "a", "x": {"y": 1, "y": 2}}\n'
    assert found(PRETRAIN, good(PRETRAIN, 1) + bad) == []
    assert found(PRETRAIN, good(PRETRAIN, 1) + bad, thorough=True) == [("duplicate-key", 2, "$.x.y")]


def test_huge_line() -> None:
    """A line beyond the limit is one finding with its length; the lines around it are looked at."""
    small = Purpose(
        name="p", summary="", suffixes=(), schema=Schema(fields=PRETRAIN.schema.fields, line_bytes_max=1000)
    )
    data = good(PRETRAIN, 2) + b'{"text": "' + b"x" * 3000 + b'"}\n' + b'{"text": 1}\n'
    assert found(small, data) == [("huge-line", 3, None), ("wrong-type", 4, "$.text")]
    assert found(small, *(data[n : n + 1] for n in range(len(data)))) == found(small, data)


def test_a_huge_line_is_not_kept() -> None:
    """Of a line that never ends no more is kept than the limit."""
    checker = Checker(PRETRAIN, where="f")
    limit = PRETRAIN.schema.line_bytes_max
    piece = b"x" * (1 << 20)
    for _ in range(2 * limit // len(piece)):
        checker.feed(piece)
    assert sum(map(len, checker._splitter._kept)) == 0
    checker.finish()
    assert [one.rule for one in checker.report().findings] == ["huge-line"]


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


OTHER_FILES = [
    (b"\x1f\x8b\x08\x00\x00", "compressed", "gzip"),
    (b"PK\x03\x04abc", "compressed", "ZIP"),
    (b"\x28\xb5\x2f\xfdxxxx", "compressed", "Zstandard"),
    (b"PAR1....", "not-json-lines", "Parquet"),
    (b"%PDF-1.7\n%", "not-json-lines", "PDF"),
    ('{"text": "a"}\n'.encode("utf-16"), "utf-16", "UTF-16"),
    ('{"text": "a"}\n'.encode("utf-16-le"), "utf-16", "UTF-16"),
    (b"\x00\x01\x02\x03\x00binary", "not-json-lines", "binary"),
    (b'prompt,completion\n"a, b",c\n', "not-json-lines", "CSV"),
    (b"text\tlabel\na\tb\n", "not-json-lines", "CSV"),
    (b"<!DOCTYPE html>\n<html>\n", "not-json-lines", "HTML"),
    (b"Once upon a time there was a princess who lived in a castle far away,\nand so on\n", "not-json-lines", "plain text"),
    (b'{\n  "text": "a"\n}\n', "pretty-printed", "pretty-printed"),
    (b'{"messages": [\n  {"role": "user"}\n]}\n', "pretty-printed", "pretty-printed"),
    (b'[{"text": "a"}, {"text": "b"}]', "json-array", "array"),
    (b'[\n{"text": "a"}\n]\n', "json-array", "array"),
    (b'[{"text": "a"},\n{"text": "b"}]\n', "json-array", "array"),
]  # fmt: skip


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


def test_another_purpose_is_named() -> None:
    """A file whose lines another purpose describes better is of that purpose, right or wrong as they are: nothing else is said."""
    for declared, data, likely in (
        (CHAT, good(PREFERENCE, 3), PREFERENCE),
        (CHAT, good(REINFORCEMENT, 3), REINFORCEMENT),
        (CHAT, good(PRETRAIN, 3), PRETRAIN),
        (PREFERENCE, good(CHAT, 3), CHAT),
        (PRETRAIN, good(CHAT, 3), CHAT),
    ):
        report = check(declared, data)
        (one,) = report.findings
        assert one.rule == "purpose-mismatch"
        assert f"this is {likely.name} data: all of the first 3 lines have" in one.found
        assert f"Set the purpose {likely.name}" in one.remedy
        assert report.counts == {"purpose-mismatch": 1}
    assert found(ALIGNMENT, good(CHAT, 3)) == []


@pytest.mark.parametrize(
    ("pre_train_count", "chat_count", "is_mismatch"),
    [(11, 9, True), (10, 10, False), (20, 500, True), (1, 0, True)],
)
def test_over_half_of_the_first_lines_decide(
    pre_train_count: int, chat_count: int, is_mismatch: bool
) -> None:
    """Of a file that is half and half each line is judged, and the lines of another purpose are named."""
    data = good(PRETRAIN, pre_train_count) + good(CHAT, chat_count)
    report = check(CHAT, data)
    if is_mismatch:
        assert report.counts == {"purpose-mismatch": 1}
    else:
        assert report.counts == {"missing-key": pre_train_count, "wrong-purpose": pre_train_count}
    beginning = mismatch_of_beginning(
        data, is_whole=True, path="a.jsonl", declared=CHAT, known=PURPOSES.values()
    )
    assert (beginning is not None) is is_mismatch


def test_a_line_with_what_only_its_purpose_needs_is_no_mismatch() -> None:
    """A pair of answers without the rejected one is a bad line, not a conversation to learn from."""
    data = b"".join(
        json.dumps(
            {key: value for key, value in sample(PREFERENCE, number).items() if key != "rejected"}
        ).encode()
        + b"\n"
        for number in range(3)
    )
    assert check(PREFERENCE, data).counts["missing-key"] == 3


def test_a_file_that_begins_as_declared_is_no_mismatch() -> None:
    """Its other lines are judged one by one."""
    assert check(CHAT, good(CHAT, 1) + good(PRETRAIN, 5)).counts["missing-key"] == 5


@given(
    kinds=st.lists(st.sampled_from([CHAT, PREFERENCE, PRETRAIN, None]), max_size=30),
    declared=st.sampled_from([CHAT, PREFERENCE, PRETRAIN, ALIGNMENT]),
    cut=st.integers(1, 4000),
)
def test_the_first_lines_alone_say_the_same(kinds: list[Purpose | None], declared: Purpose, cut: int) -> None:
    """What a run says before its first byte is what validation says of the file, wherever the pieces end."""
    data = b"".join(
        b"{]\n" if kind is None else json.dumps(sample(kind, number)).encode() + b"\n"
        for number, kind in enumerate(kinds)
    )
    checker = Checker(declared, where="f.jsonl")
    for start in range(0, len(data), cut):
        checker.feed(data[start : start + cut])
    checker.finish()
    said = mismatch_of_beginning(
        data, is_whole=True, path="a.jsonl", declared=declared, known=PURPOSES.values()
    )
    found = [one.found for one in checker.report().findings if one.rule == "purpose-mismatch"]
    assert found == ([] if said is None else [said.found])
    assert checker.report() == check(declared, data)


@pytest.mark.parametrize(
    ("columns", "declared", "likely"),
    [
        (["text", "id"], CHAT, PRETRAIN),
        (["messages", "chosen", "rejected"], CHAT, PREFERENCE),
        (["messages", "id"], CHAT, None),
        (["text", "input_ids"], CHAT, None),
        (["id"], CHAT, None),
        (["text"], unknown_to_us("else"), None),
    ],
)
def test_columns_of_a_table_name_its_purpose(
    columns: list[str], declared: Purpose, likely: Purpose | None
) -> None:
    """As lines do; a file of tokens may have its texts beside them."""
    complaint = mismatch_of_columns(columns, declared, PURPOSES.values())
    assert (complaint is None) is (likely is None)
    if complaint is not None and likely is not None:
        assert f"this is {likely.name} data: it has the columns" in complaint.found


def test_without_the_rule_each_line_is_judged() -> None:
    """Ignoring a mismatch makes no line right."""
    choice = RuleChoice(ignored=frozenset({"purpose-mismatch"}))
    for data, counts in (
        (good(PREFERENCE, 3), {"wrong-purpose": 1, "no-assistant": 3}),
        (good(PRETRAIN, 3), {"missing-key": 3, "wrong-purpose": 3}),
    ):
        checker = Checker(CHAT, where="a", choice=choice)
        checker.feed(data)
        checker.finish()
        assert checker.report().counts == counts


def test_findings_are_bounded_and_the_rest_is_counted() -> None:
    """Of each rule the first findings are kept; a rare one late in the file is not crowded out."""
    data = b'{"text": 1}\n' * 500 + b'{"text": "a"} x\n'
    report = check(PRETRAIN, data)
    kept = [one.rule for one in report.findings]
    assert kept.count("wrong-type") == KEPT_PER_RULE_MAX
    assert kept[-1] == "trailing-garbage"
    assert report.counts["wrong-type"] == 500
    assert report.left_out()["wrong-type"] == 500 - KEPT_PER_RULE_MAX
    assert report.error_count == 501
    assert str(report.reason(Severity.ERROR)).endswith("(wrong-type) (and 500 more errors)")
    assert (
        report.reason(Severity.WARNING)
        == "line 2: the line is the same as line 1 (duplicate-line) (and 498 more warnings)"
    )


def test_a_purpose_without_a_schema() -> None:
    """Of a purpose that nobody described only the JSON is checked, and a note says so."""
    purpose = unknown_to_us("brand-new")
    assert found(purpose, b'{"a": 1}\n{"b": 2}\n') == [("unknown-schema", None, None)]
    assert ("bad-json", 2, "column 6") in found(purpose, b'{"a": 1}\n{"b":\n{}\n')


# A grammar of lines that are right, nearly right and wrong, so that chunks cut through all of them.
_odd = st.sampled_from(
    [one for _, one, rule, _ in BAD_LINES if rule != "too-deep"]
    + [data for data, _, _ in OTHER_FILES]
    + [b"", b"\r", b"\xef\xbb\xbf", b"{", b"[", b'{"messages":', b"\x00"]
)
_good = st.builds(
    lambda purpose, number, extra: line(purpose, number, **extra),
    st.sampled_from(EVERY),
    st.integers(0, 2),
    st.dictionaries(st.sampled_from(["id", "x"]), st.text(max_size=3), max_size=1),
)
# A file is judged by its first bytes, all of them at once: what is to be cut comes after so many.
_starts = st.sampled_from([b"", b" " * HEAD_BYTES + b"\n", b'{"text": "' + b"x" * HEAD_BYTES + b'"}\n'])
_files = st.builds(
    lambda start, lines, ends: (
        start + b"".join(one.rstrip(b"\n") + end for one, end in zip(lines, ends, strict=False))
    ),
    _starts,
    st.lists(_good | _odd | st.binary(max_size=20), max_size=8),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\n\n"]), min_size=8, max_size=8),
)


_MODEST = {one.name: replace(one, schema=replace(one.schema, line_bytes_max=150)) for one in EVERY}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*EVERY, *_MODEST.values()]), _files, st.data(), st.booleans())
def test_pieces_do_not_matter(purpose: Purpose, data: bytes, drawn: st.DataObject, thorough: bool) -> None:
    """The same file has the same findings whatever pieces it comes in, huge lines and all."""
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    pieces = [data[start:end] for start, end in pairwise([0, *cuts, len(data)])]
    whole = check(purpose, data, thorough=thorough)
    assert check(purpose, *pieces, thorough=thorough) == whole
    assert check(purpose, *(data[n : n + 1] for n in range(len(data))), thorough=thorough) == whole


@given(st.sampled_from(EVERY), st.binary(max_size=2000), st.booleans())
def test_any_bytes_do(purpose: Purpose, data: bytes, thorough: bool) -> None:
    """Whatever the bytes, there are findings or none, and never a crash."""
    for one in check(purpose, data, thorough=thorough).findings:
        assert one.rule in RULES
        assert str(one).isprintable()


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.sampled_from(["user", "assistant", "system"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["messages", "role", "content", "text", "chosen", "x"]), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip
_messages: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system", "tool"]), "content": st.sampled_from(["a", " ", "", None, [{}], []])},
        optional={
            "name": st.text(max_size=2),
            "weight": st.sampled_from([0, 1, True, None, "1"]),
            "tool_calls": st.sampled_from([None, [], [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]]),
            "tool_call_id": st.sampled_from([None, "a", 1]),
        },
    ),
    max_size=4,
)  # fmt: skip
_lines = st.dictionaries(
    st.sampled_from(["messages", "chosen", "rejected", "reference_answer", "text", "x", "system"]),
    _json | _messages,
    max_size=4,
)
_PARTS = Purpose(
    name="parts",
    summary="",
    suffixes=(),
    schema=Schema(
        fields=(
            Field(name="messages", kind=Kind.MESSAGES, required=False),
            Field(name="x", kind=Kind.ANY, required=False),
            Field(name="text", kind=Kind.NUMBER, required=False),
        ),
        content_parts=True,
    ),
)


@given(st.sampled_from([*EVERY, _PARTS]), _lines, st.binary(max_size=2), st.integers(0, 200))
def test_the_quick_ways_find_what_the_exact_way_does(
    purpose: Purpose, value: dict[str, Any], noise: bytes, at: int
) -> None:
    """A line that is decoded quickly has the findings of the exact way, or is left to it, whatever noise is in it."""
    written = json.dumps(value).encode()
    written = written[:at] + noise + written[at:]
    reader = LineReader(purpose.schema)
    judge = LineJudge(purpose, known=())
    exact = judge.examine(written)
    assert judge._looked_at(written) == exact
    for decode in (reader.strict, judge._decode_lenient):
        try:
            complaints = reader.judge(decode(written))
        except NOT_PASSED:
            continue
        assert complaints is None or list(complaints) == exact
