"""What one example says: its texts, by whom, its tools, and what it is compared by."""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.purposes import Kind

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Field, Schema

_encode = msgspec.json.Encoder(order="sorted").encode
_ASSISTANT = "assistant"
_USER = "user"

NO_PROMPT = 0
"""The digest of an example without a prompt of its own."""


class Example(msgspec.Struct):
    """One example, read by the fields of its purpose.

    `texts` are pairs of the role, or the field, and a text, `call_texts` the same for arguments of tool calls; `turn_count` is the number of messages, None where the purpose
    has none. `answers` are the characters of the chosen and the rejected answer.
    """

    texts: list[tuple[str, str]]
    turn_count: int | None = None
    call_texts: list[tuple[str, str]] = msgspec.field(default_factory=list)
    tool_names: list[str] = msgspec.field(default_factory=list)
    has_tools: bool = False
    answers: tuple[int, int] | None = None


class ExampleReader:
    """Reads the records of one purpose."""

    def __init__(self, schema: Schema) -> None:
        self._fields = schema.fields
        self._required = schema.required_names
        self._asked = next((one.name for one in schema.fields if one.kind is Kind.MESSAGES), None)
        self._pair = [one.name for one in schema.fields if one.is_answer and one.kind is Kind.MESSAGES][:2]
        self._named = frozenset(one.name for one in schema.fields)
        self._has_answers = any(one.is_answer for one in schema.fields)

    def read(self, record: Any) -> Example | None:  # noqa: ANN401 - any JSON value
        """Return an example; None for a value that lacks what the purpose needs."""
        if not isinstance(record, dict):
            return None
        example = Example([])
        if not all(self._read_field(record.get(field.name), field, example) for field in self._fields):
            return None
        if not self._fields:
            example.texts += [(key, value) for key, value in record.items() if isinstance(value, str)]
        example.has_tools = bool(record.get("tools")) or bool(example.tool_names)
        if len(self._pair) > 1:
            first, second = (_answer_characters(record.get(name)) for name in self._pair)
            example.answers = first, second
        return example

    def _read_field(self, value: Any, field: Field, example: Example) -> bool:  # noqa: ANN401
        """Read a value; return False where it makes the record no example."""
        if value is None:
            return not field.required
        if field.kind is Kind.MESSAGES:
            return self._read_messages(value, field, example)
        if field.kind is Kind.STRING:
            if not isinstance(value, str):
                return False
            example.texts.append((field.name, value))
        return True

    def _read_messages(self, messages: Any, field: Field, example: Example) -> bool:  # noqa: ANN401
        if not isinstance(messages, list):
            return False
        before = "" if field.name == self._asked else f"{field.name} "
        for message in messages:
            if not isinstance(message, dict):
                return False
            role = message.get("role")
            if not isinstance(role, str):
                return False
            content = message.get("content")
            label = before + role
            example.texts.append((label, content if isinstance(content, str) else _joined(content)))
            if calls := message.get("tool_calls"):
                _read_calls(calls, label, example)
        if not before:
            example.turn_count = len(messages)
        return True

    def digest(self, record: dict[str, Any]) -> int:
        """Return the hash of what the purpose reads of a record, all of it where no schema is known.

        Order of keys, space, escapes, and fields that the purpose does not have, make no difference.
        """
        named = {name: record[name] for name in self._named if name in record} if self._named else record
        return _hash(named)

    def prompt_digest(self, record: dict[str, Any]) -> int:
        """Return the hash of the messages that the answer is given to: their roles and contents.

        They are the messages before the last answer; in preference data also those that the chosen answer begins with.
        `NO_PROMPT` where there is none, or no message of the user in it.
        """
        if self._asked is None:
            return NO_PROMPT
        messages = record.get(self._asked) or ()
        if self._pair:
            messages = [*messages, *(record.get(self._pair[0]) or ())]
        if self._pair or not self._has_answers:
            end = len(messages) - 1
            while end >= 0 and messages[end].get("role") != _ASSISTANT:
                end -= 1
            messages = messages[: max(0, end)]
        told = [(one.get("role"), one.get("content")) for one in messages]
        return _hash(told) if any(role == _USER for role, _ in told) else NO_PROMPT


def _hash(value: object) -> int:
    # Of an ordinary hash that processors compute themselves, the first half: nobody attacks it here.
    digest = int.from_bytes(sha1(_encode(value), usedforsecurity=False).digest()[:8], "big")
    return digest or 1


def _joined(content: object) -> str:
    """Return the texts of a content in parts."""
    if not isinstance(content, list):
        return ""
    texts = (one.get("text") for one in content if isinstance(one, dict))
    return "\n".join(one for one in texts if isinstance(one, str))


def _read_calls(calls: object, label: str, example: Example) -> None:
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            continue
        name, arguments = function.get("name"), function.get("arguments")
        if isinstance(name, str):
            example.tool_names.append(name)
        if isinstance(arguments, str):
            example.call_texts.append((label, arguments))


def _answer_characters(messages: Any) -> int:  # noqa: ANN401
    """Return the characters of the last message."""
    if not isinstance(messages, list) or not messages:
        return 0
    content = messages[-1].get("content")
    return len(content if isinstance(content, str) else _joined(content))
