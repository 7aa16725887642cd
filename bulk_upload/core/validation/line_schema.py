"""Checks one value against a purpose: the exact path, for the few lines that the fast path does not pass."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from bulk_upload.core.purposes import Kind
from bulk_upload.core.shapes.command import PLAIN
from bulk_upload.core.shapes.messages import CONTENT_KEYS, ROLE_KEYS, is_message
from bulk_upload.core.shapes.names import SYSTEM_KEYS, known_name
from bulk_upload.core.shapes.roles import meant_role
from bulk_upload.core.text.wording import did_you_mean, nearest, quoted
from bulk_upload.core.validation.conversion.content_parts import unexpected_parts
from bulk_upload.core.validation.examples.answers import answer_complaints, answer_fields
from bulk_upload.core.validation.examples.parts import part_complaints
from bulk_upload.core.validation.examples.tool_calls import tool_complaints
from bulk_upload.core.validation.examples.weights import weight_complaints
from bulk_upload.core.validation.json_text import Constant, step
from bulk_upload.core.validation.rules import COUNTED, NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

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
_SHAREGPT_KEYS = ("from", "value")
_PLAIN_KEYS = ("role", "content")
_TOOL_KEYS = ("tool_calls", "tool_call_id")
MESSAGE_KEYS = ("weight", *_TOOL_KEYS)
"""Keys of a message that rules are about, besides role and content."""
_NAMES: dict[type, str] = {
    str: "a string", bool: "true or false", int: "a number", float: "a number", list: "an array", dict: "an object",
    type(None): "null",
}  # fmt: skip
_SYSTEM, _USER, _ASSISTANT = "system", "user", "assistant"
_ERRORS = frozenset({"error", "errors", "detail"})
_ERROR_KEYS = _ERRORS | {
    "code",
    "message",
    "request_id",
    "requestId",
    "status",
    "statusCode",
    "title",
    "type",
}
"""The keys of what a server answers in the place of a file, such as RFC 9457's."""
_ROLE_REMEMBERED_MAX = 64
_VALUE_SHOWN = 80
_LONG_ORDER = 64
_ORDERS_REMEMBERED_MAX = 4096
_WHOLE_MAX = 10**18 - 1
_ORDERED_ALL_THE_SAME = frozenset({"empty-content", "bad-part", "bad-weight"})
"""Rules that leave a conversation of which the order of roles can be judged."""


class LineRules:
    """The rules of one schema for the value of a line, with what can be computed once.

    Complaints of the `counted` rules have no words.
    """

    def __init__(self, schema: Schema, counted: Container[str] = NO_RULES) -> None:
        self._schema = schema
        self._counted = counted
        self._orders: dict[tuple[str, tuple[str, ...]], tuple[Complaint, ...]] = {}
        self._fields = tuple((field, f"${step(field.name)}") for field in schema.fields)
        self._has_answers = bool(answer_fields(schema))
        self._system_keys = system_keys(schema)

    def complaints(self, value: Mapping[str, Any]) -> list[Complaint]:
        """Return what is wrong with the fields of one line, the first few."""
        complaints: list[Complaint] = []
        for field, path in self._fields:
            complaints += self._member(value, field, path)
        if self._has_answers:
            complaints += answer_complaints(value, self._schema)
        for key in self._system_keys:
            if value.get(key):
                found = f'there is "{key}" beside the messages; the reference has no such field, and it would be dropped'
                complaints.append(Complaint("system-beside-messages", found, f"$.{key}"))
        return complaints[:COMPLAINTS_PER_LINE_MAX]

    def _member(self, holder: Mapping[str, Any], field: Field, path: str) -> Sequence[Complaint]:
        if field.name in holder:
            return self._field(holder[field.name], field, path)
        if not field.required:
            return ()
        wrapped = _array_with(field.name, holder)
        if wrapped is None or "missing-key" in self._counted:
            return (_missing(field.name, tuple(holder), path, self._counted),)
        found = f'there is no "{field.name}"; the records are in the array `{wrapped}` of one object'
        return (
            Complaint("missing-key", found, path, f"Write each record of `{wrapped}` on a line of its own"),
        )

    def _field(self, value: object, field: Field, path: str) -> Sequence[Complaint]:
        if isinstance(value, Constant) or field.kind is Kind.ANY:
            return ()
        if field.kind is Kind.MESSAGES:
            return self._messages(value, field, path)
        types = _TYPES[field.kind]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return (_wrong_type(value, _NAMES[types[0]], path, self._counted),)
        if field.values and value not in field.values:
            return (_wrong_value(str(value), field.values, path),)
        if isinstance(value, str) and (not value or value.isspace()):
            return (_empty("text", value, path, self._counted),)
        if isinstance(value, dict) and field.fields:
            inner = (self._member(value, one, f"{path}{step(one.name)}") for one in field.fields)
            return [complaint for complaints in inner for complaint in complaints]
        return ()

    def _messages(self, value: object, field: Field, path: str) -> Sequence[Complaint]:
        if not isinstance(value, list):
            return (_wrong_type(value, "an array of messages", path, self._counted),)
        if not value:
            return (Complaint("empty-messages", "there are no messages", path),)
        complaints: list[Complaint] = []
        roles = self._schema.roles
        for index, message in enumerate(value):
            if isinstance(message, dict) and message.get("role") in roles:
                content = message.get("content")
                if isinstance(content, str) and content and not content.isspace():
                    continue
            complaints += _message(message, self._schema, f"{path}[{index}]", self._counted)
            if len(complaints) >= COMPLAINTS_PER_LINE_MAX:
                return complaints
        for one in complaints:
            if one.rule not in _ORDERED_ALL_THE_SAME:
                return complaints
        return [*complaints, *_extras(value, field, path, self._counted), *self._ordered(value, field, path)]

    def _ordered(self, messages: list[dict[str, Any]], field: Field, path: str) -> Sequence[Complaint]:
        """Return what is unusual about the roles of a conversation. Most conversations of a file have the same."""
        roles = tuple([message["role"] for message in messages])
        known = self._orders.get((path, roles))
        if known is None:
            known = tuple(order_complaints(roles, field, path))
            if len(roles) <= _LONG_ORDER and len(self._orders) < _ORDERS_REMEMBERED_MAX:
                self._orders[path, roles] = known
        return known


