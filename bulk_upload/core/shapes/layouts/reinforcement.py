"""Records as a question with the answer to compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    is_number,
    is_object,
    is_text,
    object_of,
    whole_record_of,
)
from bulk_upload.core.shapes.messages import text_of_messages
from bulk_upload.core.shapes.names import shape_name
from bulk_upload.core.shapes.prompts import take_prompt
from bulk_upload.core.shapes.target import MESSAGES, REFERENCE, CannotConvert

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.reading import Reading
    from bulk_upload.core.shapes.target import Mapped

REFERENCE_KEYS = (REFERENCE, "ground_truth", "answer", "expected_answer", "reference", "solution")
"""Where tools keep the answer to compare with."""

REWARD = "reward_model"
"""Where verl keeps the answer, in an object of its own."""

_TRUTH = "ground_truth"


def as_reinforcement(reading: Reading) -> Mapped | None:
    """Return a record as a question with a reference, None where it is not known as one. Raises CannotConvert."""
    shape = shape_name(reading.keys)
    reference = _reference(reading)
    if reference is None:
        return None
    prompt = take_prompt(reading)
    if prompt is None:
        return None
    if prompt.key != MESSAGES:
        reading.account.is_changed = True
    return reading.made({MESSAGES: text_of_messages(prompt.messages), REFERENCE: reference}, shape)


def _reference(reading: Reading) -> Json | None:
    name = reading.first_of(REFERENCE_KEYS)
    if name is not None:
        if name != REFERENCE:
            reading.account.is_changed = True
        return _as_text(reading, reading.take(name), name)
    value = reading.record.get(REWARD)
    if value is None or not is_object(value):
        return None
    try:
        inner = whole_record_of(value)
    except NOT_JSON:
        return None
    if _TRUTH not in inner:
        return None
    reading.take(REWARD)
    reading.account.is_changed = True
    truth = inner.pop(_TRUTH)
    if inner:
        reading.put_back(REWARD, object_of(inner))
    return _as_text(reading, truth, f"{REWARD}.{_TRUTH}")


def _as_text(reading: Reading, value: Json, name: str) -> Json:
    if is_text(value):
        return value
    if is_number(value):
        reading.account.is_changed = True
        return b'"' + value + b'"'
    raise CannotConvert(f"has {name} that is neither a text nor a number")
