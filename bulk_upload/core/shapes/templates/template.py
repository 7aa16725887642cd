"""A template: what becomes of the records of one form, with room for their texts, found from a record of placeholders."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.core.shapes.json_values import encode_text, is_array, is_text, items_of, record_of
from bulk_upload.core.shapes.record import mapped
from bulk_upload.core.shapes.target import CannotConvert, fields_of
from bulk_upload.core.shapes.templates.forms import CARRIED, LITERALS, MESSAGES, NUMBER, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.target import Mapped, Target
    from bulk_upload.core.shapes.templates.forms import Form

_MARK = b"4150391276"
_MARKED = re.compile(_MARK + rb"(\d{3})")
_WRITINGS = ((b",", b":"), (b", ", b": "))
"""What nearly all writers put between values, and between a key and its value."""


class Template(msgspec.Struct, frozen=True, gc=False):
    """What becomes of the records of one form.

    `shape` and `empty` as in `Mapped`. `is_same` holds where the line is the record itself, and `is_bare` where it has
    nothing but the fields of its layout, and messages with a role and a content.
    """

    shape: str
    empty: tuple[str, ...]
    is_same: bool
    is_bare: bool
    sheets: tuple[_Sheet, ...]
    """One for each of the writings."""

    def line(self, text: Json, values: list[Json]) -> Json | None:
        """Return what becomes of a record with these values, None where its text has more, or another writing."""
        for record, line, places in self.sheets:
            record[1::2] = values
            if b"".join(record) == text:
                if self.is_same:
                    return text
                line[1::2] = [
                    values[place][1:-1] if is_inner else values[place] for place, is_inner in places
                ]
                return b"".join(line)
        return None


class _Sheet(NamedTuple):
    """A record and its line in pieces, of which every second one is room for a value.

    `places` are those of the values that the line has, and whether they are without their quotes there.
    """

    record: list[bytes]
    line: list[bytes]
    places: tuple[tuple[int, bool], ...]


def template_of(form: Form, target: Target) -> Template | None:
    """Return the template of a form, None where it has none: what is lost, or refused, is said by its own texts."""
    kinds = _kinds_of_values(form)
    equals = form.equals or range(len(kinds))
    values = [_placeholder(kind, place) for kind, place in zip(kinds, equals, strict=True)]
    sheets = []
    for writing in _WRITINGS:
        record = _pieces(form, *writing)
        if any(_MARK in piece for piece in record):
            return None
        record[1::2] = values
        made = _made(b"".join(record), target)
        if made is None:
            return None
        line, places = _cut(made.value, values)
        if not {place for place, one in zip(equals, values, strict=True) if _MARK in one} <= {*dict(places)}:
            return None
        sheets.append((_Sheet(record, line, places), made))
    _, made = sheets[0]
    return Template(
        shape=made.shape,
        empty=made.empty,
        is_same=made.is_same,
        is_bare=_is_bare(made.value, target),
        sheets=tuple(sheet for sheet, _ in sheets),
    )


def _made(record: Json, target: Target) -> Mapped | None:
    try:
        made = mapped(record, target)
    except CannotConvert:
        return None
    return None if made is None or made.lost else made


def _tokens(form: Form, comma: bytes, colon: bytes) -> Iterator[bytes | None]:
    """Yield the text of a record, with None in place of its values."""
    arrays = iter(form.messages)
    for key_place, (key, kind) in enumerate(zip(form.keys, form.kinds, strict=True)):
        yield (comma if key_place else b"{") + encode_text(key) + colon
        if kind != MESSAGES:
            yield None
            continue
        for message_place, (names, role_at, _, role) in enumerate(next(arrays)):
            yield comma if message_place else b"["
            for place, name in enumerate(names):
                yield (comma if place else b"{") + encode_text(name) + colon
                yield role if place == role_at else None
            yield b"}"
        yield b"]"
    yield b"}"


def _pieces(form: Form, comma: bytes, colon: bytes) -> list[bytes]:
    pieces = [b""]
    for token in _tokens(form, comma, colon):
        if token is None:
            pieces += [b"", b""]
        else:
            pieces[-1] += token
    return pieces


def _kinds_of_values(form: Form) -> list[bytes]:
    """Return the kinds of the values that a template of the form has room for."""
    arrays = iter(form.messages)
    kinds = []
    for kind in form.kinds:
        if kind != MESSAGES:
            kinds.append(kind)
            continue
        for names, role_at, content_at, _ in next(arrays):
            inner = [TEXT if place == content_at else CARRIED for place in range(len(names))]
            del inner[role_at]
            kinds += inner
    return kinds


def _placeholder(kind: bytes, place: int) -> Json:
    if kind in LITERALS:
        return LITERALS[kind]
    mark = b"%b%03d" % (_MARK, place)
    return mark if kind == NUMBER else b'"' + mark + b'"'


def _cut(line: Json, values: list[Json]) -> tuple[list[bytes], tuple[tuple[int, bool], ...]]:
    """Return a line of placeholders in pieces with room for values, and which values those are."""
    pieces, places, done = [], [], 0
    for found in _MARKED.finditer(line):
        place = int(found[1])
        start, end = found.span()
        quoted = is_text(values[place])
        is_whole = quoted and line[start - 1 : start] == line[end : end + 1] == b'"'
        pieces += [line[done : start - is_whole], b""]
        places.append((place, quoted and not is_whole))
        done = end + is_whole
    return [*pieces, line[done:]], tuple(places)


def _is_bare(line: Json, target: Target) -> bool:
    record = record_of(line)
    if set(record) != fields_of(target.layout):
        return False
    arrays = [items_of(value) for value in record.values() if is_array(value)]
    return all(len(record_of(message)) == 2 for array in arrays for message in array)
