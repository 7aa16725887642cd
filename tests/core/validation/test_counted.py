"""Findings that are only counted: the same rules on the same lines as with words, whatever is wrong with the text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, Purpose
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.repairs import repaired
from bulk_upload.core.shapes.target import CannotConvert, target_of
from bulk_upload.core.shapes.telling_keys import TELLING_KEYS, may_be_known
from bulk_upload.core.validation.conversion import line_faults
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.line_checker import LineJudge
from bulk_upload.core.validation.rules import KEPT_PER_RULE_MAX, NO_RULES, RULES
from tests.core.data_samples import CHAT, check, good, line, sample

EVERY = list(PURPOSES.values())
_MESSAGE = b'{"role": "user", "content": "x"}'
_NOISE = [
    b",", b"{", b"}", b"[", b"]", b'"', b'""', b'"{""', b"\\", b"\\ud83d", b"\\u00e9", b"\\uZZ", b"\t", b"\r", b"\x0b",
    b"\x0c", b" ", b"\x00", b"\x1e", b"\xff", b"\xef\xbb\xbf", b"\xbb", b"\xe2\x80\xa8", b"NaN", b"-Infinity", b"None", b"01",
    b"1e999", b"-", b"12345678901234567890123", b"null", b"{}", b"[{}]", b" x", b"'", _MESSAGE, b"[" + _MESSAGE + b"]",
]  # fmt: skip
_CALL = {"id": "a", "function": {"name": "f", "arguments": "{}"}}
_roles = st.sampled_from(["user", "assistant", "system", "human", "gpt", "nobody", "", None, 3])
_contents = st.sampled_from(
    ["a", " a", "\ud83d", "", " ", None, 5, [], [{"type": "text", "text": "a"}], [1], float("nan")]
)
_message: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"role": _roles, "content": _contents},
        optional={
            "weight": st.sampled_from([0, 2, None]),
            "tool_calls": st.sampled_from([[{}], [_CALL], [_CALL, _CALL], None]),
            "tool_call_id": st.sampled_from(["a", "b", None]),
            "name": st.just("n"),
        },
    ),
    st.fixed_dictionaries({"from": _roles, "value": _contents}),
    st.dictionaries(st.sampled_from(["role", "content", "x"]), _contents, max_size=2),
)
_values = st.lists(_message, max_size=3) | _contents
_objects = st.dictionaries(
    st.sampled_from([
        "messages", "chosen", "rejected", "reference_answer", "text", "prompt", "completion", "instruction", "output", "label",
        "conversations", "system", "content", "answer", "x",
    ]),
    _values,
    max_size=4,
)  # fmt: skip
_records = st.builds(sample, st.sampled_from(EVERY), st.integers(0, 1)) | _objects | _values


@st.composite
def _texts(draw: st.DrawFn) -> bytes:
    """Return a line: JSON, what writers make of it, or either of them with noise."""
    text = json.dumps(draw(_records), ensure_ascii=draw(st.booleans())).encode("utf-8", "replace")
    match draw(st.sampled_from(["as it is", "string", "quotes", "comma", "twice", "python", "cut"])):
        case "string":
            text = json.dumps(text.decode()).encode()
        case "quotes":
            text = b'"' + text.replace(b'"', b'""') + b'"'
        case "comma":
            text += b","
        case "twice":
            text += draw(st.sampled_from([b"", b" ", b",", b"\r"])) + text
        case "python":
            text = text.replace(b'"', b"'")
        case "cut":
            text = text[: draw(st.integers(0, len(text)))]
    for noise in draw(st.lists(st.sampled_from(_NOISE), max_size=2)):
        at = draw(st.sampled_from([0, len(text)]) | st.integers(0, len(text)))
        text = text[:at] + noise + text[at:]
    return text.replace(b"\n", b"")


def _rules(judge: LineJudge, text: bytes) -> list[list[str]]:
    """Return the rules that every one of several equal lines breaks, so that each way of reading them is taken."""
    found: list[list[str]] = [[] for _ in range(20)]
    for index, complaints in judge.judge([text + b"\n"] * len(found)):
        found[index] = [one.rule for one in complaints]
    return found


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(EVERY), _texts(), st.sets(st.sampled_from(sorted(RULES))) | st.just(set(RULES)))
def test_what_is_counted_is_what_would_be_kept(purpose: Purpose, text: bytes, counted: set[str]) -> None:
    """A line breaks the same rules in the same order by the exact way, and with any of them counted only."""
    exact = LineJudge(purpose, known=EVERY).examine(text)
    quick = LineJudge(purpose, known=EVERY, counted=counted)
    assert _rules(quick, text) == [[one.rule for one in exact]] * 20
    without_words = dict.fromkeys(counted, "")
    for one, other in zip(exact, quick._looked_at(text), strict=True):
        assert other == one or (other.rule in without_words and not other.found)


@pytest.mark.parametrize(
    "text",
    [b'{"messages": [', b"{'messages': 1}", b"plain text", b'{"messages": "\xff"}', b'{"text": 1} x', b'{"text": NaN}', b'{"text": "\\ud83d"}'],
)  # fmt: skip
def test_the_first_findings_of_a_file_have_words(text: bytes) -> None:
    """Of a rule that every line breaks the first findings are kept, each with its line, and all are counted."""
    lines = KEPT_PER_RULE_MAX * 3
    report = check(CHAT, good(CHAT, 1) + (text + b"\n") * lines)
    rule = parse_line(text).complaints[0].rule
    kept = [one for one in report.findings if one.rule == rule]
    assert [one.line_no for one in kept] == list(range(2, KEPT_PER_RULE_MAX + 2))
    assert len({one.found for one in kept}) == 1
    assert kept[0].found
    assert report.counts[rule] == lines


@given(st.sampled_from(EVERY), _objects)
def test_records_are_unknown_by_their_keys_only_if_they_are(purpose: Purpose, value: dict[str, Any]) -> None:
    """A record whose keys say that no conversion knows it is known by none."""
    target = target_of(purpose.schema)
    assert target is not None
    if may_be_known(tuple(value), target.layout):
        return
    text = json.dumps(value, ensure_ascii=True).replace("NaN", "1").replace("\\ud83d", "a").encode()
    try:
        assert mapped(text, target) is None
    except CannotConvert:
        pytest.fail("it is known, and cannot be converted")


def test_keys_that_nobody_knows_tell_nothing() -> None:
    """A key that is none of the telling ones makes no difference to a record that has some."""
    assert "x" not in TELLING_KEYS
    for purpose in EVERY:
        assert "missing-key" in check(purpose, good(purpose, 1) + line(purpose)[:0] + b'{"x": "a"}\n').counts


@settings(max_examples=200, deadline=None)
@given(_texts())
def test_what_is_beyond_repair_is_not_repaired(text: bytes) -> None:
    """A line of which that is certain at once is one that the search for its values does not mend either."""
    if text.strip() and line_faults._is_beyond_repair(parse_line(text), text, NO_RULES):
        assert repaired(text) is None
