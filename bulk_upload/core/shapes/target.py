"""What records are converted to, and what conversion of one record leads to."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.core.shapes.json_values import Json  # noqa: TC001 - a field's type

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Schema

MESSAGES, CHOSEN, REJECTED = "messages", "chosen", "rejected"
REFERENCE, TEXT = "reference_answer", "text"


class Layout(StrEnum):
    """The shapes that purposes want."""

    CONVERSATION = "conversation"
    PREFERENCE = "preference"
    REINFORCEMENT = "reinforcement"
    TEXT = "text"


_FIELDS = {
    frozenset({MESSAGES}): Layout.CONVERSATION,
    frozenset({MESSAGES, CHOSEN, REJECTED}): Layout.PREFERENCE,
    frozenset({MESSAGES, REFERENCE}): Layout.REINFORCEMENT,
    frozenset({TEXT}): Layout.TEXT,
}


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a purpose wants of each line. `content_parts` as in `Schema`."""

    layout: Layout
    roles: tuple[str, ...]
    content_parts: bool = False


def fields_of(layout: Layout) -> frozenset[str]:
    """Return the fields of a layout."""
    return next(fields for fields, one in _FIELDS.items() if one is layout)


@lru_cache(maxsize=1024)
def other_fields(own: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    """Return which of the `names` of a line make it, beside its `own` fields, data of another purpose."""
    others = (fields for fields in _FIELDS if len(fields) > len(own) and fields.issubset(names))
    return frozenset().union(*others).difference(own)


@lru_cache(maxsize=64)
def target_of(schema: Schema) -> Target | None:
    """Return what a schema wants, None where its fields are none that records are converted to."""
    layout = _FIELDS.get(frozenset(schema.required_names))
    if layout is None:
        return None
    return Target(layout=layout, roles=schema.roles, content_parts=schema.content_parts)


class CannotConvert(ValueError):
    """A record that cannot be converted without a guess. The message says why; it completes `the record ...`."""


class OtherLayout(CannotConvert):
    """A record that is data of another purpose: one whose shape is `layout`."""

    def __init__(self, message: str, layout: Layout) -> None:
        super().__init__(message)
        self.layout = layout


class Mapped(NamedTuple):
    """A converted record.

    `shape` names what it was. `lost` are the places of values that the target has no room for, and `empty` those that
    said nothing. `is_same` holds where the record already was what the target wants.
    """

    value: Json
    shape: str
    lost: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    is_same: bool = False
