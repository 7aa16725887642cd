"""The fast path for good lines: msgspec's typed decoding, built for one schema.

It judges a line only as the exact path (`line_schema`) would; lines that it cannot judge take the exact path. A test
compares the two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from bulk_upload.core.purposes import Kind
from bulk_upload.core.validation.examples.answers import ASSISTANT, answer_fields, question_field
from bulk_upload.core.validation.line_schema import MESSAGE_KEYS, order_complaints, system_keys
from bulk_upload.core.validation.quick.pairs import may_be_no_pair, pair_judge, usual_pair
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.purposes import Field, Schema

NOT_PASSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a line that it does not pass."""

Roles = tuple[str, ...]
Verdict = tuple[Complaint, ...] | None
"""What is unusual about an order of roles, None where only the exact path can say it."""

_Turns = tuple[Callable[[Any], Any], dict[Roles, Verdict], Callable[[Roles], Verdict]]
"""Where a conversation is in a row, the orders of roles that are known, and what judges others."""

_role_of: Callable[[Any], str] = attrgetter("role")

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


RowJudge = Callable[[Any], list[Complaint] | None]
"""Returns what is wrong with a decoded line, None where only the exact path can say it."""


class LineReader:
    """Decoders for one schema, and what judges the lines that they pass.

    `strict` passes lines with no other keys than the schema's, each of them checked. `lenient` passes any other key
    that no rule is about, but does not check whether its value is UTF-8.
    """

    def __init__(self, schema: Schema) -> None:
        self.lenient = _decoder(schema, strict=False)
        self.strict = _decoder(schema, strict=True)
        self.judge = _row_judge(schema, strict=False)
        self.judge_strict = _row_judge(schema, strict=True)
        """For lines that `strict` passed, of which all is known."""
        if any(field.fields for field in schema.fields):
            self.strict = _whole(self.strict) if _is_plain(schema.fields) else _pass_none
            self.lenient = self.lenient if _is_plain(schema.fields) else _pass_none


def _row_judge(schema: Schema, *, strict: bool) -> RowJudge:  # noqa: C901 (calls would cost more than they explain)
    """Return a function without lookups that could be made once: it is called for every line of a good file."""
    asked = question_field(schema) if answer_fields(schema) else None
    turns: list[_Turns] = []
    questions: list[_Turns] = []
    texts: list[Callable[[Any], Any]] = []
    pair: list[Callable[[Any], Any]] = []
    pair_complaint = pair_judge(schema, strict=strict)
    is_usual_pair = usual_pair(schema)
    for place, field in enumerate(schema.fields):
        value_of = attrgetter(_attribute(place))
        if field.kind is Kind.MESSAGES:
            orders = _Orders(field, answer_elsewhere=field is asked)
            turns.append((value_of, orders.known, orders.judge))
            if field.is_answer:
                pair.append(value_of)
            else:
                questions.append(turns[-1])
        else:
            texts += map(attrgetter, _texts(field, _attribute(place)))
    first_of, second_of = pair if is_usual_pair is not None else (_no_answer, _no_answer)

    def judge(row: Any) -> list[Complaint] | None:  # noqa: ANN401 (rows are of a type made for the schema)
        complaints: list[Complaint] = []
        is_pair_usual = is_usual_pair is not None and is_usual_pair(first_of(row), second_of(row))
        for messages_of, known, judge_roles in questions if is_pair_usual else turns:
            messages = messages_of(row)
            for message in messages:
                if message.content.isspace():
                    return None
            roles = tuple(map(_role_of, messages))
            found = known[roles] if roles in known else judge_roles(roles)
            if found is None:
                return None
            if found:
                complaints += found
        for text_of in texts:
            text = text_of(row)
            if text is not msgspec.UNSET and text.isspace():
                return None
        if (
            pair
            and not is_pair_usual
            and may_be_no_pair(*(answers := [answer_of(row) for answer_of in pair]))
        ):
            found_wrong = pair_complaint(*answers)
            return None if found_wrong is None else [*complaints, found_wrong]
        return complaints

    return judge


def _no_answer(row: Any) -> Any:  # noqa: ANN401, ARG001 (a getter by its signature)
    return ()


