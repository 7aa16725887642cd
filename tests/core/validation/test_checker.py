"""Validation of JSON Lines: each rule of a line, with its number and place."""

from __future__ import annotations

import json

import pytest

from bulk_upload.core.finding import Severity
from bulk_upload.core.purposes import PURPOSES, Purpose, Schema, unknown_to_us
from bulk_upload.core.validation import checker as validation
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.rules import KEPT_PER_RULE_MAX
from tests.core.data_samples import (
    CHAT,
    PRETRAIN,
    USER,
    check,
    found,
    good,
    line,
    sample,
)
from tests.core.validation.bad_samples import BAD_LINES, messages

EVERY = list(PURPOSES.values())


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
