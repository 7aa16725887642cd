"""An example as text: roles, answers and calls are seen at once, and nothing in it controls a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.report.examples import rendered


def shown(value: Any, characters_max: int = 1000) -> list[str]:
    """Return the lines of an example."""
    text = (
        value
        if isinstance(value, bytes)
        else json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
    return list(rendered(text, characters_max=characters_max))


USER = {"role": "user", "content": "Is it\nraining?"}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"at": "sea"}'}}


def test_turns_with_their_roles() -> None:
    """Texts of several lines below the role; calls and results with their ids; other fields after them."""
    record = {
        "id": 12345678901234567890123,
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "no"},
            {"role": "assistant", "content": "No.", "weight": 1},
        ],
    }
    assert shown(record) == [
        "user:",
        "  Is it",
        "  raining?",
        "assistant:",
        '  calls weather({"at": "sea"}) [c1]',
        'tool (tool_call_id "c1"): no',
        "assistant (weight 1): No.",
        "id: 12345678901234567890123",
    ]


def test_answers_one_after_the_other() -> None:
    """Under the names of their fields, after what they answer."""
    answers = [[{"role": "assistant", "content": one}] for one in ("Yes.", "No.")]
    record = {"messages": [{"role": "user", "content": "q"}], "chosen": answers[0], "rejected": answers[1][0]}
    assert shown(record) == ["user: q", "chosen:", "  assistant: Yes.", "rejected:", "  assistant: No."]


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ({"text": "one\ttwo"}, ["text: one    two"]),
        ({"instruction": "i", "input": "", "output": "o"}, ["instruction: i", "input:", "output: o"]),
        ({"conversations": [{"from": "human", "value": "q"}]}, ["human: q"]),
        ([{"role": "user", "content": "q"}], ["user: q"]),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
         ["user:", "  a", '  [{"type": "image_url"}]']),
        ("a text", ["  a text"]),
        (b"{]", ["{]"]),
        (b"[1, 2.50]", ["[1, 2.50]"]),
        (b'{"text": "\\ud83d"}', ['{"text": "\\ud83d"}']),
    ],
)  # fmt: skip
def test_other_shapes_are_shown_as_they_are(value: Any, lines: list[str]) -> None:
    """What is no example is shown too: it is what the file holds."""
    assert shown(value) == lines


def test_long_texts_are_clipped() -> None:
    """With how much is left; 0 shows all."""
    assert shown({"text": "x" * 1205}) == [f"text: {'x' * 1000}... (205 more characters)"]
    assert shown({"text": "x" * 1205}, 0) == [f"text: {'x' * 1205}"]
    assert len(shown({"other": list(range(1000))})[0]) < 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["role", "from", "content", "value", "messages", "chosen", "tool_calls", "function", "name", "text"]) | st.text(),
        inner, max_size=5,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON | st.binary(max_size=60))
def test_nothing_controls_a_terminal(value: Any) -> None:
    """Whatever the example is, each line of it is printable."""
    assert all(line.isprintable() for line in shown(value))
