"""The form of a record: all that decides what becomes of it but the texts themselves."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from bulk_upload.core.shapes.json_values import VERDICT_KEYS, is_number, is_text, text_of
from bulk_upload.core.shapes.messages import CONTENT_KEYS, ROLE_KEYS
from bulk_upload.core.shapes.target import Layout
from bulk_upload.core.shapes.telling_keys import READ_KEYS
from bulk_upload.core.shapes.transcript import is_transcript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.shapes.json_values import Json
    from bulk_upload.core.shapes.target import Target

_KEYS_REMEMBERED_MAX = 256
_ROLE_BYTES_MAX = 32

TEXT, NUMBER, MESSAGES, CARRIED = b'"', b"0", b"[{", b"*"
_ESCAPED, _OTHER = b'"\\', b"?"
LITERALS = {one[:2]: one for one in (b'""', b"null", b"[]", b"{}", b"true", b"false")}
"""Values that are part of a form, by their first two bytes, with which no others begin."""

_ARRAY_IN_TEXT = b'"['

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode

Message: TypeAlias = tuple[tuple[str, ...], int, int, bytes]
"""The keys of a message, the places of its role and of its content among its values, and the role."""


class Form(NamedTuple):
    """What decides what becomes of a record.

    `kinds` are those of the values, `messages` what arrays of them have, and `equals`, in pairs of conversations, has for
    each value the place of the first that is equal.
    """

    keys: tuple[str, ...]
    kinds: tuple[bytes, ...]
    messages: tuple[tuple[Message, ...], ...] = ()
    equals: tuple[int, ...] = ()


class NoForm(ValueError):
    """What becomes of a record depends on more than a form has."""


class _Kinds(dict[bytes, bytes]):
    """The kinds of values by their first two bytes."""

    def __missing__(self, start: bytes) -> bytes:
        kind = _OTHER
        if start in LITERALS or start in (MESSAGES, _ESCAPED):
            kind = start
        elif is_number(start):
            kind = NUMBER
        elif is_text(start) and start != _ARRAY_IN_TEXT:
            kind = TEXT
        self[start] = kind
        return kind


class Forms:
    """Reads the forms of the records of one file."""

    def __init__(self, target: Target) -> None:
        self._is_pair = target.layout is Layout.PREFERENCE
        self._kinds = _Kinds()
        self._carried: dict[tuple[str, ...], tuple[int, ...] | None] = {}

    def read(self, text: Json) -> tuple[Form, list[Json]]:
        """Return the form of a record, and its values but the roles of messages. Raises `NOT_JSON`, NoForm."""
        record = _object(text)
        keys = tuple(record)
        values = [*map(bytes, record.values())]
        kind_of = self._kinds
        kinds = [kind_of[value[:2]] for value in values]
        for place in self._carried_in(keys):
            kinds[place] = CARRIED
        if _ESCAPED in kinds:
            kinds = [_unescaped(kind, value) for kind, value in zip(kinds, values, strict=True)]
        if _OTHER in kinds:
            raise NoForm
        if MESSAGES not in kinds:
            return Form(keys, tuple(kinds)), values
        messages, values = _in_messages(kinds, values)
        if not self._is_pair:
            return Form(keys, tuple(kinds), messages), values
        return Form(keys, tuple(kinds), messages, _equals(text, messages, values)), values

    def _carried_in(self, keys: tuple[str, ...]) -> tuple[int, ...]:
        """Return the places of the values that no conversion reads. Raises NoForm."""
        if keys in self._carried:
            found = self._carried[keys]
        elif len(self._carried) < _KEYS_REMEMBERED_MAX:
            has_verdict = not set(VERDICT_KEYS).isdisjoint(keys)
            places = tuple(place for place, key in enumerate(keys) if key not in READ_KEYS)
            found = self._carried[keys] = None if has_verdict else places
        else:
            found = None
        if found is None:
            raise NoForm
        return found


def _unescaped(kind: bytes, value: Json) -> bytes:
    if kind != _ESCAPED:
        return kind
    return _OTHER if is_transcript(value) else TEXT


def _in_messages(
    kinds: list[bytes], values: list[Json]
) -> tuple[tuple[tuple[Message, ...], ...], list[Json]]:
    """Return what the arrays have, and the values with those of their messages instead. Raises `NOT_JSON`, NoForm."""
    arrays = []
    inner: list[Json] = []
    for kind, value in zip(kinds, values, strict=True):
        if kind != MESSAGES:
            inner.append(value)
            continue
        messages = []
        for one in _objects(value):
            keys = tuple(one)
            role_at, content_at = _places(keys)
            said = [*map(bytes, one.values())]
            role = said[role_at]
            if not is_text(said[content_at]) or len(role) > _ROLE_BYTES_MAX:
                raise NoForm
            messages.append((keys, role_at, content_at, role))
            del said[role_at]
            inner += said
        arrays.append(tuple(messages))
    return tuple(arrays), inner


@lru_cache(maxsize=1024)
def _places(keys: tuple[str, ...]) -> tuple[int, int]:
    """Return where a message has its role and its content. Raises NoForm."""
    role, content = (next((one for one in names if one in keys), None) for names in (ROLE_KEYS, CONTENT_KEYS))
    if role is None or content is None:
        raise NoForm
    return keys.index(role), keys.index(content)


def _equals(text: Json, messages: tuple[tuple[Message, ...], ...], values: list[Json]) -> tuple[int, ...]:
    """Return, for each value, the place of the first that says the same. Raises `NOT_JSON`, NoForm."""
    if any(len(one[0]) > 2 for array in messages for one in array):
        # Equal messages have equal values under all their keys.
        raise NoForm
    equals = _first_places(values)
    if b"\\u" in text or b"\\/" in text:
        # What other escapes stand for can be written in no other way.
        texts = [text_of(one) if is_text(one) else one.decode() for one in values]
        if _first_places(texts) != equals:
            raise NoForm
    return equals


def _first_places(values: Sequence[Json | str]) -> tuple[int, ...]:
    first: dict[Json | str, int] = {}
    return tuple([first.setdefault(one, place) for place, one in enumerate(values)])
