"""Converts one record: the decision for every shape and every purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    RepeatedKey,
    is_array,
    is_object,
    is_text,
    object_of,
    require_utf8,
    text_of,
    whole_record_of,
)
from bulk_upload.core.shapes.layouts.conversation import as_conversation
from bulk_upload.core.shapes.layouts.preference import as_preference
from bulk_upload.core.shapes.layouts.pretraining import as_text
from bulk_upload.core.shapes.layouts.reinforcement import as_reinforcement
from bulk_upload.core.shapes.messages import Account, is_conversation, messages_of, text_of_messages
from bulk_upload.core.shapes.names import ARRAYS_OF_MESSAGES, PAIR_KEYS, PLAIN_TEXTS, present
from bulk_upload.core.shapes.prompts import CONVERSATION_KEYS
from bulk_upload.core.shapes.reading import Reading
from bulk_upload.core.shapes.target import MESSAGES, TEXT, CannotConvert, Layout, Mapped
from bulk_upload.core.text.wording import quoted

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.target import Target

_BY_LAYOUT = {
    Layout.CONVERSATION: as_conversation,
    Layout.PREFERENCE: as_preference,
    Layout.REINFORCEMENT: as_reinforcement,
    Layout.TEXT: as_text,
}

_MESSAGES_KEYS = (*CONVERSATION_KEYS, *(name for pair in PAIR_KEYS for name in pair), "prompt", "completion")
_ARRAY_IN_TEXT = (b'"[{', b'"[ {', b'"[\\n')


def mapped(text: Json, target: Target) -> Mapped | None:
    """Return a record in the shape of a purpose, None where its own shape is not known.

    Raises `NOT_JSON`, and CannotConvert for a record of a known shape that cannot be converted without a guess.
    """
    try:
        return _mapped(text, target)
    except RepeatedKey as error:
        raise CannotConvert(f"has the key {quoted(str(error))} twice, and one value would be lost") from None


def _mapped(text: Json, target: Target) -> Mapped | None:
    if is_array(text):
        require_utf8(text)
        return _bare(text, target)
    if is_text(text):
        text_of(text)
        return Mapped(object_of({TEXT: text}), PLAIN_TEXTS) if target.layout is Layout.TEXT else None
    if not is_object(text):
        return None
    reading = Reading(text, whole_record_of(text), target)
    try:
        _unwrap(reading)
        return _BY_LAYOUT[target.layout](reading)
    except NOT_JSON:
        raise CannotConvert("has a value that cannot be read") from None


def _unwrap(reading: Reading) -> None:
    """Replace messages that are JSON inside a string, as exports of tables have them."""
    for name in present(_MESSAGES_KEYS, reading.keys):
        value = reading.record[name]
        if value.startswith(_ARRAY_IN_TEXT) and is_conversation(inner := text_of(value).strip().encode()):
            reading.record[name] = inner
            reading.account.is_changed = True


def _bare(text: Json, target: Target) -> Mapped | None:
    if target.layout is not Layout.CONVERSATION or not is_conversation(text):
        return None
    account = Account()
    messages = messages_of(text, "", target, account)
    value = object_of({MESSAGES: text_of_messages(messages)})
    return Mapped(value, ARRAYS_OF_MESSAGES, tuple(account.lost))
