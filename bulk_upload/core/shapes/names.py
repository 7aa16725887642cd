"""What the shapes of other tools are called, by the keys that a record of each has."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

PAIR_KEYS = (
    ("chosen", "rejected"),
    ("preferred_output", "non_preferred_output"),
    ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"),
)
"""Where tools keep a good and a bad answer."""

SYSTEM_KEYS = (
    "system", "system_prompt", "systemPrompt", "system_message", "systemMessage", "systemInstruction",
    "system_instruction", "sys_prompt", "preamble",
)  # fmt: skip
"""Where tools keep a system prompt beside the messages."""

TEXT_KEYS = ("content", "raw_content", "page_content", "body", "document", "article", "passage")
"""Where tools keep the text of a document."""


_KEYS_REMEMBERED_MAX = 1024


class _Name(NamedTuple):
    name: str
    keys: tuple[str, ...]


_NAMES = (
    _Name("KTO of LLaMA-Factory (`kto_tag`)", ("kto_tag",)),
    _Name("preference pairs of ShareGPT (`conversations`, `chosen`, `rejected`)", ("conversations", "chosen", "rejected")),
    _Name("preference pairs of OpenAI (`input`, `preferred_output`, `non_preferred_output`)", PAIR_KEYS[1]),
    _Name("preference pairs (`prompt`, `chosen`, `rejected`)", ("prompt", "chosen", "rejected")),
    _Name("preference pairs (`question`, `chosen`, `rejected`)", ("question", "chosen", "rejected")),
    _Name("preference pairs (`instruction`, `chosen`, `rejected`)", ("instruction", "chosen", "rejected")),
    _Name("preference pairs of whole conversations (`chosen`, `rejected`), their prompt implicit", ("chosen", "rejected")),
    *(_Name(f"preference pairs (`{good}`, `{bad}`)", (good, bad)) for good, bad in PAIR_KEYS[2:]),
    _Name("ShareGPT (`conversations`)", ("conversations",)),
    _Name("ShareGPT (`conversation`)", ("conversation",)),
    _Name("Gemini (`contents` of `role` and `parts`)", ("contents",)),
    _Name("verl (`prompt`, `reward_model`)", ("prompt", "reward_model")),
    _Name("`messages` and `ground_truth`", ("messages", "ground_truth")),
    _Name("`messages` and `answer`", ("messages", "answer")),
    _Name("UltraFeedback (`instruction` with `completions` of several models)", ("instruction", "completions")),
    _Name("Alpaca (`instruction`, `input`, `output`)", ("instruction", "output")),
    _Name("`instruction` and `response`", ("instruction", "response")),
    _Name("KTO (`prompt`, `completion`, `label`)", ("prompt", "completion", "label")),
    _Name("`prompt` and `completion`", ("prompt", "completion")),
    _Name("`prompt` and `response`", ("prompt", "response")),
    _Name("`prompt` and `ground_truth`", ("prompt", "ground_truth")),
    _Name("`question` and `answer`", ("question", "answer")),
    _Name("`question` and `response`", ("question", "response")),
    _Name("`question` and `ground_truth`", ("question", "ground_truth")),
    _Name("Cohere (`message`, `response`)", ("message", "response")),
    _Name("`query` and `response`", ("query", "response")),
    _Name("`problem` and `answer`", ("problem", "answer")),
    _Name("`problem` and `solution`", ("problem", "solution")),
    _Name("`input` and `output`", ("input", "output")),
)  # fmt: skip
NAMED_KEYS = frozenset(key for one in _NAMES for key in one.keys)
"""A record with none of these keys has no name."""

TRANSCRIPTS = "HH-RLHF (`chosen` and `rejected` as whole transcripts)"
ARRAYS_OF_MESSAGES = "arrays of messages"
PLAIN_TEXTS = "plain strings"


def known_name(record: Mapping[str, Any]) -> str | None:
    """Return what the shape of a record is called, None where it is none of another tool's."""
    return _known_name(tuple(record))


@lru_cache(maxsize=_KEYS_REMEMBERED_MAX)
def _known_name(keys: tuple[str, ...]) -> str | None:
    if NAMED_KEYS.isdisjoint(keys):
        return None
    return next((one.name for one in _NAMES if all(key in keys for key in one.keys)), None)


@lru_cache(maxsize=_KEYS_REMEMBERED_MAX)
def present(names: tuple[str, ...], keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that a record with these keys has. Most records of a file have the same keys."""
    return tuple(name for name in names if name in keys)


@lru_cache(maxsize=_KEYS_REMEMBERED_MAX)
def shape_name(record_keys: tuple[str, ...]) -> str:
    """Return what a record that can be converted is called, by its keys."""
    name = _known_name(record_keys)
    if name is not None:
        return name
    if "messages" in record_keys:
        return "`messages` in other words"
    keys = [f"`{key}`" for key in record_keys if key in TEXT_KEYS or key == "text"]
    return f"texts under {' and '.join(keys)}" if keys else "other keys"
