"""Mends what a writer did to the bytes of a line, where only one meaning is possible."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.json_values import NOT_JSON, is_array, is_object, is_text, record_of, text_of
from bulk_upload.core.shapes.messages import is_conversation
from bulk_upload.core.shapes.values import BETWEEN, values_in
from bulk_upload.core.text.text_bytes import BOM

if TYPE_CHECKING:
    from bulk_upload.core.shapes.json_values import Json


class Damage(StrEnum):
    """What a writer did to a line."""

    MARK = "a byte order mark before the object"
    SEPARATOR = "a record separator before the object, as in JSON text sequences"
    COMMA = "a comma after the object"
    ENCODED = "JSON inside a string"
    QUOTED = "CSV quotes around JSON"
    SEVERAL = "several objects on one line"
    CR = "lines that end with CR alone"


_SEPARATOR = b"\x1e"
"""RFC 7464: it stands before each text of a sequence."""

LEFT_OUT = BETWEEN + b"\x0b\x0c" + _SEPARATOR
"""What a repair may take from the beginning of a line."""


class Repair(NamedTuple):
    """What was done to a line, and the values it holds."""

    damage: tuple[Damage, ...]
    values: list[Json]


def repaired(line: bytes) -> Repair | None:
    """Return the values of a line that is no JSON object as it is, None where no repair is certain."""
    text, damage = line.strip(), []
    if text.startswith(BOM):
        text = text.removeprefix(BOM).lstrip()
        damage.append(Damage.MARK)
    if text.startswith(_SEPARATOR):
        text = text.removeprefix(_SEPARATOR).lstrip()
        damage.append(Damage.SEPARATOR)
    if text.endswith(b","):
        text = text[:-1].rstrip()
        damage.append(Damage.COMMA)
    if is_text(text):
        inner = _unquoted(text)
        if inner is None:
            return None
        kind, text = inner
        damage.append(kind)
    if is_example(text):
        return Repair(tuple(damage), [text]) if damage else None
    # An array is one value, whatever it holds.
    values = None if is_array(text) else values_in(text)
    if values is None or len(values) < 2 or not all(map(is_example, values)):
        return None
    return Repair((*damage, Damage.CR if b"\r" in text else Damage.SEVERAL), values)


def is_example(text: bytes) -> bool:
    """Whether a text is one object, or one array of messages."""
    if not is_object(text):
        return is_conversation(text)
    try:
        record_of(text)
    except NOT_JSON:
        return False
    return True


def _unquoted(text: bytes) -> tuple[Damage, bytes] | None:
    try:
        return Damage.ENCODED, text_of(text).strip().encode()
    except NOT_JSON:
        pass
    if text.startswith(b'"{""') and text.endswith(b'"'):
        return Damage.QUOTED, text[1:-1].replace(b'""', b'"')
    return None
