"""The question of a record: messages, or texts that become one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    is_array,
    is_empty,
    is_object,
    is_text,
    joined,
    whole_record_of,
)
from bulk_upload.core.shapes.messages import (
    SYSTEM,
    USER,
    history_of,
    is_conversation,
    message,
    messages_of,
    turns_of,
)
from bulk_upload.core.shapes.names import present
from bulk_upload.core.shapes.target import MESSAGES, CannotConvert
from bulk_upload.core.shapes.transcript import is_transcript, turns_of_transcript

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json, Record
    from bulk_upload.core.shapes.reading import Reading

CONVERSATION_KEYS = (
    MESSAGES, "conversations", "conversation", "contents", "dialogue", "dialog", "chat", "turns",
)  # fmt: skip
"""Where tools keep messages."""

QUESTION_KEYS = ("instruction", "prompt", "question", "query", "problem", "input", "message")
"""Where tools keep a question."""

CONTEXT_KEYS = ("input", "context")
"""What belongs to a question: Alpaca keeps the text to work on in `input`, Dolly in `context`."""

HISTORY_KEYS = ("history", "chat_history")
"""Where tools keep the turns before a question."""

_GAP = rb"\n\n"


class Prompt(NamedTuple):
    """The messages before an answer, and the key they come from."""

    messages: list[Record]
    key: str


def conversation_key(reading: Reading) -> str | None:
    """Return the key of the messages in a record."""
    for name in present(CONVERSATION_KEYS, reading.keys):
        value = reading.record[name]
        if is_array(value) and (name == MESSAGES or is_conversation(value)):
            # An empty one beside a question says nothing.
            return None if is_empty(value) and reading.first_of(QUESTION_KEYS) is not None else name
    return None


def take_conversation(reading: Reading, name: str) -> list[Record]:
    """Return the messages of a record. Raises CannotConvert."""
    if name != MESSAGES:
        reading.account.is_changed = True
    return messages_of(reading.take(name), name, reading.target, reading.account)


def take_prompt(reading: Reading) -> Prompt | None:
    """Return the question of a record, None where there is none. Raises CannotConvert."""
    name = conversation_key(reading)
    if name is not None:
        return Prompt(reading.led_by_system(take_conversation(reading, name)), name)
    if (messages := _in_input(reading)) is not None:
        return Prompt(reading.led_by_system(messages), "input")
    name = reading.first_of(QUESTION_KEYS)
    return None if name is None else Prompt(reading.led_by_system(take_question(reading, name)), name)


def take_question(reading: Reading, name: str) -> list[Record]:
    """Return the question under a key with the turns before it and the text it is about. Raises CannotConvert."""
    value = reading.take(name)
    reading.account.is_changed = True
    if not is_text(value):
        turns = turns_of(value, USER, name, reading.target, reading.account)
        start = 1 if turns and turns[0]["role"] == SYSTEM else 0
        return [*turns[:start], *_before(reading), *turns[start:]]
    if is_transcript(value):
        turns = turns_of_transcript(value)
        # The text ends where the answer is to begin.
        return [*_before(reading), *(turns[:-1] if turns[-1]["content"] == b'""' else turns)]
    texts = [value]
    for context in CONTEXT_KEYS:
        if context != name and context in reading.record:
            texts += _context(reading, context)
    return [*_before(reading), message(USER, value if len(texts) == 1 else joined(texts, _GAP))]


def _before(reading: Reading) -> list[Record]:
    before: list[Record] = []
    for earlier in present(HISTORY_KEYS, reading.keys):
        if (history := reading.take_if_any(earlier)) is not None:
            before += history_of(history, reading.target, reading.account)
    return before


def _context(reading: Reading, name: str) -> list[Json]:
    value = reading.take_if_any(name)
    if value is None:
        return []
    if not is_text(value):
        raise CannotConvert(f"has {name} that is no text")
    return [value]


def _in_input(reading: Reading) -> list[Record] | None:
    """Return the messages inside `input`, as OpenAI's preference pairs have them; what is beside them moves out."""
    value = reading.record.get("input")
    if value is None or not is_object(value):
        return None
    try:
        inner = whole_record_of(value)
    except NOT_JSON:
        return None
    if MESSAGES not in inner:
        return None
    reading.take("input")
    reading.account.is_changed = True
    messages = messages_of(inner.pop(MESSAGES), "input.messages", reading.target, reading.account)
    for name, one in inner.items():
        if name in reading.record:
            reading.account.lost.append(f"input.{name}")
        else:
            reading.put_back(name, one)
    return messages
