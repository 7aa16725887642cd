"""The fast path for good lines: msgspec's typed decoding, built for one schema.

It passes a line only if the exact path (`line_schema`) would find nothing wrong with it; other lines take the exact
path. A test compares the two.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from bulk_upload.core.purposes import Kind
from bulk_upload.core.validation.line_schema import order_complaints

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.purposes import Field, Schema

NOT_PASSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a line that it does not pass."""

Roles = tuple[str, ...]

_SHAPES_REMEMBERED_MAX = 4096
_LONG_SHAPE = 64

_FILLED = Annotated[str, msgspec.Meta(min_length=1)]
# Arrays and objects are decoded whole: msgspec does not check values that it skips for UTF-8.
_TYPES: dict[Kind, Any] = {
    Kind.STRING: _FILLED,
    Kind.NUMBER: float,
    Kind.BOOLEAN: bool,
    Kind.ARRAY: list[Any],
    Kind.OBJECT: dict[str, Any],
    Kind.ANY: Any,
}
_PARTS = Annotated[list[dict[str, Any]], msgspec.Meta(min_length=1)]


class Turns:
    """Whether the roles of one field come in a usual order. Orders that were judged before are cached."""

    def __init__(self, field: Field, attribute: str) -> None:
        self.messages_of: Callable[[Any], Any] = attrgetter(attribute)
        self._field = field
        self.usual: set[Roles] = set()

    def are_usual(self, roles: Roles) -> bool:
        """Return whether there is no finding about roles that are not yet among the usual ones."""
        if order_complaints(roles, self._field):
            return False
        if len(roles) <= _LONG_SHAPE and len(self.usual) < _SHAPES_REMEMBERED_MAX:
            self.usual.add(roles)
        return True


class LineReader:
    """Decoders for one schema.

    `strict` passes lines with no other keys than the schema's, each of them checked. `lenient` passes any other key,
    but does not check whether its value is UTF-8.
    """

    def __init__(self, schema: Schema) -> None:
        self.strict = _decoder(schema, strict=True)
        self.lenient = _decoder(schema, strict=False)
        self.turns = [
            Turns(field, _attribute(place))
            for place, field in enumerate(schema.fields)
            if field.kind is Kind.MESSAGES
        ]


@lru_cache(maxsize=16)
def reader_of(schema: Schema) -> LineReader:
    """Return the decoders for a schema. Building them takes longer than checking a small file."""
    return LineReader(schema)


role_of: Callable[[Any], str] = attrgetter("role")
"""The role of a decoded message."""


def _decoder(schema: Schema, *, strict: bool) -> Callable[[bytes], Any]:
    content = _FILLED | _PARTS if schema.content_parts else _FILLED
    message = msgspec.defstruct(
        "Message",
        [("role", Literal[schema.roles]), ("content", content)],
        forbid_unknown_fields=strict,
        gc=False,
    )
    kinds = {**_TYPES, Kind.MESSAGES: Annotated[list[message], msgspec.Meta(min_length=1)]}  # type: ignore[valid-type]
    line = msgspec.defstruct(
        "Line",
        [_member(_attribute(place), field, kinds[field.kind]) for place, field in enumerate(schema.fields)],
        rename={_attribute(place): field.name for place, field in enumerate(schema.fields)},
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
    )
    return msgspec.json.Decoder(line).decode


def _attribute(place: int) -> str:
    """Name an attribute by its position: a field may have any name."""
    return f"field_{place}"


def _member(attribute: str, field: Field, kind: Any) -> tuple[str, Any] | tuple[str, Any, Any]:  # noqa: ANN401
    if field.required:
        return (attribute, kind)
    if field.kind is Kind.MESSAGES:
        # No messages have no unusual order.
        return (attribute, kind, msgspec.field(default_factory=list))
    return (attribute, kind | msgspec.UnsetType if field.kind is not Kind.ANY else kind, msgspec.UNSET)