class _Orders:
    """The orders of roles in one field, with what is unusual about each. Those that were judged before are cached."""

    def __init__(self, field: Field, *, answer_elsewhere: bool) -> None:
        self.known: dict[Roles, Verdict] = {}
        self._field = field
        self._answer_elsewhere = answer_elsewhere

    def judge(self, roles: Roles) -> Verdict:
        """Judge roles that are not yet among the known ones."""
        found: Verdict = tuple(order_complaints(roles, self._field))
        if self._answer_elsewhere and roles[-1:] == (ASSISTANT,):
            # It may be the answer.
            found = None
        if len(roles) <= _LONG_SHAPE and len(self.known) < _SHAPES_REMEMBERED_MAX:
            self.known[roles] = found
        return found


@lru_cache(maxsize=16)
def reader_of(schema: Schema) -> LineReader:
    """Return the decoders for a schema. Building them takes longer than checking a small file."""
    return LineReader(schema)


def _decoder(schema: Schema, *, strict: bool) -> Callable[[bytes], Any]:
    # Parts take the exact path, and so do lines with keys that a rule is about.
    message = msgspec.defstruct(
        "Message",
        [
            ("role", Literal[schema.roles]),
            ("content", _FILLED),
            *(() if strict else _nothing(MESSAGE_KEYS)),
        ],
        forbid_unknown_fields=strict,
        gc=False,
    )
    # The type is made at run time, so mypy cannot know it.
    messages = Annotated[list[message], msgspec.Meta(min_length=1)]  # type: ignore[valid-type]
    further = () if strict else _nothing(system_keys(schema))
    return msgspec.json.Decoder(_object(schema.fields, messages, further, strict=strict)).decode


def _object(
    fields: Sequence[Field],
    messages: Any,  # noqa: ANN401 (a type made at run time)
    further: Sequence[tuple[str, Any, Any]] = (),
    *,
    strict: bool,
) -> type[msgspec.Struct]:
    """Return the type of an object with these fields; `strict` allows no others, `further` ones are allowed."""
    members = [
        _member(_attribute(place), field, _type_of(field, messages)) for place, field in enumerate(fields)
    ]
    return msgspec.defstruct(
        "Object",
        [*members, *further],
        rename={_attribute(place): field.name for place, field in enumerate(fields)},
        forbid_unknown_fields=strict,
        kw_only=True,
        gc=False,
    )


def _type_of(field: Field, messages: Any) -> Any:  # noqa: ANN401 (types made at run time)
    if field.kind is Kind.MESSAGES:
        return messages
    if field.values:
        return Literal[field.values]
    # What else an object holds is nobody's business.
    return _object(field.fields, messages, strict=False) if field.fields else _TYPES[field.kind]


def _texts(field: Field, attribute: str) -> Iterator[str]:
    """Yield where in a row the texts of a field are that may be white space only."""
    if field.kind is Kind.STRING and not field.values:
        yield attribute
    for place, one in enumerate(field.fields):
        yield from _texts(one, f"{attribute}.{_attribute(place)}")


def _is_plain(fields: Sequence[Field]) -> bool:
    """Whether what is inside of objects needs no judgement of conversations, nor of objects that may be absent."""
    return all(
        not field.fields
        or (
            field.required
            and _is_plain(field.fields)
            and all(one.kind is not Kind.MESSAGES for one in field.fields)
        )
        for field in fields
    )


def _whole(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return a decoder that checks UTF-8 also in what it skips, which msgspec does not."""

    def checked(line: bytes) -> Any:  # noqa: ANN401 (rows are of a type made for the schema)
        row = decode(line)
        if not line.isascii():
            line.decode("utf-8")
        return row

    return checked


def _pass_none(line: bytes) -> Any:  # noqa: ANN401, ARG001 (a decoder by its signature)
    raise msgspec.DecodeError


def _nothing(keys: tuple[str, ...]) -> list[tuple[str, Any, Any]]:
    """Return members that are null or absent."""
    return [(key, None | msgspec.UnsetType, msgspec.UNSET) for key in keys]


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
