"""Lines as public data sets and other tools have them, and what becomes of each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bulk_upload.core.purposes import PURPOSES, Purpose
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.target import CannotConvert, Mapped, target_of
from tests.core.data_samples import CHAT, PREFERENCE, PRETRAIN, REINFORCEMENT, check


def converted(purpose: Purpose, value: Any) -> Mapped | None:
    """Return what becomes of a line."""
    target = target_of(purpose.schema)
    assert target is not None
    return mapped(json.dumps(value).encode(), target)


def turns(*said: str) -> list[dict[str, str]]:
    """Return messages from `u:...`, `a:...` and `s:...`."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    return [{"role": roles[one[0]], "content": one[2:]} for one in said]


def sharegpt(*said: str) -> list[dict[str, str]]:
    """Return the same in the words of ShareGPT."""
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return [{"from": names[one["role"]], "value": one["content"]} for one in turns(*said)]


def gemini(*said: str) -> list[dict[str, Any]]:
    """Return the same in the words of Gemini."""
    names = {"user": "user", "assistant": "model"}
    return [{"role": names[one["role"]], "parts": [{"text": one["content"]}]} for one in turns(*said)]


CONVERSATIONS = {
    "alpaca": ({"instruction": "i", "input": "x", "output": "o", "text": "### i"}, {"messages": turns("u:i\n\nx", "a:o"), "text": "### i"}),
    "alpaca without input": ({"instruction": "i", "input": "", "output": "o"}, {"messages": turns("u:i", "a:o")}),
    "alpaca of llama-factory": (
        {"instruction": "i3", "input": "x", "output": "o3", "system": "s", "history": [["i1", "o1"], ["i2", "o2"]]},
        {"messages": turns("s:s", "u:i1", "a:o1", "u:i2", "a:o2", "u:i3\n\nx", "a:o3")},
    ),
    "alpaca with empty history": ({"instruction": "i", "output": "o", "system": "", "history": []}, {"messages": turns("u:i", "a:o")}),
    "dolly": ({"instruction": "i", "context": "c", "response": "r", "category": "qa"}, {"messages": turns("u:i\n\nc", "a:r"), "category": "qa"}),
    "openorca": ({"id": "cot.1", "system_prompt": "s", "question": "q", "response": "r"}, {"id": "cot.1", "messages": turns("s:s", "u:q", "a:r")}),
    "sharegpt": ({"id": 1, "conversations": sharegpt("u:h", "a:g", "u:h2", "a:g2")}, {"id": 1, "messages": turns("u:h", "a:g", "u:h2", "a:g2")}),
    "sharegpt of llama-factory": ({"conversations": sharegpt("u:h", "a:g"), "system": "s", "tools": "[]"}, {"messages": turns("s:s", "u:h", "a:g"), "tools": "[]"}),
    "sharegpt with weights": ({"conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "g", "weight": 1}]}, {"messages": [*turns("u:h"), {"role": "assistant", "content": "g", "weight": 1}]}),
    "conversations of role and content": ({"conversations": turns("u:h", "a:g")}, {"messages": turns("u:h", "a:g")}),
    "conversation": ({"conversation": sharegpt("u:h", "a:g")}, {"messages": turns("u:h", "a:g")}),
    "prompt and completion": ({"prompt": "p", "completion": "c"}, {"messages": turns("u:p", "a:c")}),
    "prompt and completion of messages": ({"prompt": turns("s:s", "u:p"), "completion": turns("a:c")}, {"messages": turns("s:s", "u:p", "a:c")}),
    "history before messages": ({"prompt": turns("s:s", "u:p"), "history": [["h", "g"]], "completion": "c"}, {"messages": turns("s:s", "u:h", "a:g", "u:p", "a:c")}),
    "system prompt in camel case": ({"systemPrompt": "s", "conversations": sharegpt("u:h", "a:g")}, {"messages": turns("s:s", "u:h", "a:g")}),
    "preamble": ({"preamble": "s", "messages": [{"role": "User", "message": "h"}, {"role": "Chatbot", "message": "g"}]}, {"messages": turns("s:s", "u:h", "a:g")}),
    "gemini with one part": ({"system_instruction": {"parts": {"text": "s"}}, "contents": gemini("u:h", "a:g")}, {"messages": turns("s:s", "u:h", "a:g")}),
    "array of messages": (turns("u:h", "a:g"), {"messages": turns("u:h", "a:g")}),
    "array of sharegpt": (sharegpt("u:h", "a:g"), {"messages": turns("u:h", "a:g")}),
    "cohere": ({"messages": [{"role": "System", "content": "s"}, {"role": "User", "content": "u"}, {"role": "Chatbot", "content": "c"}]}, {"messages": turns("s:s", "u:u", "a:c")}),
    "cohere api": ({"messages": [{"role": "USER", "message": "u"}, {"role": "CHATBOT", "message": "c"}]}, {"messages": turns("u:u", "a:c")}),
    "cohere chat": (
        {"preamble": "s", "chat_history": [{"role": "USER", "message": "u"}, {"role": "CHATBOT", "message": "c"}], "message": "u2", "response": "c2"},
        {"messages": turns("s:s", "u:u", "a:c", "u:u2", "a:c2")},
    ),
    "gemini": ({"systemInstruction": {"role": "system", "parts": [{"text": "s"}]}, "contents": gemini("u:h", "a:g")}, {"messages": turns("s:s", "u:h", "a:g")}),
    "bedrock": (
        {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "s"}], "messages": [{"role": "user", "content": [{"text": "u"}]}, {"role": "assistant", "content": [{"text": "a"}]}]},
        {"schemaVersion": "bedrock-conversation-2024", "messages": turns("s:s", "u:u", "a:a")},
    ),
    "anthropic": ({"system": "s", "messages": turns("u:u", "a:a")}, {"messages": turns("s:s", "u:u", "a:a")}),
    "system in both places": ({"system": "s", "messages": turns("s:s", "u:u", "a:a")}, {"messages": turns("s:s", "u:u", "a:a")}),
    "parts of text": ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]}, *turns("a:c")]}, {"messages": turns("u:a b", "a:c")}),
    "messages in a string": ({"messages": json.dumps(turns("u:u", "a:a"))}, {"messages": turns("u:u", "a:a")}),
}  # fmt: skip
PAIRS = {
    "trl": ({"prompt": "p", "chosen": "g", "rejected": "b"}, {}),
    "trl of messages": ({"prompt": turns("u:p"), "chosen": turns("a:g"), "rejected": turns("a:b")}, {}),
    "trl, prompt implicit": ({"chosen": turns("u:p", "a:g"), "rejected": turns("u:p", "a:b")}, {}),
    "hh-rlhf": ({"chosen": "\n\nHuman: p\n\nAssistant: g", "rejected": "\n\nHuman: p\n\nAssistant: b"}, {}),
    "hh-rlhf with its prompt": ({"prompt": "\n\nHuman: p\n\nAssistant:", "chosen": " g", "rejected": " b"}, {}),
    "openai": ({"input": {"messages": turns("u:p"), "tools": [{"type": "function"}]}, "preferred_output": turns("a:g"), "non_preferred_output": turns("a:b")}, {"tools": [{"type": "function"}]}),
    "sharegpt": ({"conversations": sharegpt("u:p"), "chosen": {"from": "gpt", "value": "g"}, "rejected": {"from": "gpt", "value": "b"}}, {}),
    "ultrafeedback": (
        {"prompt": "p", "prompt_id": "x", "messages": turns("u:p", "a:g"), "chosen": turns("u:p", "a:g"), "rejected": turns("u:p", "a:b"), "score_chosen": 8.50},
        {"prompt_id": "x", "score_chosen": 8.5},
    ),
    "orca": ({"question": "p", "chosen": "g", "rejected": "b"}, {}),
    "llama-factory": ({"instruction": "p", "input": "", "chosen": "g", "rejected": "b"}, {}),
    "no messages yet": ({"messages": [], "prompt": "p", "chosen": "g", "rejected": "b"}, {}),
    "messages that end with the answer": ({"messages": turns("u:p", "a:g"), "chosen": turns("a:g"), "rejected": turns("a:b")}, {}),
}  # fmt: skip
REFERENCES = {
    "ground_truth": ({"messages": turns("u:q"), "ground_truth": "4"}, {}),
    "verl": (
        {"data_source": "gsm8k", "prompt": turns("u:q"), "ability": "math", "reward_model": {"style": "rule", "ground_truth": "4"}, "extra_info": {"index": 7}},
        {"data_source": "gsm8k", "ability": "math", "reward_model": {"style": "rule"}, "extra_info": {"index": 7}},
    ),
    "verl, nothing left": ({"prompt": turns("u:q"), "reward_model": {"ground_truth": "4"}}, {}),
    "question and answer": ({"question": "q", "answer": "4"}, {}),
    "trl": ({"prompt": turns("u:q"), "solution": "4"}, {}),
    "problem": ({"problem": "q", "solution": "so", "answer": "4"}, {"solution": "so"}),
    "a number": ({"prompt": "q", "answer": 4}, {}),
}  # fmt: skip
TEXTS = {
    "starcoder": ({"content": "t", "path": "a.py"}, {"path": "a.py"}),
    "redpajama": ({"raw_content": "t", "meta": {"n": 1}}, {"meta": {"n": 1}}),
    "langchain": ({"page_content": "t", "metadata": {}}, {"metadata": {}}),
    "a string": ("t", {}),
}


