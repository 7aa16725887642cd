"""A record that is converted by a template becomes what it becomes by itself."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.purposes import PURPOSES, Purpose
from bulk_upload.core.shapes.json_values import NOT_JSON
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.target import CannotConvert, Mapped, Target, target_of
from bulk_upload.core.shapes.telling_keys import READ_KEYS
from bulk_upload.core.shapes.templates import known
from bulk_upload.core.shapes.templates.known import Templates
from tests.core.convert.test_nothing_is_lost import SHAPES, text
from tests.core.data_samples import CHAT, PREFERENCE, REINFORCEMENT

TARGETS = [target for one in PURPOSES.values() if (target := target_of(one.schema)) is not None]
ALPACA = {"instruction": "i", "input": "x", "output": "o"}


def by_itself(line: bytes, target: Target) -> Mapped | None:
    """Return what becomes of a record, None where it is not converted."""
    try:
        return mapped(line, target)
    except (CannotConvert, *NOT_JSON):
        return None


def by_template(made: Templates, line: bytes, target: Target) -> bool:
    """Whether a record has a template; if so, what that makes of it is what the exact path makes."""
    found = made.line(line)
    if found is None:
        return False
    value, template = found
    assert Mapped(value, template.shape, (), template.empty, template.is_same) == by_itself(line, target)
    return True


def target_for(purpose: Purpose) -> Target:
    """Return what a purpose wants."""
    target = target_of(purpose.schema)
    assert target is not None
    return target


_SAID = [
    "a", "b", "", " ", "A \u00e9", '"a"', "\\", "a/b", "\n\nHuman: a\n\nAssistant: b", '[{"role": "user", "content": "a"}]',
    "[a]", "true", "0", "4150391276000", "\u2028",
]  # fmt: skip
_said = st.sampled_from(_SAID)
_plain: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 1, 1.5, -1, [], {}, ["a"], {"a": 1}, [[]], [["a", "b"]]]
)
_messages = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(["user", "assistant", "system", "User", "tool", "x"]),
                "content": st.one_of(_said, st.just([{"type": "text", "text": "a"}]), st.none()),
            },
            optional={"weight": st.sampled_from([0, 1]), "from": _said},
        ),
        st.fixed_dictionaries(
            {"from": st.sampled_from(["human", "gpt", "system", "observation"]), "value": _said}
        ),
        st.fixed_dictionaries({"value": _said}),
    ),
    max_size=4,
)
_values = st.one_of(_said, _said, _plain, _messages, st.fixed_dictionaries({"messages": _messages}))
_records = st.dictionaries(st.sampled_from([*sorted(READ_KEYS), "id", "x\u00e9"]), _values, max_size=5)


def _written(record: dict[str, Any]) -> list[bytes]:
    """Return a record in the ways that writers have, and in others."""
    ways: list[dict[str, Any]] = [
        {},
        {"separators": (",", ":")},
        {"ensure_ascii": False},
        {"ensure_ascii": False, "separators": (",", ":")},
        {"separators": (" ,", ": ")},
    ]
    lines = [json.dumps(record, **way).encode() for way in ways]
    return [*lines, lines[0].replace(b"/", b"\\/"), lines[0].replace(b"\\n", b"\\u000a")]


@settings(max_examples=150, deadline=None)
@given(st.lists(_records, min_size=1, max_size=3))
def test_any_record_becomes_what_it_becomes_by_itself(records: list[dict[str, Any]]) -> None:
    """Whatever its keys, its values and its writing, and whatever records came before it."""
    for target in TARGETS:
        made = Templates(target)
        for record in records:
            for line in _written(record):
                by_template(made, line, target)


_ANSWERS = ["messages", "chosen", "rejected", "prompt", "system", "conversations", "completion", "label"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(_ANSWERS), _values, min_size=2), min_size=1, max_size=3))
def test_pairs_become_what_they_become_by_themselves(records: list[dict[str, Any]]) -> None:
    """What a pair becomes depends on which of its texts are equal, whatever their escapes."""
    for target in TARGETS:
        made = Templates(target)
        for record in records:
            for line in _written(record):
                by_template(made, line, target)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_becomes_what_it_becomes_by_itself(shape: str) -> None:
    """The templates of one file serve for all its records."""
    purpose, make = SHAPES[shape]
    target = target_for(purpose)
    made = Templates(target)
    for seed in range(40):
        draw = Random(f"{shape} {seed}")
        by_template(made, text(make(draw), draw).encode(), target)


_TURN = {"role": "user", "content": "a\u00e9\n"}


@pytest.mark.parametrize(
    ("purpose", "record"),
    [
        (CHAT, {"instruction": "\n\nHuman: a\n\nAssistant: b\n\nHuman: c", "output": "o"}),
        (CHAT, {"prompt": json.dumps([_TURN]), "completion": "c"}),
        (CHAT, {"prompt": "p", "completion": "c", "label": "True"}),
        (CHAT, {"prompt": "p", "completion": "c", "label": "no"}),
        (CHAT, {"system": "s", "messages": [{"role": "system", "content": "s"}, _TURN]}),
        (CHAT, {"x4150391276000": "a", "instruction": "i", "output": "o"}),
        (CHAT, {"question": "q", "response": "a", "reference_answer": "4"}),
        (PREFERENCE, {"prompt": "a\u00e9\n", "chosen": [_TURN, {"role": "assistant", "content": "c"}], "rejected": [_TURN, {"role": "assistant", "content": "r"}]}),
        (PREFERENCE, {"chosen": [{**_TURN, "n": 1}, {"role": "assistant", "content": "c"}], "rejected": [{**_TURN, "n": 2}, {"role": "assistant", "content": "r"}]}),
        (PREFERENCE, {one: [{"role": "user", "content": "p"}, {"role": "assistant", "content": "q", "n": {"a": "\u00e9"}}, {"role": "assistant", "content": one}] for one in ("chosen", "rejected")}),
        (PREFERENCE, {"chosen": [_TURN, _TURN, {"role": "assistant", "content": "c"}], "rejected": [_TURN, {"role": "assistant", "content": "c"}]}),
    ],
)  # fmt: skip
def test_what_depends_on_the_texts_is_not_decided_without_them(
    purpose: Purpose, record: dict[str, Any]
) -> None:
    """A transcript, an array inside a string, a verdict, and texts that are equal in other escapes."""
    target = target_for(purpose)
    made = Templates(target)
    for line in _written(record):
        by_template(made, line, target)
        # The same text in other escapes once only.
        by_template(made, line.replace(b"\\u00e9", "\u00e9".encode(), 1), target)


@pytest.mark.parametrize(
    ("purpose", "record"),
    [
        (CHAT, ALPACA),
        (CHAT, {**ALPACA, "input": "", "id": 1, "meta": {"a": [1]}}),
        (CHAT, {**ALPACA, "instruction": '"so" he said', "history": [], "system": "s"}),
        (CHAT, {"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 0}]}),
        (CHAT, {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "n": None}),
        (PREFERENCE, {"prompt": "p", "chosen": "a", "rejected": "b"}),
        (PREFERENCE, {one: [{"role": "user", "content": "p"}, {"role": "assistant", "content": one}] for one in ("chosen", "rejected")}),
        (REINFORCEMENT, {"question": "q", "answer": "a"}),
        (REINFORCEMENT, {"question": "q", "answer": 4}),
    ],
)  # fmt: skip
def test_common_shapes_have_a_template(purpose: Purpose, record: dict[str, Any]) -> None:
    """The shapes of most files are converted without deciding for each record, as the usual writers write them."""
    target = target_for(purpose)
    made = Templates(target)
    for separators in ((",", ":"), (", ", ": ")):
        assert by_template(made, json.dumps(record, separators=separators).encode(), target)


@pytest.mark.parametrize(
    "line",
    [
        b'{"instruction":"a","instruction":"a","output":"o"}',
        b'{"a":11,"a":"\\": \\": \\": \\": ","instruction":"i","output":"o","d":3}',
        b'{"instruction": "a", "input": "", "output": "o", "input": "x"}',
        b'{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b","value":"b"}]}',
        b'{ "instruction": "a", "output": "o"}',
        b'{"instruction":"a", "output":"o"}',
        b'{"instruct\\u0069on":"a","output":"o"}',
    ],
)
def test_a_text_with_anything_more_has_no_template(line: bytes) -> None:
    """Neither a second value under a key nor space that no usual writer leaves is passed over."""
    made = Templates(target_for(CHAT))
    assert [made.line(line) for _ in range(2)] == [None, None]


def test_templates_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in which no two records are alike has few of them, and the others none."""
    monkeypatch.setattr(known, "_FORMS_MAX", 3)
    made = Templates(target_for(CHAT))
    lines = [b'{"instruction":"a","output":"o","x%d":1}' % number for number in range(6)]
    assert [made.line(one) is not None for one in lines] == [True] * 3 + [False] * 3
    assert made.line(lines[0]) is not None


def test_one_long_record_has_no_template() -> None:
    """Templates hold few values, and only short ones: a long conversation is converted by itself."""
    turns = [{"from": name, "value": "a"} for name in ("human", "gpt") * 200]
    made = Templates(target_for(CHAT))
    assert made.line(json.dumps({"conversations": turns}).encode()) is None
    assert made.line(json.dumps({**ALPACA, "input": "a" * 100_000}).encode()) is None
