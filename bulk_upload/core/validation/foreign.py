"""Recognises lines in other tools' shapes, so that the message says how to convert them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.shapes.command import DROP, PLAIN
from bulk_upload.core.shapes.json_values import NOT_JSON
from bulk_upload.core.shapes.messages import is_message
from bulk_upload.core.shapes.names import known_name
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.roles import meant_role
from bulk_upload.core.shapes.target import CannotConvert, Layout, OtherLayout, target_of
from bulk_upload.core.shapes.telling_keys import may_be_known
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

    from bulk_upload.core.purposes import Purpose, Schema
    from bulk_upload.core.shapes.target import Mapped

_encode = msgspec.json.Encoder().encode
# A value may hold halves of characters, or what is not JSON.
_NOT_ENCODED = (TypeError, ValueError, OverflowError, RecursionError)


def foreign_schema(value: Mapping[str, Any], schema: Schema) -> Complaint | None:
    """Return a complaint that names the shape of a line, None where it is unknown."""
    name, made, is_damaged = known_name(value), None, False
    try:
        made = _converted(value, schema)
    except _Damaged:
        is_damaged = True
    except OtherLayout as error:
        return None if name is None else _of_another(name, value, schema, error)
    except CannotConvert as error:
        return None if name is None else _cannot(name, schema, f"such a line {error}")
    if made is not None and not made.is_same:
        return _complaint(made, schema)
    # A line that has a field of this purpose, or all of another one's, is not of another tool.
    if (
        name is None
        or any(one in value for one in schema.required_names)
        or any(_has_all(value, one.schema.required_names) for one in PURPOSES.values())
    ):
        return None
    if is_damaged:
        return _damaged(name, schema)
    return _cannot(name, schema, f"this purpose needs {names_listed(schema.required_names)} on every line")


def foreign_value(value: object, schema: Schema) -> Complaint | None:
    """Return a complaint that names the shape of a line that is no object, None where it is unknown."""
    try:
        made = _converted(value, schema)
    except CannotConvert:
        return None
    if made is None:
        return None
    target = target_of(schema)
    if target is not None and target.layout is Layout.TEXT:
        found = "the line is a single value, not an object"
        return Complaint("not-an-object", found, remedy='Write each text as {"text": "..."}', convert=PLAIN)
    return _complaint(made, schema)


def are_plain_messages(value: list[Any], roles: tuple[str, ...]) -> bool:
    """Whether all that an array holds is messages of a known role and a text: `foreign_value` says the same of all such."""
    for one in value:
        if not isinstance(one, dict) or len(one) != len(_MESSAGE):
            return False
        role = one.get("role", one.get("from"))
        content = one.get("content", one.get("value"))
        if not isinstance(role, str) or not isinstance(content, str) or not _is_role(role, roles):
            return False
    return bool(value)


_MESSAGE = ("role", "content")
_ROLE_CHARACTERS_MAX = 64


def _is_role(role: str, roles: tuple[str, ...]) -> bool:
    return role in roles or (len(role) <= _ROLE_CHARACTERS_MAX and _is_meant(role, roles))


@lru_cache(maxsize=256)
def _is_meant(role: str, roles: tuple[str, ...]) -> bool:
    return meant_role(role, roles) is not None


def _converted(value: object, schema: Schema) -> Mapped | None:
    target = target_of(schema)
    if target is None or is_unknown(value, schema):
        return None
    try:
        return mapped(_encode(value), target)
    except CannotConvert:
        raise
    except NOT_JSON:
        return None
    except _NOT_ENCODED:
        raise _Damaged from None


class _Damaged(CannotConvert):
    """A value with something that is no JSON, or half a character: other findings say what."""

    def __init__(self) -> None:
        super().__init__("holds something that must be mended first")


def is_unknown(value: object, schema: Schema) -> bool:
    """Whether no conversion knows a value, as its keys show without a closer look."""
    target = target_of(schema)
    if target is None:
        return True
    if isinstance(value, dict):
        return not may_be_known(tuple(value), target.layout)
    return isinstance(value, list) and not (value and isinstance(value[0], dict) and is_message(value[0]))


def _complaint(made: Mapped, schema: Schema) -> Complaint:
    found = f"the lines are {made.shape}, not {names_listed(schema.required_names)}"
    if not made.lost:
        return Complaint("foreign-schema", found, remedy="Convert them", convert=PLAIN)
    lost = names_listed(tuple(dict.fromkeys(made.lost)))
    options = tuple(word for place in dict.fromkeys(made.lost) for word in (DROP, place))
    remedy = f"Convert them, which loses {lost} (the purpose has no place for it)"
    return Complaint("foreign-schema", found, remedy=remedy, convert=options)


def _cannot(name: str, schema: Schema, reason: str) -> Complaint:
    found = f"the lines are {name}, not {names_listed(schema.required_names)}"
    return Complaint("foreign-schema", found, remedy=f"They cannot be converted: {reason}")


def _damaged(name: str, schema: Schema) -> Complaint:
    found = f"the lines are {name}, not {names_listed(schema.required_names)}"
    return Complaint("foreign-schema", found, remedy="Mend what other findings name, then convert them")


def _of_another(name: str, value: object, schema: Schema, error: OtherLayout) -> Complaint:
    """Return a complaint about data of another purpose, with what makes them that purpose's."""
    for one in PURPOSES.values():
        target = target_of(one.schema)
        if target is None or target.layout is not error.layout:
            continue
        found = f"the lines are {name}, data of {one.name}, not {names_listed(schema.required_names)}"
        remedy = f"Give the file the purpose {one.name}"
        try:
            made = _converted(value, one.schema)
        except CannotConvert:
            made = None
        if made is None or made.is_same:
            return Complaint("foreign-schema", found, remedy=remedy)
        return Complaint(
            "foreign-schema", found, remedy=f"{remedy}, and convert it", convert=PLAIN, convert_for=one.name
        )
    return _cannot(name, schema, f"such a line {error}")


def other_purpose(
    value: Mapping[str, Any], declared: Purpose, known: Iterable[Purpose] = tuple(PURPOSES.values())
) -> Complaint | None:
    """Return a complaint that names the purpose a line looks like, None where the declared one is as likely."""
    best = likely_purpose(value, declared, known)
    if best is None:
        return None
    found = f"this looks like {best.name} data: its lines have {names_listed(best.schema.required_names)}"
    remedy = f"If that is intended, set the purpose {best.name}"
    return Complaint("wrong-purpose", found, remedy=remedy)


def likely_purpose(names: Container[str], declared: Purpose, known: Iterable[Purpose]) -> Purpose | None:
    """Return the purpose that data with fields of these names is probably for, None where the declared one is as likely."""
    shapes = declared.schema.alternatives or (declared.schema,)
    needed = max(
        (len(one.required_names) for one in shapes if _has_all(names, one.required_names)), default=-1
    )
    fits = [one for one in known if one.schema.fields and _has_all(names, one.schema.required_names)]
    best = max(fits, key=lambda one: len(one.schema.required_names), default=None)
    if best is None or best.name == declared.name or len(best.schema.required_names) <= needed:
        return None
    return best


def _has_all(value: Container[str], names: tuple[str, ...]) -> bool:
    return all(name in value for name in names)


def names_listed(names: tuple[str, ...]) -> str:
    """Return names in backquotes, with commas and `and` between them."""
    quoted = [f"`{name}`" for name in names]
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)
