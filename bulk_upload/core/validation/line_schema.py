"""Checks one value against a purpose: the exact path, for the few lines that the fast path does not pass."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from bulk_upload.core.purposes import Kind
from bulk_upload.core.shapes.command import PLAIN
from bulk_upload.core.shapes.roles import meant_role
from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.core.validation.conversion.content_parts import unexpected_parts
from bulk_upload.core.validation.json_text import Constant, step
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk_upload.core.purposes import Field, Schema

COMPLAINTS_PER_LINE_MAX = 20
"""A line that is wrong throughout needs no longer list."""

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.STRING: (str,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
    Kind.ARRAY: (list,),
    Kind.OBJECT: (dict,),
}
_NAMES: dict[type, str] = {
    str: "a string", bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object",
    type(None): "null",
}  # fmt: skip
_SYSTEM, _USER, _ASSISTANT = "system", "user", "assistant"


def schema_complaints(value: Mapping[str, Any], schema: Schema) -> list[Complaint]:
    """Return what is wrong with the fields of one line, the first few."""
    return list(islice(_line(value, schema), COMPLAINTS_PER_LINE_MAX))


def order_complaints(roles: Sequence[str], field: Field) -> list[Complaint]:
    """Return what is unusual about the roles of one conversation, in their order."""
    path = f"$.{field.name}"
    complaints = []
    odd = _odd_turn(roles, may_begin_with_answer=field.is_answer)
    if odd is not None:
        index, found = odd
        complaints.append(Complaint("role-order", found, f"{path}[{index}].role"))
    if field.ends_with is not None and roles and roles[-1] != field.ends_with:
        found = f"the last message is from {quoted(roles[-1])}, not from {quoted(field.ends_with)}"
        complaints.append(Complaint("last-role", found, f"{path}[{len(roles) - 1}].role"))
    return complaints


def _line(value: Mapping[str, Any], schema: Schema) -> Iterator[Complaint]:
    for field in schema.fields:
        if field.name not in value:
            if field.required:
                yield _missing(field.name, tuple(value), f"$.{field.name}")
            continue
        yield from _field(value[field.name], field, schema)


def _missing(name: str, present: tuple[str, ...], place: str) -> Complaint:
    shown = ", ".join(present[:6]) or "nothing"
    spelled = next((key for key in present if key.lower().strip() in (name, name.rstrip("s"))), None)
    hint = f'Rename "{spelled}" to "{name}"' if spelled is not None else f'Add "{name}", or check the purpose'
    return Complaint("missing-key", f'there is no "{name}"; there is {shown[:120]}', place, hint)


def _field(value: object, field: Field, schema: Schema) -> Iterator[Complaint]:
    path = f"${step(field.name)}"
    if isinstance(value, Constant) or field.kind is Kind.ANY:
        return
    if field.kind is Kind.MESSAGES:
        yield from _messages(value, field, schema, path)
        return
    types = _TYPES[field.kind]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        yield _wrong_type(value, _NAMES[types[0]], path)
    elif value == "":
        yield Complaint("empty-content", "the text is empty", path)


def _messages(value: object, field: Field, schema: Schema, path: str) -> Iterator[Complaint]:
    if not isinstance(value, list):
        yield _wrong_type(value, "an array of messages", path)
        return
    if not value:
        yield Complaint("empty-messages", "there are no messages", path)
        return
    is_whole = True
    for index, message in enumerate(value):
        for complaint in _message(message, schema, f"{path}[{index}]"):
            is_whole = is_whole and complaint.rule == "empty-content"
            yield complaint
    if is_whole:
        yield from order_complaints([message["role"] for message in value], field)


def _message(message: object, schema: Schema, path: str) -> Iterator[Complaint]:
    if not isinstance(message, dict):
        yield _wrong_type(message, 'an object of "role" and "content"', path)
        return
    if "role" not in message:
        yield _missing_in_message("role", "from", message, path)
    elif not isinstance(message["role"], str):
        yield _wrong_type(message["role"], "a string", f"{path}.role")
    elif message["role"] not in schema.roles:
        yield _wrong_role(message["role"], schema.roles, f"{path}.role")
    if "content" not in message:
        yield _missing_in_message("content", "value", message, path)
    else:
        yield from _content(message["content"], schema, f"{path}.content")


def _missing_in_message(name: str, sharegpt: str, message: Mapping[str, Any], path: str) -> Complaint:
    if sharegpt in message:
        found = f'there is no "{name}", but "{sharegpt}", as in ShareGPT'
        remedy = f'Rename "{sharegpt}" to "{name}"'
        return Complaint("missing-key", found, f"{path}.{name}", remedy, convert=PLAIN)
    return _missing(name, tuple(message), f"{path}.{name}")


def _wrong_role(role: str, roles: tuple[str, ...], path: str) -> Complaint:
    known = ", ".join(roles)
    meant = meant_role(role, roles)
    found = f"the role {quoted(role)} is not one of {known}"
    if meant is not None:
        return Complaint("wrong-role", found, path, f'Write "{meant}" for it', convert=PLAIN)
    return Complaint("wrong-role", found, path, f"{did_you_mean(role, roles)}Known roles: {known}")


def _content(content: object, schema: Schema, path: str) -> Iterator[Complaint]:
    if isinstance(content, str):
        if not content:
            yield Complaint("empty-content", "the content is empty", path)
    elif isinstance(content, list) and all(isinstance(part, dict) for part in content):
        if not schema.content_parts:
            yield unexpected_parts(content, path)
        elif not content:
            yield Complaint("empty-content", "the content is empty", path)
    elif not isinstance(content, Constant):
        yield _wrong_type(content, "a string", path)


def _wrong_type(value: object, wanted: str, path: str) -> Complaint:
    is_dict = isinstance(value, dict)
    name = "an object" if is_dict else _NAMES.get(type(value), type(value).__name__)
    shown = f" ({value!r})" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    remedy = None
    if isinstance(value, str) and value[:1] in ("[", "{"):
        remedy = "It is JSON inside a string: write the value itself, not its text"
    elif wanted == "a string" and isinstance(value, int | float):
        remedy = f'Write it as a string, in quotes: "{value}"'
    return Complaint("wrong-type", f"{wanted} is expected, this is {name}{shown}", path, remedy)


def _odd_turn(roles: Sequence[str], *, may_begin_with_answer: bool) -> tuple[int, str] | None:
    """Return the first message whose role is unusual after those before it, and why."""
    start = 1 if roles and roles[0] == _SYSTEM else 0
    for index in range(start, len(roles)):
        role = roles[index]
        if role == _SYSTEM:
            return index, "a system message comes after others"
        if index == start and role == _ASSISTANT and not may_begin_with_answer:
            return index, "the conversation starts with the assistant"
        if index > start and role == roles[index - 1] and role in (_USER, _ASSISTANT):
            return index, f"two messages in a row are from {quoted(role)}"
    return None