def _extras(
    messages: list[dict[str, Any]], field: Field, path: str, counted: Container[str]
) -> Iterator[Complaint]:
    """Yield what is wrong between the weights and the tools of messages, each of which is as it must be."""
    has_weights = has_tools = False
    for message in messages:
        if len(message) > len(_PLAIN_KEYS) or _TOOL_KEYS[0] in message:
            has_weights = has_weights or "weight" in message
            has_tools = has_tools or not message.keys().isdisjoint(_TOOL_KEYS)
    if has_weights:
        yield from weight_complaints(messages, path, learnt_from=field.ends_with, counted=counted)
    if has_tools:
        yield from tool_complaints(messages, path, counted)


def order_complaints(roles: Sequence[str], field: Field, path: str | None = None) -> list[Complaint]:
    """Return what is unusual about the roles of one conversation, in their order. `path` is where it stands in a line."""
    path = f"${step(field.name)}" if path is None else path
    complaints = []
    odd = _odd_turn(roles, may_begin_with_answer=field.is_answer)
    if odd is not None:
        index, found = odd
        complaints.append(Complaint("role-order", found, f"{path}[{index}].role"))
    if field.ends_with is None or not roles:
        return complaints
    if field.ends_with not in roles:
        found = f"no message is from {quoted(field.ends_with)}: there is nothing to learn from"
        complaints.append(Complaint("no-assistant", found, path))
    elif roles[-1] != field.ends_with:
        found = f"the last message is from {quoted(roles[-1])}, not from {quoted(field.ends_with)}"
        complaints.append(Complaint("last-role", found, f"{path}[{len(roles) - 1}].role"))
    return complaints


def system_keys(schema: Schema) -> tuple[str, ...]:
    """Return the keys under which a system prompt would be overlooked, none for a schema without messages."""
    if not any(field.kind is Kind.MESSAGES for field in schema.fields):
        return ()
    names = {field.name for field in schema.fields}
    return tuple(key for key in SYSTEM_KEYS if key not in names)


def _wrong_value(value: str, values: tuple[str, ...], path: str) -> Complaint:
    shown = ", ".join(values)
    by_lower = {one.lower(): one for one in values}
    near = nearest(value, tuple(by_lower))
    meant = "" if near is None else f"Did you mean {quoted(by_lower[near])}? "
    hint = f"{meant}Known values: {shown}"
    return Complaint(
        "wrong-value", f"the value is {quoted(value[:_VALUE_SHOWN])}, not one of {shown}", path, hint
    )


def _array_with(name: str, holder: Mapping[str, Any]) -> str | None:
    """Return the key of an array whose first object has a field that is missed, or another tool's shape; None where there is none."""
    return next(
        (
            key
            for key, value in holder.items()
            if isinstance(value, list)
            and value
            and isinstance(value[0], dict)
            and (name in value[0] or known_name(value[0]) is not None)
        ),
        None,
    )


def _missing(name: str, present: tuple[str, ...], place: str, counted: Container[str]) -> Complaint:
    if "missing-key" in counted:
        return COUNTED["missing-key"]
    if "[" not in place and _ERROR_KEYS.issuperset(present) and not _ERRORS.isdisjoint(present):
        found = f'there is no "{name}"; this looks like the answer of a server that reports an error'
        return Complaint(
            "missing-key", found, place, "It may say why a download failed: fetch the file again"
        )
    shown = ", ".join(present[:6]) or "nothing"
    spelled = next((key for key in present if key.lower().strip() in (name, name.rstrip("s"))), None)
    hint = f'Rename "{spelled}" to "{name}"' if spelled is not None else f'Add "{name}", or check the purpose'
    return Complaint("missing-key", f'there is no "{name}"; there is {shown[:120]}', place, hint)


