"""Records as conversations to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import KTO_KEYS, LABEL, has_verdict
from bulk_upload.core.shapes.messages import ASSISTANT, text_of_messages, turns_of
from bulk_upload.core.shapes.names import present, shape_name
from bulk_upload.core.shapes.prompts import QUESTION_KEYS, conversation_key, take_conversation, take_question
from bulk_upload.core.shapes.target import CHOSEN, MESSAGES, REJECTED, CannotConvert, Layout, OtherLayout

if TYPE_CHECKING:
    from bulk_upload.core.shapes.reading import Reading
    from bulk_upload.core.shapes.target import Mapped

ANSWER_KEYS = ("output", "completion", "response", "answer", "solution")
"""Where tools keep an answer to learn from."""


def as_conversation(reading: Reading) -> Mapped | None:
    """Return a record as a conversation, None where it is not known as one. Raises CannotConvert."""
    record, shape = reading.record, shape_name(reading.keys)
    has_pair = CHOSEN in record and REJECTED in record
    if has_pair and MESSAGES not in record:
        raise _pair()
    name = conversation_key(reading)
    if name is not None:
        if name != MESSAGES and (has_verdict(record, KTO_KEYS) or record.get(LABEL) in (b"true", b"false")):
            raise CannotConvert("has a conversation with a verdict, good or bad (KTO)")
        messages = reading.led_by_system(take_conversation(reading, name))
    else:
        question, answer = reading.first_of(QUESTION_KEYS), reading.first_of(ANSWER_KEYS)
        if question is None:
            return None
        if answer is None:
            if present(ANSWER_KEYS, reading.keys):
                raise CannotConvert("has an empty answer")
            return None
        if has_verdict(record):
            raise CannotConvert(
                "has an answer with a verdict, good or bad (KTO), and no conversation to imitate"
            )
        messages = take_question(reading, question)
        messages += turns_of(reading.take(answer), ASSISTANT, answer, reading.target, reading.account)
        messages = reading.led_by_system(messages)
    made = reading.made({MESSAGES: text_of_messages(messages)}, shape)
    if has_pair and not made.is_same:
        raise _pair()
    return made


def _pair() -> OtherLayout:
    return OtherLayout("has a good and a bad answer: data of preference-fine-tune", Layout.PREFERENCE)
