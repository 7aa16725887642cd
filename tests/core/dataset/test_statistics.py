"""Statistics of examples: what is counted, and that parts add up."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.dataset.example import ExampleReader
from bulk_upload.core.dataset.statistics import NAMES_MAX, OTHERS, Statistics
from bulk_upload.core.purposes import PURPOSES, Purpose, unknown_to_us

CHAT, PREFERENCE, REINFORCEMENT, PRETRAIN, _ = PURPOSES.values()

ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
CALL = st.fixed_dictionaries(
    {"function": st.fixed_dictionaries({"name": st.sampled_from("abc"), "arguments": st.text(max_size=4)})}
)
MESSAGE = st.fixed_dictionaries(
    {"role": ROLES, "content": st.one_of(st.none(), st.text(max_size=9))},
    optional={"tool_calls": st.lists(CALL, max_size=2)},
)
RECORD = st.one_of(
    st.fixed_dictionaries({"messages": st.lists(MESSAGE, max_size=4)}),
    st.just({"text": "no example of a conversation"}),
    st.integers(),
)


def counted(records: list[Any], purpose: Purpose = CHAT, first_no: int = 1) -> Statistics:
    """Count records as the lines of a file."""
    reader, found = ExampleReader(purpose.schema), Statistics(file_count=1)
    for line_no, record in enumerate(records, start=first_no):
        example = reader.read(record)
        if example is None:
            found.other_count += 1
        else:
            found.add(example, "a.jsonl", line_no)
            found.add_tokens(len(example.texts), "a.jsonl", line_no)
    return found


@given(st.lists(RECORD, max_size=12), st.integers(0, 12))
def test_parts_add_up(records: list[Any], cut: int) -> None:
    """Statistics of two parts, merged, are those of the whole."""
    merged = counted(records[:cut])
    merged.merge(counted(records[cut:], first_no=1 + len(records[:cut])))
    merged.file_count = 1
    assert merged == counted(records)


def test_a_conversation_is_counted_by_role() -> None:
    """Characters are those of contents, of the texts of parts, and of the arguments of tool calls."""
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Rain?"}, {"type": "image_url"}]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "assistant", "content": "Nö."},
    ]
    found = counted([{"messages": messages, "tools": [{}]}, {"messages": [{"role": "user"}]}, {"id": 1}, []])
    assert (found.example_count, found.other_count) == (2, 2)
    assert {role: (one.message_count, one.characters) for role, one in found.roles.items()} == {
        "user": (2, 5),
        "assistant": (2, 5),
    }
    assert (found.characters.total, found.turns.total) == (10, 4)
    assert (found.tool_example_count, found.tools) == (1, {"weather": 1})
    assert found.longest is not None
    assert (found.longest.line_no, found.longest.amount) == (1, 10)


def test_answers_are_compared() -> None:
    """Preference data shows which answer is longer; their roles are named by their field."""
    user = [{"role": "user", "content": "?"}]

    def answer(text: str) -> list[dict[str, str]]:
        return [{"role": "assistant", "content": text}]

    found = counted(
        [
            {"messages": user, "chosen": answer("longer"), "rejected": answer("short")},
            {"messages": user, "chosen": answer("a"), "rejected": answer("bb")},
            {"messages": user, "chosen": answer("a"), "rejected": answer("b")},
        ],
        PREFERENCE,
    )
    one = found.answers
    assert (one.pair_count, one.chosen_longer_count, one.rejected_longer_count) == (3, 1, 1)
    assert (one.chosen_characters, one.rejected_characters) == (8, 8)
    assert set(found.roles) == {"user", "chosen assistant", "rejected assistant"}


def test_texts_have_no_turns() -> None:
    """Fields of text are counted by their names; without a schema all of them."""
    found = counted([{"text": "abc", "id": "x"}, {"text": 3}], PRETRAIN)
    assert (found.example_count, found.other_count, found.turns.count) == (1, 1, 0)
    assert list(found.roles) == ["text"]
    assert list(counted([{"text": "abc", "id": "x"}], unknown_to_us("new")).roles) == ["text", "id"]


def test_names_are_bounded() -> None:
    """Ten thousand roles take no more room than two hundred."""
    found = counted([{"messages": [{"role": f"r{number}", "content": "x"}]} for number in range(1000)])
    assert len(found.roles) == NAMES_MAX + 1
    assert found.roles[OTHERS].message_count == 1000 - NAMES_MAX
