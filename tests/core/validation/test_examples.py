"""What an example holds beyond roles and texts: each rule with its place, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.finding import Severity
from bulk_upload.core.validation.examples import tool_calls
from bulk_upload.core.validation.rules import RULES
from tests.core.data_samples import (
    ASSISTANT,
    CHAT,
    PREFERENCE,
    PRETRAIN,
    REINFORCEMENT,
    SYSTEM,
    USER,
    check,
    found,
    line,
)

AGENT = replace(
    CHAT,
    schema=replace(
        CHAT.schema, roles=("system", "user", "assistant", "tool"), content_parts=True, tool_calls=True
    ),
)


def chat(*those: dict[str, Any], **more: Any) -> list[tuple[str, str | None]]:
    """Return rule and place of everything that is found in one conversation of an agent."""
    return [(rule, place) for rule, _, place in found(AGENT, line(AGENT, messages=list(those), **more))]


def call(number: str, **changes: Any) -> dict[str, Any]:
    """Return a tool call."""
    function = {"name": "weather", "arguments": '{"city": "Oslo"}', **changes}
    return {"id": number, "type": "function", "function": function}


def calls(*those: Any) -> dict[str, Any]:
    """Return a message that calls tools and says nothing."""
    return {"role": "assistant", "content": None, "tool_calls": list(those)}


def result(number: str) -> dict[str, Any]:
    """Return the result of a call."""
    return {"role": "tool", "content": "12 degrees", "tool_call_id": number}


@pytest.mark.parametrize("those", [[USER], [SYSTEM], [SYSTEM, USER], [USER, USER]])
def test_a_conversation_without_an_answer_is_an_error(those: list[dict[str, Any]]) -> None:
    """There is nothing to learn from; a conversation that goes on after its answer is only unusual."""
    report = check(CHAT, line(CHAT, messages=those))
    assert "no-assistant" in report.counts
    assert not report.is_valid
    going_on = check(CHAT, line(CHAT, messages=[USER, ASSISTANT, USER]))
    assert list(going_on.counts) == ["last-role"]
    assert going_on.is_valid
    assert "no-assistant" in check(PREFERENCE, line(PREFERENCE, rejected=[USER])).counts
    assert "no-assistant" not in check(PREFERENCE, line(PREFERENCE)).counts


@pytest.mark.parametrize("blank", [" ", "\n\t", "\u00a0", "\u3000 "])
def test_white_space_alone_is_no_text(blank: str) -> None:
    """It is as empty as no text, in a message, in a text and in an answer, with and without other keys."""
    for more in ({}, {"id": 1}):
        assert found(PRETRAIN, line(PRETRAIN, text=blank, **more)) == [("empty-content", 1, "$.text")]
        spaced = line(CHAT, messages=[USER, {**ASSISTANT, "content": blank}], **more)
        assert found(CHAT, spaced) == [("empty-content", 1, "$.messages[1].content")]
        answer = line(REINFORCEMENT, reference_answer=blank, **more)
        assert found(REINFORCEMENT, answer) == [("empty-content", 1, "$.reference_answer")]
    assert found(PRETRAIN, line(PRETRAIN, text=f"{blank}x")) == []


@pytest.mark.parametrize(
    ("part", "rule", "place"),
    [
        ({"typ": "text"}, "bad-part", "[0]"),
        ({"text": 5}, "bad-part", "[0]"),
        ({"type": "text"}, "bad-part", "[0]"),
        ({"type": "text", "text": 5}, "bad-part", "[0].text"),
        ({"type": "texxt", "text": "a"}, "bad-part", "[0].type"),
        ({"type": ["text"], "text": "a"}, "bad-part", "[0].type"),
        ({"type": "image_url"}, "bad-part", "[0]"),
        ({"type": "input_audio", "input_audio": None}, "bad-part", "[0]"),
        ({"type": "text", "text": " "}, "empty-content", ""),
        ({"type": "text", "text": "a"}, None, None),
        ({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}, None, None),
        ({"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}, None, None),
        ({"type": "image", "source": {}}, None, None),
    ],
)
def test_parts_have_a_known_type_and_what_it_needs(
    part: dict[str, Any], rule: str | None, place: str
) -> None:
    """Where a schema allows parts they are checked: what a reader does not know it drops, or it refuses the file."""
    expected = [] if rule is None else [(rule, f"$.messages[0].content{place}")]
    assert chat({"role": "user", "content": [part]}, ASSISTANT) == expected


@pytest.mark.parametrize("weight", ["yes", 2, -1, 0.5, True, "1", [1]])
def test_a_weight_is_0_or_1(weight: Any) -> None:
    """Other weights are ignored or refused; a weight that is null or absent is none."""
    assert chat(USER, {**ASSISTANT, "weight": weight}) == [("bad-weight", "$.messages[1].weight")]
    for good in (0, 1, None):
        assert chat(USER, {**ASSISTANT, "weight": good}, {**USER, "content": "b"}, ASSISTANT) == []


def test_some_answer_has_weight_1() -> None:
    """Of a conversation whose every answer weighs 0 nothing is learnt."""
    assert chat(USER, {**ASSISTANT, "weight": 0}) == [("no-weight", "$.messages")]
    assert chat({**USER, "weight": 0}, {**ASSISTANT, "weight": 1}) == []
    assert chat({**USER, "weight": 0}, ASSISTANT) == []


def test_tool_calls_and_their_results_belong_together() -> None:
    """Each call has its result before the next turn, each result its call; calls that end a conversation are learnt."""
    assert chat(USER, calls(call("a"), call("b")), result("b"), result("a"), ASSISTANT) == []
    assert chat(USER, calls(call("a"))) == []
    assert chat(USER, calls(call("a")), ASSISTANT) == [
        ("tool-call-ids", "$.messages[1].tool_calls[0]"),
        ("role-order", "$.messages[2].role"),
    ]
    assert chat(USER, calls(call("a")), result("b"), ASSISTANT) == [
        ("tool-call-ids", "$.messages[2].tool_call_id"),
        ("tool-call-ids", "$.messages[1].tool_calls[0]"),
    ]
    assert chat(USER, calls(call("a")), result("a"), result("a"), ASSISTANT) == [
        ("tool-call-ids", "$.messages[3].tool_call_id")
    ]
    assert chat(USER, calls(call("a"), call("a")), result("a"), ASSISTANT) == [
        ("tool-call-ids", "$.messages[1].tool_calls[1].id")
    ]
    assert chat(USER, calls(call("a")), {"role": "tool", "content": "x"}, ASSISTANT)[0] == (
        "bad-tool-call",
        "$.messages[2]",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        "weather",
        {"id": "a"},
        {"id": "a", "function": {"arguments": "{}"}},
        {"id": "a", "function": {"name": "", "arguments": "{}"}},
        {"id": "a", "function": {"name": "f"}},
        {"id": 5, "function": {"name": "f", "arguments": "{}"}},
        call("a", arguments="{"),
        call("a", arguments="[]"),
        call("a", arguments=5),
    ],
)
def test_a_tool_call_has_a_name_and_arguments(wrong: Any) -> None:
    """Arguments are an object, or a string that holds one."""
    for silent in (calls(wrong), {"role": "assistant", "tool_calls": [wrong]}):
        assert ("bad-tool-call", "$.messages[1].tool_calls[0]") in chat(USER, silent)
    assert chat(USER, calls(call("a", arguments={"city": "Oslo"}))) == []
    assert ("bad-tool-call", "$.messages[1].tool_calls") in chat(USER, {**ASSISTANT, "tool_calls": {}})


def test_a_message_that_calls_tools_needs_no_content_where_the_schema_says_so() -> None:
    """Null and absent content are right beside calls, and wrong elsewhere and by the reference."""
    silent = {"role": "assistant", "tool_calls": [call("a")]}
    assert chat(USER, silent) == chat(USER, calls(call("a"))) == []
    assert chat(USER, {"role": "assistant", "content": None}) == [("wrong-type", "$.messages[1].content")]
    assert chat(USER, {**calls(), "content": None}) == [("wrong-type", "$.messages[1].content")]
    assert found(CHAT, line(CHAT, messages=[USER, silent])) == [("missing-key", 1, "$.messages[1].content")]


def test_a_system_prompt_beside_the_messages_is_named() -> None:
    """Bedrock and Anthropic keep it there; the API would not look at it."""
    said = "Answer in French."
    assert found(CHAT, line(CHAT, system=said)) == [("system-beside-messages", 1, "$.system")]
    gemini = line(CHAT, systemInstruction={"parts": [{"text": said}]})
    assert found(CHAT, gemini) == [("system-beside-messages", 1, "$.systemInstruction")]
    assert found(CHAT, line(CHAT, system=None)) == found(CHAT, line(CHAT, system="")) == []
    assert found(PRETRAIN, line(PRETRAIN, system="linux")) == []


def test_answers_that_teach_nothing() -> None:
    """Equal answers, and answers to different prompts, with the prompt in the answers and without."""
    answer = [{"role": "assistant", "content": "same"}]
    assert found(PREFERENCE, line(PREFERENCE, chosen=answer, rejected=answer)) == [
        ("same-answers", 1, "$.rejected")
    ]
    whole = [USER, *answer]
    assert found(PREFERENCE, line(PREFERENCE, chosen=whole, rejected=whole, id=1)) == [
        ("same-answers", 1, "$.rejected")
    ]
    other = [{"role": "user", "content": "Something else?"}, ASSISTANT]
    assert found(PREFERENCE, line(PREFERENCE, chosen=whole, rejected=other)) == [
        ("prompts-differ", 1, "$.rejected")
    ]
    assert found(PREFERENCE, line(PREFERENCE, chosen=whole, rejected=[USER, ASSISTANT])) == []


def test_the_answer_stands_in_the_messages() -> None:
    """As in the binarized UltraFeedback, whose prompt gives the answer away; another turn of the assistant is none."""
    chosen, rejected = [{"role": "assistant", "content": "good"}], [{"role": "assistant", "content": "bad"}]
    for said in ("good", " good\n", "bad"):
        value = line(
            PREFERENCE,
            messages=[USER, {"role": "assistant", "content": said}],
            chosen=chosen,
            rejected=rejected,
        )
        assert found(PREFERENCE, value) == [("answer-in-messages", 1, "$.messages[1]")]
    value = line(PREFERENCE, messages=[USER, ASSISTANT], chosen=chosen, rejected=rejected)
    assert found(PREFERENCE, value) == []
    answered = line(
        REINFORCEMENT, messages=[USER, {"role": "assistant", "content": "It is 42."}], reference_answer="42"
    )
    assert found(REINFORCEMENT, answered) == [("answer-in-messages", 1, "$.messages[1]")]


def test_what_the_reference_does_not_know_is_no_error() -> None:
    """Weights, tool calls and answers are the person's matter: a warning says what is odd."""
    for rule in (
        "bad-weight",
        "no-weight",
        "bad-tool-call",
        "tool-call-ids",
        "system-beside-messages",
        "same-answers",
    ):
        assert RULES[rule].severity is Severity.WARNING


@given(
    st.sampled_from(["{}", '{"a": 1}', "[]", "1", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud83d"}', '{"a": 01}', '{"a": %s}' % ("1" * 5000)]),
    st.sampled_from(["", " ", "\ud83d", "x", "\t", "\u00a0", "\ufeff", "\x00"]),
    st.integers(0, 20),
)  # fmt: skip
def test_arguments_that_are_plain_are_an_object(arguments: str, noise: str, at: int) -> None:
    """What the quick way takes for an object is one for Python's reader."""
    arguments = arguments[:at] + noise + arguments[at:]
    if tool_calls._are_plain(arguments):
        assert isinstance(json.loads(arguments), dict)
