"""Records as a question with a chosen and a rejected answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import has_verdict, is_same, is_text
from bulk_upload.core.shapes.messages import (
    ASSISTANT,
    is_conversation,
    is_same_turns,
    messages_of,
    shared_start,
    text_of_messages,
    turns_of,
)
from bulk_upload.core.shapes.names import PAIR_KEYS, TRANSCRIPTS, shape_name
from bulk_upload.core.shapes.prompts import conversation_key, take_conversation, take_prompt
from bulk_upload.core.shapes.target import CHOSEN, MESSAGES, REJECTED, CannotConvert
from bulk_upload.core.shapes.transcript import is_transcript, turns_of_transcript

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json, Record
    from bulk_upload.core.shapes.reading import Reading
    from bulk_upload.core.shapes.target import Mapped


def as_preference(reading: Reading) -> Mapped | None:
    """Return a record as a preference pair, None where it is not known as one. Raises CannotConvert."""
    record, shape = reading.record, shape_name(reading.keys)
    keys = next((pair for pair in PAIR_KEYS if pair[0] in record and pair[1] in record), None)
    if keys is None:
        if has_verdict(record):
            raise CannotConvert("has one answer with a verdict (KTO), and a pair needs two")
        return None
    if all(is_transcript(record[name]) for name in keys):
        shape = TRANSCRIPTS
    chosen, rejected = (_answer(reading, name) for name in keys)
    if keys != (CHOSEN, REJECTED):
        reading.account.is_changed = True
    if _is_whole(chosen) and _is_whole(rejected):
        start = shared_start(chosen, rejected)
        prompt = reading.led_by_system(_prompt_beside(reading, chosen, rejected, start))
        chosen, rejected = chosen[start:], rejected[start:]
    else:
        found = take_prompt(reading)
        if found is None:
            return None
        prompt = _without_answer(reading, found.messages, chosen)
    if not prompt or not all(one and one[0]["role"] == ASSISTANT for one in (chosen, rejected)):
        raise CannotConvert("has a chosen and a rejected answer to different questions")
    fields = {MESSAGES: prompt, CHOSEN: chosen, REJECTED: rejected}
    return reading.made({name: text_of_messages(one) for name, one in fields.items()}, shape)


def _answer(reading: Reading, name: str) -> list[Record]:
    value = reading.take(name)
    if is_text(value) and is_transcript(value):
        reading.account.is_changed = True
        return turns_of_transcript(value)
    if is_text(value) and is_transcript(reading.record.get("prompt", b"")):
        # The question ends with the speaker's name, and the answer begins with the space after it.
        reading.account.is_changed = True
        value = b'"' + value[1:].removeprefix(b" ")
    return turns_of(value, ASSISTANT, name, reading.target, reading.account)


def _is_whole(messages: list[Record]) -> bool:
    return bool(messages) and messages[0]["role"] != ASSISTANT


def _prompt_beside(
    reading: Reading, chosen: list[Record], rejected: list[Record], start: int
) -> list[Record]:
    """Return what both conversations begin with; the same words elsewhere in the record are not kept twice."""
    reading.account.is_changed = True
    prompt = chosen[:start]
    name = conversation_key(reading)
    if name is not None:
        messages = take_conversation(reading, name)
        if not any(is_same_turns(messages, one) for one in (prompt, chosen, rejected)):
            raise CannotConvert(f"has {name} that are neither the question nor one of the answers")
    value = reading.record.get("prompt")
    if value is not None and _is_said(reading, value, prompt):
        reading.take("prompt")
    return prompt


def _is_said(reading: Reading, value: Json, prompt: list[Record]) -> bool:
    if is_text(value):
        return any(is_same(one["content"], value) for one in prompt)
    if not is_conversation(value):
        return False
    return is_same_turns(messages_of(value, "prompt", reading.target, reading.account), prompt)


def _without_answer(reading: Reading, prompt: list[Record], chosen: list[Record]) -> list[Record]:
    """Return the messages without the chosen answer, where they end with it."""
    if len(prompt) > len(chosen) and is_same_turns(prompt[-len(chosen) :], chosen):
        reading.account.is_changed = True
        return prompt[: -len(chosen)]
    return prompt
