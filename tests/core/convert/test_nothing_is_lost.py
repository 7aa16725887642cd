"""Whatever a record holds is in its line afterwards, or in the account of what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from bulk_upload.core.convert.converter import Converter
from bulk_upload.core.purposes import Purpose
from tests.core.data_samples import CHAT, PREFERENCE, PRETRAIN, REINFORCEMENT, check

SEEDS = range(60)
STRUCTURE = {"role", "from", "type"}
"""Keys whose values say what another value is: they have other words afterwards, or are no longer needed."""

WORDS = (
    "a",
    " b",
    "c\n",
    "d\td",
    '"e"',
    "\\",
    "\u00e4\u4f60\U0001f600",
    "\u2028",
    "{",
    "]",
    "#### 4",
    "Human",
    "\x00\x1f",
)
NUMBERS = (
    "0",
    "9007199254740993",
    "123456789012345678901234567890",
    "0.10",
    "1e400",
    "-0.0",
    "1.00000000000000000001",
)
Values = dict[str, Any]


class Number(str):
    """The text of a number, which JSON writes without quotes."""

    __slots__ = ()


def text(value: Any, draw: Random) -> str:
    """Return JSON in which numbers stand as they were written, with escapes or without."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)}: {text(one, draw)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(text(one, draw) for one in value) + "]"
    return json.dumps(value, ensure_ascii=draw.random() < 0.5)


def words(draw: Random) -> str:
    """Return a text that is not blank."""
    return "x" + "".join(draw.choices(WORDS, k=draw.randint(0, 4)))


def maybe(draw: Random) -> str:
    """Return a text that may be empty."""
    return words(draw) if draw.random() < 0.6 else ""


def number(draw: Random) -> Number:
    """Return a number that few readers keep as it is."""
    return Number(draw.choice(NUMBERS))


def extra(draw: Random) -> Any:
    """Return any value."""
    kinds: tuple[Callable[[Random], Any], ...] = (
        words,
        number,
        lambda _: True,
        lambda _: None,
        lambda _: [words(draw), {words(draw): number(draw)}],
        lambda _: {},
    )
    return draw.choice(kinds)(draw)


def beside(draw: Random) -> Values:
    """Return keys that no shape knows."""
    return {f"x_{words(draw)}": extra(draw) for _ in range(draw.randint(0, 2))}


def record(draw: Random, **fields: Any) -> Values:
    """Return fields among others, in any order."""
    made = [*fields.items(), *beside(draw).items()]
    draw.shuffle(made)
    return dict(made)


def turn(draw: Random, role: str, role_key: str = "role", content_key: str = "content") -> Values:
    """Return a message with keys of its own."""
    return record(draw, **{role_key: role, content_key: words(draw)})


def chat(draw: Random, user: str = "user", assistant: str = "assistant", **keys: str) -> list[Values]:
    """Return one or two exchanges."""
    return [turn(draw, role, **keys) for _ in range(draw.randint(1, 2)) for role in (user, assistant)]


def gpt(draw: Random, *roles: str) -> list[Values]:
    """Return turns in the words of ShareGPT."""
    return [turn(draw, role, "from", "value") for role in roles]


def history(draw: Random) -> list[list[str]]:
    """Return earlier exchanges."""
    return [[words(draw), words(draw)] for _ in range(draw.randint(0, 2))]


def parts(draw: Random) -> list[Values]:
    """Return a text in parts."""
    return [{"type": "text", "text": words(draw)} for _ in range(draw.randint(1, 3))]


def gemini(draw: Random) -> list[Values]:
    """Return turns in the words of Gemini."""
    return [
        {**one, "parts": [{"text": one["parts"]}]} for one in chat(draw, "user", "model", content_key="parts")
    ]


def whole_pair(draw: Random) -> Values:
    """Return a pair whose prompt is in both answers."""
    prompt = [turn(draw, "user")]
    return {"chosen": [*prompt, turn(draw, "assistant")], "rejected": [*prompt, turn(draw, "assistant")]}


def ultrafeedback(draw: Random) -> Values:
    """Return a pair whose chosen answer is there three times."""
    pair = whole_pair(draw)
    return record(
        draw, prompt=pair["chosen"][0]["content"], messages=pair["chosen"], score=number(draw), **pair
    )


def transcripts(draw: Random) -> Values:
    """Return a pair as HH-RLHF has it."""
    prompt = f"\n\nHuman: {words(draw)}\n\nAssistant: {words(draw)}\n\nHuman: {words(draw)}"
    return {name: f"{prompt}\n\nAssistant: {words(draw)}" for name in ("chosen", "rejected")}


