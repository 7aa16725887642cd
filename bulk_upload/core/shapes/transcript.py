"""Conversations as one text, with the speakers' names before each turn, as HH-RLHF writes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import Json, encode_text, text_of
from bulk_upload.core.shapes.messages import ASSISTANT, USER, message

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Record

_SPEAKER = re.compile(r"\n\n(Human|Assistant): ?")
_START = b'"\\n\\nHuman:'
_ROLES = {"Human": USER, "Assistant": ASSISTANT}


def is_transcript(value: Json) -> bool:
    """Whether a value is such a text."""
    return value.startswith(_START)


def turns_of_transcript(value: Json) -> list[Record]:
    """Return the turns of such a text. One space after a speaker's name is not part of the turn."""
    _, *rest = _SPEAKER.split(text_of(value))
    return [
        message(_ROLES[speaker], encode_text(said))
        for speaker, said in zip(rest[::2], rest[1::2], strict=True)
    ]
