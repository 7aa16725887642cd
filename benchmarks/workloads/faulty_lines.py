"""Files of training data of which every line has the same fault, one kind of fault a file."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from measuring.training_data import texts

if TYPE_CHECKING:
    from collections.abc import Callable

    Text = Callable[[int, int], str]
    Line = Callable[[Text, random.Random], bytes]

_Messages = list[dict[str, Any]]


def _turns(text: Text, chance: random.Random, *, question: str = "user") -> _Messages:
    messages: _Messages = [{"role": "system", "content": text(10, 20)}]
    for _ in range(chance.randint(1, 3)):
        messages += [
            {"role": question, "content": text(10, 60)},
            {"role": "assistant", "content": text(20, 150)},
        ]
    return messages


def _dumped(value: Any) -> bytes:  # noqa: ANN401
    return json.dumps(value, ensure_ascii=False).encode()


def _chat(change: Callable[[_Messages], _Messages | None]) -> Line:
    """Return what makes a line of a conversation that is changed."""

    def line(text: Text, chance: random.Random) -> bytes:
        messages = _turns(text, chance)
        return _dumped({"messages": change(messages) or messages})

    return line


def _text(change: Callable[[bytes], bytes]) -> Line:
    """Return what makes a line of a conversation whose text is changed."""
    return lambda text, chance: change(_dumped({"messages": _turns(text, chance)}))


def _last(**change: Any) -> Line:
    return _chat(lambda messages: messages[-1].update(change))


def _without(name: str) -> Line:
    return _chat(lambda messages: [*messages[:-1], {k: v for k, v in messages[-1].items() if k != name}])


def _record(**names: tuple[int, int]) -> Line:
    """Return what makes a record with texts of so many words under names."""
    return lambda text, _: _dumped({name: text(*words) for name, words in names.items()})


def _sharegpt(text: Text, chance: random.Random) -> bytes:
    turns = [
        {"from": "human" if n % 2 == 0 else "gpt", "value": text(20, 150)}
        for n in range(2 * chance.randint(1, 3))
    ]
    return _dumped({"conversations": turns})


def _answer(text: Text) -> dict[str, Any]:
    return {"role": "assistant", "content": text(20, 150)}


def _pair(*, is_same: bool) -> Line:
    def line(text: Text, chance: random.Random) -> bytes:
        messages = _turns(text, chance)
        answer = [messages.pop()]
        prompt = [{"role": "user", "content": text(4, 8)}]
        return _dumped(
            {
                "messages": messages,
                "chosen": answer if is_same else prompt + answer,
                "rejected": answer if is_same else [{"role": "user", "content": text(4, 8)}, _answer(text)],
            }
        )

    return line


def _tools(text: Text, chance: random.Random) -> bytes:
    messages = _turns(text, chance)
    call = {"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    messages[-1]["tool_calls"] = [call]
    messages += [{"role": "user", "content": text(3, 9)}, {"role": "assistant", "content": text(20, 150)}]
    return _dumped({"messages": messages})


def _parts(text: Text, chance: random.Random) -> bytes:
    messages = [
        {**one, "content": [{"type": "text", "text": one["content"]}]} for one in _turns(text, chance)
    ]
    return _dumped({"messages": messages})


def _wrong_roles(text: Text, chance: random.Random) -> bytes:
    return _dumped({"messages": _turns(text, chance, question="human")})


CHAT, PAIRS = "fine-tune", "preference-fine-tune"

FAULTS: dict[str, tuple[Line, str]] = {
    # Warnings only
    "role order": (_chat(lambda messages: [*messages, *messages[1:][::-1]]), CHAT),
    "last role": (_chat(lambda messages: messages[:-1]), CHAT),
    "empty content": (_chat(lambda messages: messages[0].update(content="")), CHAT),
    "white space": (_chat(lambda messages: messages[0].update(content=" \n")), CHAT),
    "weights": (_last(weight=2), CHAT),
    "tool calls": (_tools, CHAT),
    "system beside": (
        lambda text, chance: _dumped({"system": text(5, 9), "messages": _turns(text, chance)}),
        CHAT,
    ),
    "same answers": (_pair(is_same=True), PAIRS),
    "prompts differ": (_pair(is_same=False), PAIRS),
    "duplicates": (lambda *_: _dumped({"messages": _turns(texts(random.Random(1)), random.Random(1))}), CHAT),
    "blank lines": (lambda *_: b"", CHAT),
    # Errors of the example
    "wrong role": (_wrong_roles, CHAT),
    "wrong role, new each": (
        lambda text, chance: _dumped({"messages": _turns(text, chance, question=text(2, 3))}),
        CHAT,
    ),
    "content parts": (_parts, CHAT),
    "null content": (_last(content=None), CHAT),
    "number content": (_last(content=12), CHAT),
    "no content": (_without("content"), CHAT),
    "no role": (_without("role"), CHAT),
    "no assistant": (_chat(lambda messages: messages[:2]), CHAT),
    "no messages": (lambda text, _: _dumped({"message": text(50, 300)}), CHAT),
    "empty messages": (lambda text, _: _dumped({"id": text(20, 90), "messages": []}), CHAT),
    "messages is a text": (lambda text, _: _dumped({"messages": text(50, 300)}), CHAT),
    "array of texts": (lambda text, _: _dumped([text(20, 90), text(20, 90)]), CHAT),
    # Other tools and purposes
    "Alpaca": (_record(instruction=(8, 30), input=(0, 20), output=(20, 150)), CHAT),
    "ShareGPT": (_sharegpt, CHAT),
    "pre-train": (_record(text=(50, 300)), CHAT),
    "other keys": (_record(title=(3, 9), summary=(20, 90), url=(1, 1)), CHAT),
    "other keys, new each": (lambda text, _: _dumped({text(1, 1) + text(1, 1): text(50, 300)}), CHAT),
    "arrays of messages": (lambda text, chance: _dumped(_turns(text, chance)), CHAT),
    # Errors of JSON
    "cut off": (_text(lambda line: line[: len(line) * 9 // 10]), CHAT),
    "bracket missing": (_text(lambda line: line[:-1]), CHAT),
    "raw tab": (_text(lambda line: line.replace(b"e ", b"e\t", 1)), CHAT),
    "Python's quotes": (lambda text, chance: repr({"messages": _turns(text, chance)}).encode(), CHAT),
    "comma at the end": (_text(lambda line: line + b","), CHAT),
    "comma in an object": (_text(lambda line: line[:-1] + b",}"), CHAT),
    "two objects": (_text(lambda line: line + line), CHAT),
    "something follows": (_text(lambda line: line + b" x"), CHAT),
    "JSON in a string": (_text(lambda line: json.dumps(line.decode()).encode()), CHAT),
    "CSV quotes": (_text(lambda line: b'"' + line.replace(b'"', b'""') + b'"'), CHAT),
    "NaN": (_text(lambda line: line[:-1] + b', "score": NaN}'), CHAT),
    "half a character": (_text(lambda line: line.replace(b"e ", b"e\\ud83d ", 1)), CHAT),
    "not UTF-8": (_text(lambda line: line.replace(b"e ", b"e\xe9 ", 1)), CHAT),
    "plain text": (lambda text, _: text(50, 300).replace("\n", " ").encode(), CHAT),
}
"""By the name of the fault: what makes a line, and the purpose of the file."""


def write(path: str, fault: str, megabytes: float) -> int:
    """Write a file of so many megabytes; return how many lines it has."""
    make, _ = FAULTS[fault]
    chance = random.Random(fault)
    text = texts(chance)
    count = 0
    with open(path, "wb") as file:
        # One good line keeps the file from being something else as a whole.
        file.write(_dumped({"messages": _turns(text, chance)[-2:]}) + b"\n")
        while file.tell() < megabytes * 1_000_000 and count < 500_000:
            file.write(make(text, chance) + b"\n")
            count += 1
    return count + 1
