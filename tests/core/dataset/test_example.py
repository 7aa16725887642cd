"""What examples are compared by: the fields of the purpose as a whole, and the prompt."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.dataset.example import NO_PROMPT, ExampleReader
from bulk_upload.core.purposes import PURPOSES, Field, Kind, Schema

CHAT, PREFERENCE, REINFORCEMENT, PRETRAIN, _ = PURPOSES.values()

ASKED = {"role": "user", "content": "Rain?"}
SYSTEM = {"role": "system", "content": "Be brief."}

OPTIONAL = Schema(
    fields=(
        Field(name="messages", kind=Kind.MESSAGES, required=False),
        Field(name="chosen", kind=Kind.MESSAGES, required=False, is_answer=True),
        Field(name="rejected", kind=Kind.MESSAGES, required=False, is_answer=True),
        Field(name="text", kind=Kind.ANY, required=False),
    )
)
"""A schema of a user's own, in which nothing must be there."""


def said(text: str) -> dict[str, str]:
    """Return an answer."""
    return {"role": "assistant", "content": text}


def digest(record: dict[str, Any]) -> int:
    """Return the hash of a conversation."""
    return ExampleReader(CHAT.schema).digest(record)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 9), max_size=4), st.randoms())
def test_order_and_escapes_make_no_difference(extra: dict[str, int], random: Any) -> None:
    """Nor do fields that the purpose does not have."""
    message = {"role": "user", "content": "Grüße \u2028", **{f"x{key}": one for key, one in extra.items()}}
    items = list(message.items())
    random.shuffle(items)
    shuffled: dict[str, Any] = json.loads(json.dumps({"id": random.random(), "messages": [dict(items)]}))
    assert digest({"messages": [message]}) == digest(shuffled)


def test_what_is_learnt_makes_a_difference() -> None:
    """A weight, a role, a space."""
    one: dict[str, Any] = {"messages": [ASKED, said("No.")]}
    others: list[dict[str, Any]] = [
        {"messages": [ASKED, {**said("No."), "weight": 0}]},
        {"messages": [ASKED, {**ASKED, "content": "No."}]},
        {"messages": [ASKED, said("No. ")]},
    ]
    assert len({digest(record) for record in (one, *others)}) == 4


def test_the_prompt_is_what_comes_before_the_answer() -> None:
    """Whatever the answer is, and for each purpose in its own way."""
    chat, preference = ExampleReader(CHAT.schema), ExampleReader(PREFERENCE.schema)
    reinforcement = ExampleReader(REINFORCEMENT.schema)
    prompt = chat.prompt_digest({"messages": [ASKED, said("No.")]})
    assert prompt == chat.prompt_digest({"messages": [ASKED, {**said("Yes."), "weight": 1}]})
    assert prompt == preference.prompt_digest({"messages": [ASKED], "chosen": [said("a")], "rejected": []})
    assert prompt == preference.prompt_digest({"messages": [], "chosen": [ASKED, said("a")], "rejected": []})
    assert prompt == reinforcement.prompt_digest({"messages": [ASKED], "reference_answer": "No."})
    assert prompt != chat.prompt_digest({"messages": [SYSTEM, ASKED, said("No.")]})
    assert prompt != chat.prompt_digest({"messages": [ASKED, said("No."), ASKED, said("No.")]})


def test_some_have_no_prompt() -> None:
    """Without a message of the user nothing was asked, and texts have none."""
    chat = ExampleReader(CHAT.schema)
    assert chat.prompt_digest({"messages": [SYSTEM, said("Hello.")]}) == NO_PROMPT
    assert chat.prompt_digest({"messages": [ASKED]}) == NO_PROMPT
    assert ExampleReader(PRETRAIN.schema).prompt_digest({"text": "Once."}) == NO_PROMPT


JSON_VALUE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["role", "content", "tool_calls", "function", "name", "text", "x"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "chosen", "rejected", "reference_answer", "text", "tools"]), JSON_VALUE
    )
)
def test_any_record_is_read(record: dict[str, Any]) -> None:
    """Whatever a line holds, it is an example or none; one has its hashes and its texts."""
    decoded = msgspec.json.decode(json.dumps(record))
    for schema in (*(one.schema for one in PURPOSES.values()), OPTIONAL):
        reader = ExampleReader(schema)
        example = reader.read(decoded)
        if example is not None:
            assert all(isinstance(text, str) for _, text in (*example.texts, *example.call_texts))
            assert reader.digest(decoded)
            assert reader.prompt_digest(decoded) >= NO_PROMPT
