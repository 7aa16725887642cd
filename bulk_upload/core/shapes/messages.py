"""Rewrites conversations of all kinds as messages of `role` and `content`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    Json,
    Record,
    array_of,
    is_array,
    is_empty,
    is_object,
    is_same,
    is_text,
    items_of,
    joined,
    object_of,
    record_of,
    whole_record_of,
    whole_records_of,
)
from bulk_upload.core.shapes.roles import known_role
from bulk_upload.core.shapes.target import CannotConvert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.shapes.target import Target

ROLE_KEYS = ("role", "from")
CONTENT_KEYS = ("content", "value", "parts", "message", "text")
"""Where tools keep who speaks in a message, and what is said."""
USER: Json = b'"user"'
ASSISTANT: Json = b'"assistant"'
SYSTEM: Json = b'"system"'


class Account:
    """What becomes of the values of one record: whether any was rewritten, what has no place, what said nothing."""

    def __init__(self) -> None:
        self.is_changed = False
        self.lost: list[str] = []
        self.empty: list[str] = []


def message(role: Json, content: Json) -> Record:
    """Return a message."""
    return {"role": role, "content": content}


def text_of_messages(messages: Iterable[Record]) -> Json:
    """Return messages as one value."""
    return array_of(
        [
            # Nearly all messages have nothing else.
            b'{"role":' + one["role"] + b',"content":' + one["content"] + b"}"
            if len(one) == 2
            else object_of(one)
            for one in messages
        ]
    )


def is_conversation(value: Json) -> bool:
    """Whether a value is an array that begins with a message, in the words of any tool."""
    if not is_array(value):
        return False
    try:
        items = items_of(value)
        if not items or not is_object(items[0]):
            return False
        return is_message(record_of(items[0]))
    except NOT_JSON:
        return False


def is_message(record: Record) -> bool:
    """Whether an object is a message, in the words of any tool."""
    return _key(record, ROLE_KEYS) is not None and _key(record, CONTENT_KEYS) is not None


def messages_of(value: Json, place: str, target: Target, account: Account) -> list[Record]:
    """Return the messages of an array, whatever its tool calls their parts. Raises CannotConvert."""
    try:
        records = whole_records_of(value)
    except NOT_JSON:
        raise CannotConvert(f"has something else than messages in {place}") from None
    return [_message(one, place, index, target, account) for index, one in enumerate(records)]


def turns_of(value: Json, role: Json, place: str, target: Target, account: Account) -> list[Record]:
    """Return the messages that a value stands for: a text is one by `role`. Raises CannotConvert."""
    if is_text(value):
        account.is_changed = True
        return [message(role, value)]
    if is_object(value):
        account.is_changed = True
        return [_message(whole_record_of(value), place, 0, target, account)]
    if is_array(value):
        return messages_of(value, place, target, account)
    raise CannotConvert(f"has {place} that is neither a text nor messages")


def history_of(value: Json, target: Target, account: Account) -> list[Record]:
    """Return earlier turns: pairs of a question and an answer, or messages. Raises CannotConvert."""
    account.is_changed = True
    try:
        items = items_of(value)
        if items and is_object(items[0]):
            return messages_of(value, "history", target, account)
        pairs = [items_of(one) for one in items]
    except NOT_JSON:
        raise CannotConvert("has a history that is neither pairs nor messages") from None
    turns = []
    for pair in pairs:
        if len(pair) != 2 or not all(map(is_text, pair)):
            raise CannotConvert("has a history of something else than pairs of texts")
        turns += [message(USER, pair[0]), message(ASSISTANT, pair[1])]
    return turns


def system_text(value: Json, place: str, target: Target, account: Account) -> Json:
    """Return the text of a system prompt beside the messages: a text, parts, or an object of parts."""
    account.is_changed = True
    if is_text(value):
        return value
    if is_object(value):
        record = whole_record_of(value)
        key = _key(record, CONTENT_KEYS)
        if key is None:
            raise CannotConvert(f"has {place} without a text")
        account.lost += [f"{place}.{name}" for name in record if name not in (key, "role")]
        return _content(record[key], f"{place}.{key}", target, account)
    return _content(value, place, target, account)


def with_system(messages: list[Record], system: Json) -> list[Record]:
    """Return messages that begin with a system prompt. Raises CannotConvert where they begin with another one."""
    if messages and messages[0]["role"] == SYSTEM:
        if not is_same(messages[0]["content"], system):
            raise CannotConvert("has two different system prompts")
        return messages
    return [message(SYSTEM, system), *messages]


def shared_start(first: Sequence[Record], second: Sequence[Record]) -> int:
    """Return how many messages two conversations begin with alike, less than either has."""
    count = 0
    for one, other in zip(first[:-1], second[:-1], strict=False):
        if not is_same_turns([one], [other]):
            break
        count += 1
    return count


def is_same_turns(first: Sequence[Record], second: Sequence[Record]) -> bool:
    """Whether two conversations are the same, whatever their escapes."""
    return first == second or (
        len(first) == len(second)
        and all(
            one.keys() == other.keys() and all(is_same(one[key], other[key]) for key in one)
            for one, other in zip(first, second, strict=True)
        )
    )


def _message(record: Record, place: str, index: int, target: Target, account: Account) -> Record:
    role_key, content_key = _key(record, ROLE_KEYS), _key(record, CONTENT_KEYS)
    if role_key is None or content_key is None:
        missing = "role" if role_key is None else "content"
        raise CannotConvert(f"has a message without {missing}: {place}[{index}]")
    role = known_role(record[role_key], target.roles)
    content = record[content_key]
    if not is_text(content):
        content = _content(content, f"{place}[].{content_key}", target, account)
    if role_key != "role" or content_key != "content" or role != record[role_key]:
        account.is_changed = True
    made = {"role": role, "content": content}
    if len(record) > 2:
        made.update((key, value) for key, value in record.items() if key not in (role_key, content_key))
    return made


def _key(record: Record, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in record), None)


def _content(value: Json, place: str, target: Target, account: Account) -> Json:
    if is_text(value):
        return value
    if is_object(value):
        # Gemini's API takes one part for a list of one.
        value = array_of([value])
        account.is_changed = True
    if is_empty(value) or not is_array(value):
        raise CannotConvert(f"has a message without text: {place}")
    try:
        parts = items_of(value)
        objects = [None if is_text(one) else whole_record_of(one) for one in parts]
    except NOT_JSON:
        raise CannotConvert(f"has parts in {place} that are no objects") from None
    if target.content_parts and all(one is not None and "type" in one for one in objects):
        return value
    account.is_changed = True
    texts = []
    for part, record in zip(parts, objects, strict=True):
        if record is None:
            texts.append(part)
        elif is_text(text := record.get("text", b"")):
            texts.append(text)
            account.lost += [f"{place}[].{key}" for key in record if key not in ("text", "type")]
        else:
            account.lost += [f"{place}[].{key}" for key in record if key != "type" or len(record) == 1]
    if not texts:
        raise CannotConvert(f"has a message without text: {place}")
    return texts[0] if len(texts) == 1 else joined(texts)