SHAPES: dict[str, tuple[Purpose, Callable[[Random], Any]]] = {
    "alpaca": (CHAT, lambda r: record(r, instruction=words(r), input=maybe(r), output=words(r), system=maybe(r), history=history(r))),
    "dolly": (CHAT, lambda r: record(r, instruction=words(r), context=maybe(r), response=words(r))),
    "openorca": (CHAT, lambda r: record(r, system_prompt=maybe(r), question=words(r), response=words(r))),
    "prompt-completion": (CHAT, lambda r: record(r, prompt=words(r), completion=words(r))),
    "prompt-completion of messages": (CHAT, lambda r: record(r, prompt=[turn(r, "user")], completion=[turn(r, "assistant")])),
    "sharegpt": (CHAT, lambda r: record(r, conversations=gpt(r, "human", "gpt", "human", "gpt"), system=maybe(r), tools=maybe(r))),
    "conversations": (CHAT, lambda r: record(r, conversations=chat(r))),
    "bare arrays": (CHAT, chat),
    "cohere": (CHAT, lambda r: record(r, messages=chat(r, "User", "Chatbot"))),
    "gemini": (CHAT, lambda r: record(r, contents=gemini(r), systemInstruction={"parts": [{"text": words(r)}]})),
    "bedrock": (CHAT, lambda r: record(r, system=[{"text": words(r)}], messages=chat(r))),
    "parts": (CHAT, lambda r: record(r, messages=[{"role": "user", "content": parts(r)}, {"role": "assistant", "content": parts(r)}])),
    "messages in a string": (CHAT, lambda r: record(r, messages=json.dumps([turn(r, "user") | {"n": 1}, {"role": "assistant", "content": "a"}]))),
    "good": (CHAT, lambda r: record(r, messages=chat(r))),
    "dpo": (PREFERENCE, lambda r: record(r, system=maybe(r), prompt=words(r), chosen=words(r), rejected=words(r) + "-")),
    "dpo of messages": (PREFERENCE, lambda r: record(r, prompt=[turn(r, "user")], chosen=[turn(r, "assistant")], rejected=[turn(r, "assistant")])),
    "implicit prompt": (PREFERENCE, whole_pair),
    "hh-rlhf": (PREFERENCE, transcripts),
    "openai": (PREFERENCE, lambda r: record(r, input={"messages": [turn(r, "user")], "tools": extra(r)}, preferred_output=[turn(r, "assistant")], non_preferred_output=[turn(r, "assistant")])),
    "sharegpt pair": (PREFERENCE, lambda r: record(r, conversations=gpt(r, "human"), chosen=gpt(r, "gpt")[0], rejected=gpt(r, "gpt")[0])),
    "llama-factory pair": (PREFERENCE, lambda r: record(r, instruction=words(r), input=maybe(r), chosen=words(r), rejected=words(r), history=history(r))),
    "ultrafeedback": (PREFERENCE, ultrafeedback),
    "ground truth": (REINFORCEMENT, lambda r: record(r, messages=[turn(r, "user")], ground_truth=r.choice((words, number))(r))),
    "verl": (REINFORCEMENT, lambda r: record(r, prompt=[turn(r, "user")], reward_model=record(r, style=words(r), ground_truth=words(r)))),
    "question-answer": (REINFORCEMENT, lambda r: record(r, question=words(r), answer=words(r))),
    "content": (PRETRAIN, lambda r: record(r, content=words(r))),
    "raw_content": (PRETRAIN, lambda r: record(r, raw_content=words(r))),
    "strings": (PRETRAIN, words),
}  # fmt: skip


def leaves(value: Any, key: str = "") -> Iterator[str]:
    """Yield every text and every number of a value, as they were written."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from leaves(one, name)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, key)
    elif isinstance(value, str) and key not in STRUCTURE:
        yield str(value)


def is_said(leaf: str, written: list[str]) -> bool:
    """Whether a text is found: by itself, joined with others, turn by turn, or as the value that it is the text of."""
    if leaf.startswith("[{"):
        return all(is_said(one, written) for one in leaves(json.loads(leaf, parse_int=Number)))
    turns = leaf.replace("\n\nHuman: ", "\n\nAssistant: ").split("\n\nAssistant: ")
    return all(any(part in one for one in written) for part in turns if part)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_leaf_is_found_again(shape: str) -> None:
    """Each record becomes one valid line without a finding, with every value in it, digit by digit; empty ones are listed."""
    purpose, make = SHAPES[shape]
    for seed in SEEDS:
        draw = Random(f"{shape} {seed}")
        value = make(draw)
        converter = Converter(purpose)
        written = converter.convert([text(value, draw).encode() + b"\n"])
        assert written.left == []
        (line,) = written.lines
        assert set(check(purpose, line).counts) <= {"line-separator", "same-answers"}
        found = list(leaves(json.loads(line, parse_int=Number, parse_float=Number)))
        for leaf in leaves(value):
            assert is_said(leaf, found) if leaf else "" in found or converter.tally.empty, (leaf, value)
        assert converter.tally.kept + converter.tally.converted.total() == 1
        assert not converter.tally.lost


def test_any_bytes_do() -> None:
    """Each record is a line, or left with a reason, and never both or neither."""
    kinds = [b'{"text": "a"}', b'{"text": "a"},', b'"{}"', b"[]", b"{}", b"\xff", b'"a"', b"null", b'{"text": "\\ud800"}', b'{"content": "\xff"}']  # fmt: skip
    for seed in range(300):
        draw = Random(seed)
        lines = [
            draw.choice((draw.choice(kinds), draw.randbytes(draw.randint(0, 30)))) + b"\n" for _ in range(5)
        ]
        converter = Converter(PRETRAIN, fix=draw.random() < 0.5)
        written = converter.convert(lines)
        tally = converter.tally
        assert len(written.left) == tally.left
        assert all(one.reason and one.text for one in written.left)
        assert tally.record_count == len(lines)
        assert tally.record_count - tally.blank - tally.left == len(written.lines)
        assert not written.lines or not check(PRETRAIN, b"".join(written.lines)).error_count


def test_a_record_that_is_far_too_long_is_left_at_once() -> None:
    """It is refused before copies of it are made; one that is long only by its line ends is converted."""
    small = replace(CHAT, schema=replace(CHAT.schema, line_bytes_max=100))
    record = b'{"instruction": "a", "output": "%s"}' % (b"x" * 400)
    (left,) = Converter(small).convert([record]).left
    assert left.reason == f"the record has {len(record)} bytes, and the limit of a line is 100"
    assert left.text == record
    spaced = b'{"instruction": "a",%s"output": "b"}' % (b"\n" * 300)
    assert Converter(small).convert([spaced]).lines