@pytest.mark.parametrize(("given", "wanted"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations(given: Any, wanted: Any) -> None:
    """System prompts, earlier turns and other keys are carried over, and validation finds nothing."""
    expect(CHAT, given, wanted)


@pytest.mark.parametrize(("given", "beside"), PAIRS.values(), ids=PAIRS)
def test_pairs(given: Any, beside: dict[str, Any]) -> None:
    """A question with a good and a bad answer, the question once."""
    expect(
        PREFERENCE,
        given,
        {"messages": turns("u:p"), "chosen": turns("a:g"), "rejected": turns("a:b"), **beside},
    )


@pytest.mark.parametrize(("given", "beside"), REFERENCES.values(), ids=REFERENCES)
def test_references(given: Any, beside: dict[str, Any]) -> None:
    """A question with the answer to compare with."""
    expect(REINFORCEMENT, given, {"messages": turns("u:q"), "reference_answer": "4", **beside})


@pytest.mark.parametrize(("given", "beside"), TEXTS.values(), ids=TEXTS)
def test_texts(given: Any, beside: dict[str, Any]) -> None:
    """A text to learn from."""
    expect(PRETRAIN, given, {"text": "t", **beside})


def expect(purpose: Purpose, given: Any, wanted: Any) -> None:
    made = converted(purpose, given)
    assert made is not None
    assert json.loads(made.value) == wanted
    assert not made.lost
    assert not check(purpose, made.value + b"\n").counts


CANNOT = [
    (PREFERENCE, {"prompt": "p", "completion": "c", "label": True}, "KTO"),
    (CHAT, {"prompt": "p", "completion": "c", "label": False}, "KTO"),
    # A table has texts or digits only.
    (CHAT, {"prompt": "p", "completion": "c", "label": "False"}, "KTO"),
    (CHAT, {"prompt": "p", "completion": "c", "label": 0}, "KTO"),
    (PREFERENCE, {"prompt": "p", "completion": "c", "label": "1"}, "KTO"),
    (CHAT, {"instruction": "p", "output": "c", "kto_tag": False}, "KTO"),
    (PREFERENCE, {"instruction": "p", "output": "c", "kto_tag": True}, "KTO"),
    (CHAT, {"instruction": "p", "output": ""}, "empty answer"),
    (CHAT, {"messages": [{"role": "User", "content": "u"}], "chosen": "g", "rejected": "b"}, "preference-fine-tune"),
    (CHAT, {"conversations": sharegpt("u:p", "a:c"), "label": False}, "KTO"),
    (CHAT, {"conversations": sharegpt("u:p", "a:c"), "kto_tag": "true"}, "KTO"),
    (CHAT, {"prompt": "p", "chosen": "g", "rejected": "b"}, "preference-fine-tune"),
    (PREFERENCE, {"chosen": turns("u:p", "a:g"), "rejected": turns("u:x", "a:b")}, "different questions"),
    (CHAT, {"system": "x", "messages": turns("s:s", "u:u", "a:a")}, "two different system prompts"),
    (CHAT, {"messages": [{"role": "user", "content": None}]}, "without text"),
    (CHAT, {"messages": [*turns("u:u"), {"role": "tool", "content": "t"}]}, '"tool"'),
    (PRETRAIN, {"content": "a", "body": "b"}, "several texts"),
    (REINFORCEMENT, {"prompt": "p", "answer": ["4"]}, "neither a text nor a number"),
]  # fmt: skip


@pytest.mark.parametrize(("purpose", "given", "why"), CANNOT)
def test_what_would_be_a_guess_is_refused(purpose: Purpose, given: Any, why: str) -> None:
    """No line is made where another purpose's data, or one of several meanings, would have to be chosen."""
    with pytest.raises(CannotConvert, match=why):
        converted(purpose, given)


@pytest.mark.parametrize("purpose", PURPOSES.values(), ids=PURPOSES)
@pytest.mark.parametrize("given", [{"a": 1}, {}, [], [1], 5, None, {"messages": 5}, {"prompt": "p"}])
def test_other_values_are_not_known(purpose: Purpose, given: Any) -> None:
    """What has no question and no answer is nobody's shape."""
    assert converted(purpose, given) is None


def test_what_a_purpose_has_no_place_for_is_named() -> None:
    """Images and the settings of parts are lost, by their places; the text is not."""
    parts = [
        {"type": "text", "text": "a", "cache_control": {}},
        {"type": "image_url", "image_url": {"url": "x"}},
    ]
    made = converted(CHAT, {"messages": [{"role": "user", "content": parts}, *turns("a:b")]})
    assert made is not None
    assert json.loads(made.value) == {"messages": turns("u:a", "a:b")}
    assert made.lost == ("messages[].content[].cache_control", "messages[].content[].image_url")


@pytest.mark.parametrize(
    ("purpose", "line"),
    [
        (CHAT, b'{"instruction":"a","instruction":"b","output":"o"}'),
        (CHAT, b'{"instruction": "a", "output": "o", "instruction": "b"}'),
        (CHAT, b'{"\\u0069d":1,"instruction":"a","output":"o","id":2}'),
        (CHAT, b'{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b","value":"c"}]}'),
        (CHAT, b'[{"role": "user", "content": "a", "content": "b"}, {"role": "assistant", "content": "c"}]'),
        (CHAT, b'{"messages":[{"role":"User","content":[{"text":"a","text":"b"}]}]}'),
        (
            PREFERENCE,
            b'{"prompt":"p","chosen":{"role":"assistant","content":"g","content":"h"},"rejected":"b"}',
        ),
        (REINFORCEMENT, b'{"prompt":"p","reward_model":{"ground_truth":"4","ground_truth":"5"}}'),
        (PRETRAIN, b'{"content":"a","content":"b"}'),
        # What is missing is as long as white space would be, of which the texts have some too.
        (CHAT, b'{"a":11,"a":"\\": \\": \\": \\": ","instruction":"i","output":"o","d":3}'),
    ],
)
def test_a_key_that_is_there_twice_loses_no_value(purpose: Purpose, line: bytes) -> None:
    """A reader of JSON keeps one of the values; the record is refused, however it is written."""
    target = target_of(purpose.schema)
    assert target is not None
    with pytest.raises(CannotConvert, match="twice"):
        mapped(line, target)


def test_what_would_make_a_line_of_another_purpose_has_no_place_in_it() -> None:
    """A reference beside an answer to imitate is named as lost: with it the file would be refused as another purpose's."""
    made = converted(CHAT, {"question": "u", "response": "a", "reference_answer": "4", "id": 1})
    assert made is not None
    assert json.loads(made.value) == {"messages": turns("u:u", "a:a"), "id": 1}
    assert made.lost == ("reference_answer",)
    assert not check(CHAT, made.value + b"\n").counts


def test_keys_are_counted_whatever_the_space_between_them() -> None:
    """White space is no second value, and an object that is moved as it is keeps what it has."""
    target = target_of(CHAT.schema)
    assert target is not None
    for line in (
        b'{"instruction":"a","output":"o","x":{"a":1,"a":2}}',
        b'{ "instruction" :"a","output": "o","x":{"a":1,"a":2}}',
        b'{"instruction": "a", "output": "o", "x": {"a":1,"a":2}}',
    ):
        made = mapped(line, target)
        assert made is not None
        assert made.value.endswith(b'"x":{"a":1,"a":2}}')


def test_what_is_good_already_stays_byte_for_byte() -> None:
    """Space, key order and escapes of a good line are the writer's own."""
    line = b'{ "id" : 1e400, "messages": [ {"content": "\\u00e4", "role": "user"} , {"role":"assistant","content":"b"}]}'
    target = target_of(CHAT.schema)
    assert target is not None
    made = mapped(line, target)
    assert made is not None
    assert made.is_same
    assert made.value == line
