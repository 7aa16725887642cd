"""Lines that may have one of several shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.purposes import Purpose, shapes_of
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.examples.alternatives import AlternativesJudge, alternative_of, line_judge
from bulk_upload.core.validation.line_checker import LineJudge
from bulk_upload.core.validation.schema_file import read_schemas
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.errors import UsageError
from tests.core.data_samples import ASSISTANT, SYSTEM, USER

OPENAI = purposes_of("openai")
TUNE = OPENAI["fine-tune"]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CHAT = {"messages": [SYSTEM, USER, ASSISTANT]}
AGENT = {
    "messages": [
        {"role": "developer", "content": "Be brief."},
        USER,
        {"role": "assistant", "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "c", "content": "dry"},
        ASSISTANT | {"weight": 1},
    ],
    "tools": [{"type": "function"}],
    "parallel_tool_calls": False,
}
PAIR = {
    "input": {"messages": [USER]},
    "preferred_output": [ASSISTANT],
    "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
}
TEXTS = {"prompt": "a", "completion": "b"}
GRADED = {"messages": [USER], "answer": "4"}
GOOD: list[dict[str, Any]] = [CHAT, AGENT, PAIR, TEXTS, GRADED]


def found(*lines: dict[str, Any], purpose: Purpose = TUNE) -> list[tuple[str, str | None]]:
    """Return rule and place of each finding."""
    checker = Checker(purpose, where="a.jsonl", known=OPENAI.values())
    data = "".join(json.dumps(one) + "\n" for one in lines).encode()
    return [(one.rule, one.place) for one in [*checker.feed(data), *checker.finish()]]


@pytest.mark.parametrize("line", GOOD, ids=["chat", "agent", "pair", "texts", "graded"])
def test_each_shape_is_good(line: dict[str, Any]) -> None:
    """Conversations, with tools too, pairs, texts and graded questions: all are data of one purpose."""
    assert found(line) == []
    assert found(line, {**line, "metadata": {}}) == (
        [] if line not in (CHAT, AGENT) else [("last-role", place(line))]
    )


def place(line: dict[str, Any]) -> str:
    return f"$.messages[{len(line['messages']) - 1}].role"


def test_shapes_may_be_mixed() -> None:
    """Each line is judged by itself, whatever came before."""
    assert found(*GOOD, *GOOD[::-1]) == [("duplicate-line", None)] * 5


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"messages": [USER]}, ("no-assistant", "$.messages")),
        ({"messages": [SYSTEM, USER, {"role": "bot", "content": "a"}]}, ("wrong-role", "$.messages[2].role")),
        (PAIR | {"input": {"messages": []}}, ("empty-messages", "$.input.messages")),
        ({**PAIR, "preferred_output": [USER]}, ("no-assistant", "$.preferred_output")),
        (
            {"input": PAIR["input"], "preferred_output": [ASSISTANT]},
            ("missing-key", "$.non_preferred_output"),
        ),
        ({"prompt": "a"}, ("missing-key", "$.completion")),
        (TEXTS | {"completion": 1}, ("wrong-type", "$.completion")),
        (GRADED | {"messages": [USER, ASSISTANT]}, ("last-role", "$.messages[1].role")),
    ],
)
def test_a_fault_is_one_of_the_shape_that_was_meant(line: dict[str, Any], expected: tuple[str, str]) -> None:
    """The alternative with the most fields of a line says what is wrong with it."""
    assert found(CHAT, line) == [expected]


def test_equal_answers_of_a_pair_are_found() -> None:
    """As in preference data of other vendors."""
    assert found(PAIR | {"non_preferred_output": [ASSISTANT]}) == [("same-answers", "$.non_preferred_output")]


def test_data_of_another_purpose_is_told_both_ways() -> None:
    """Requests declared as training data, and training data declared as requests."""
    request = {"custom_id": "1", "method": "POST", "url": "/v1/responses", "body": {"model": "m"}}
    assert found(request) == [("purpose-mismatch", None)]
    assert found(CHAT, purpose=OPENAI["batch"]) == [("purpose-mismatch", None)]


_lines = st.dictionaries(
    st.sampled_from(
        ["messages", "input", "preferred_output", "non_preferred_output", "prompt", "completion", "x"]
    ),
    st.sampled_from(
        [[USER], [USER, ASSISTANT], [ASSISTANT], {"messages": [USER]}, "a", " ", 1, None, [], {}]
    ),
    max_size=4,
)


@given(st.lists(_lines, max_size=6))
def test_each_line_has_the_findings_of_its_alternative(lines: list[dict[str, Any]]) -> None:
    """The same as a judge of that alternative alone finds, in whatever order the lines come."""
    shapes = shapes_of(TUNE)
    alone = [LineJudge(one, known=shapes) for one in shapes]
    together = line_judge(TUNE, known=(TUNE,))
    assert isinstance(together, AlternativesJudge)
    written = [json.dumps(one).encode() for one in lines]
    got = dict(together.judge(written))
    for index, line in enumerate(lines):
        chosen = alternative_of(line, [one.schema for one in shapes])
        assert got.get(index, []) == alone[chosen].examine(written[index])


def test_a_schema_file_has_alternatives() -> None:
    """They share roles and limits; beside them there are no fields."""
    text = b"""
[purposes.mixed]
roles = ["user", "assistant", "tool"]
[[purposes.mixed.one_of]]
closed = true
fields = { messages = "messages" }
ends_with = { messages = "assistant" }
[[purposes.mixed.one_of]]
fields = { prompt = "string", completion = "string" }
"""
    mixed = read_schemas(text, name="s.toml")["mixed"]
    assert found({"messages": [USER, ASSISTANT]}, TEXTS | {"x": 1}, purpose=mixed) == []
    assert found({"messages": [SYSTEM, ASSISTANT]}, purpose=mixed) == [("wrong-role", "$.messages[0].role")]
    with pytest.raises(UsageError, match="both fields and one_of"):
        read_schemas(
            text.replace(b"[purposes.mixed]", b'[purposes.mixed]\nfields = { a = "string" }'), name="s.toml"
        )