def _message(message: object, schema: Schema, path: str, counted: Container[str]) -> Sequence[Complaint]:
    if not isinstance(message, dict):
        return (_wrong_type(message, 'an object of "role" and "content"', path, counted),)
    complaints = []
    if "role" not in message:
        complaints.append(_missing_in_message("role", ROLE_KEYS, message, path, counted))
    elif not isinstance(message["role"], str):
        complaints.append(_wrong_type(message["role"], "a string", f"{path}.role", counted))
    elif message["role"] not in schema.roles:
        complaints.append(
            COUNTED["wrong-role"]
            if "wrong-role" in counted
            else _wrong_role(message["role"], schema.roles, f"{path}.role")
        )
    if message.get("content") is None and _says_by_tools(message, schema):
        return complaints
    if "content" not in message:
        complaints.append(_missing_in_message("content", CONTENT_KEYS, message, path, counted))
    else:
        complaints += _content(message["content"], schema, f"{path}.content", counted)
    return complaints


def _says_by_tools(message: Mapping[str, Any], schema: Schema) -> bool:
    """Whether a message needs no content because it calls tools."""
    return schema.tool_calls and isinstance(message.get("tool_calls"), list) and bool(message["tool_calls"])


def _missing_in_message(
    name: str, names: tuple[str, ...], message: Mapping[str, Any], path: str, counted: Container[str]
) -> Complaint:
    """Return a complaint about a message without a key, that may stand under another one of `names`."""
    other = next((one for one in names if one in message), None)
    if other is not None and "missing-key" not in counted:
        like = ", as in ShareGPT" if other in _SHAREGPT_KEYS else ""
        found = f'there is no "{name}", but "{other}"{like}'
        return Complaint(
            "missing-key", found, f"{path}.{name}", f'Rename "{other}" to "{name}"', convert=PLAIN
        )
    return _missing(name, tuple(message), f"{path}.{name}", counted)


def _wrong_role(role: str, roles: tuple[str, ...], path: str) -> Complaint:
    words = (
        _role_words(role, roles)
        if len(role) <= _ROLE_REMEMBERED_MAX
        else _role_words.__wrapped__(role, roles)
    )
    found, remedy, options = words
    return Complaint("wrong-role", found, path, remedy, convert=options)


@lru_cache(maxsize=256)
def _role_words(role: str, roles: tuple[str, ...]) -> tuple[str, str, tuple[str, ...] | None]:
    """Return what is wrong with a role, what to do about it, and how it is converted: often the same for every line of a file."""
    known = ", ".join(roles)
    meant = meant_role(role, roles)
    hint = (
        f'Write "{meant}" for it' if meant is not None else f"{did_you_mean(role, roles)}Known roles: {known}"
    )
    return f"the role {quoted(role)} is not one of {known}", hint, None if meant is None else PLAIN


def _content(content: object, schema: Schema, path: str, counted: Container[str]) -> Iterable[Complaint]:
    if isinstance(content, str):
        return (_empty("content", content, path, counted),) if not content or content.isspace() else ()
    if isinstance(content, list) and _are_objects(content):
        if not schema.content_parts:
            is_counted = "content-parts" in counted
            return (COUNTED["content-parts"] if is_counted else unexpected_parts(content, path),)
        return part_complaints(content, path) if content else (_empty("content", "", path, counted),)
    return () if isinstance(content, Constant) else (_wrong_type(content, "a string", path, counted),)


def _are_objects(parts: list[Any]) -> bool:
    for part in parts:  # noqa: SIM110 (three times as fast as a generator, for every content of a file)
        if not isinstance(part, dict):
            return False
    return True


def _empty(what: str, text: str, path: str, counted: Container[str]) -> Complaint:
    if "empty-content" in counted:
        return COUNTED["empty-content"]
    return Complaint("empty-content", f"the {what} is {'only white space' if text else 'empty'}", path)


def _wrong_type(value: object, wanted: str, path: str, counted: Container[str]) -> Complaint:
    if "wrong-type" in counted:
        return COUNTED["wrong-type"]
    is_dict = isinstance(value, dict)
    if isinstance(value, int) and abs(value) > _WHOLE_MAX:
        value = _as_float(value)
    name = "an object" if is_dict else _NAMES.get(type(value), type(value).__name__)
    shown = f" ({value!r})" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    remedy = None
    if wanted == "an array of messages" and isinstance(value, dict) and is_message(value):
        return Complaint(
            "wrong-type",
            f"{wanted} is expected, this is one message",
            path,
            "Put it in an array",
            convert=PLAIN,
        )
    if isinstance(value, str) and value[:1] in ("[", "{"):
        remedy = "It is JSON inside a string: write the value itself, not its text"
    elif value is None:
        remedy = "Write the value, or remove the line"
    elif wanted == "a string" and isinstance(value, int | float):
        # Of others the digits may be lost by now.
        remedy = "Write it as a string, in quotes" + (f': "{value}"' if type(value) is int else "")
    return Complaint("wrong-type", f"{wanted} is expected, this is {name}{shown}", path, remedy)


def _as_float(value: int) -> float:
    """Return a large number as the exact parser reads it."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


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
