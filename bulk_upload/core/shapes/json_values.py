"""JSON values as their text: what is moved and never decoded keeps every digit, every escape and its key order."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json: TypeAlias = bytes
"""The text of one JSON value in UTF-8, without space around it."""

Record: TypeAlias = dict[str, Json]
"""An object whose values are not decoded."""

_DECODED_BYTES = 1024 * 1024
_CHARACTER_BYTES = 4
_CONTINUES = frozenset(bytes([one]) for one in range(0x80, 0xC0))
_EMPTY = frozenset({b'""', b"null", b"[]", b"{}"})
_NUMBER_START = frozenset(b"-0123456789")
_BROKEN_LINE = re.compile(rb"[ \t]*[\r\n]\s*")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_objects = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_raw = msgspec.json.Decoder(msgspec.Raw).decode
encode_text = msgspec.json.Encoder().encode
"""Return the JSON text of a string."""

encode_object = msgspec.json.Encoder().encode
"""Return the JSON text of an object of strings."""

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the functions of this module raise for text that is not the JSON they expect."""


def record_of(text: bytes) -> Record:
    """Return the values of an object by their keys. Raises `NOT_JSON`."""
    require_utf8(text)
    return {key: bytes(value) for key, value in _object(text).items()}


def require_utf8(text: bytes) -> None:
    """Raise UnicodeDecodeError for other text: msgspec does not check what it does not decode."""
    if text.isascii():
        return
    if len(text) <= _DECODED_BYTES:
        text.decode("utf-8")
        return
    # The whole as a string would take up to four times its memory.
    start = 0
    while start < len(text):
        end = start + _DECODED_BYTES
        for _ in range(_CHARACTER_BYTES):
            # Not within a character.
            end -= text[end : end + 1] in _CONTINUES
        text[start:end].decode("utf-8")
        start = end


def require_json(text: bytes) -> None:
    """Raise `NOT_JSON`, or ValueError for a number that is too long, where a text is no JSON value."""
    require_utf8(text)
    msgspec.json.decode(text)


def records_of(value: Json) -> list[Record]:
    """Return the objects of an array. Raises `NOT_JSON`."""
    return [{key: bytes(inner) for key, inner in one.items()} for one in _objects(value)]


def items_of(value: Json) -> list[Json]:
    """Return the values of an array. Raises `NOT_JSON`."""
    return [bytes(one) for one in _array(value)]


def text_of(value: Json) -> str:
    """Return the string that a value is. Raises `NOT_JSON`."""
    return _text(value)


def value_length(text: bytes | memoryview) -> int | None:
    """Return how many bytes the value has that a text begins with, None where that is not certain."""
    try:
        _raw(text)
    except msgspec.DecodeError as error:
        start = rest_start(error)
        return None if start is None else len(bytes(text[:start]).rstrip())
    except RecursionError:
        return None
    return len(bytes(text).rstrip())


def rest_start(error: msgspec.DecodeError) -> int | None:
    """Return where a text begins that follows a value, None where the error is another one."""
    found = _FOLLOWED.fullmatch(str(error))
    return None if found is None else int(found[1]) - _OFFSET


def _offset() -> int:
    try:
        _raw(b"{} x")
    except msgspec.DecodeError as error:
        found = _FOLLOWED.fullmatch(str(error))
        return 0 if found is None else int(found[1]) - len(b"{} ")
    return 0


_FOLLOWED = re.compile(r"JSON is malformed: trailing characters \(byte (\d+)\)")
_OFFSET = _offset()
"""How far behind the first byte after a value the parser says that it is."""


def is_text(value: Json) -> bool:
    """Whether a value is a string."""
    return value[:1] == b'"'


def is_array(value: Json) -> bool:
    """Whether a value is an array."""
    return value[:1] == b"["


def is_object(value: Json) -> bool:
    """Whether a value is an object."""
    return value[:1] == b"{"


def is_number(value: Json) -> bool:
    """Whether a value is a number."""
    return value[0] in _NUMBER_START


def is_verdict(value: Json) -> bool:
    """Whether a value is true or false, also as text or as 1 or 0, as tables have it."""
    return value.removeprefix(b'"').removesuffix(b'"').lower() in (b"true", b"false", b"1", b"0")


def is_empty(value: Json) -> bool:
    """Whether a value says nothing: null, or an empty string, array or object."""
    return value in _EMPTY


def is_same(first: Json, second: Json) -> bool:
    """Whether two values are equal, whatever their escapes."""
    return first == second or _with_digits(first) == _with_digits(second)


def _with_digits(value: Json) -> object:
    """Return a value in which numbers are what was written: readers would round some of them."""
    return json.loads(value, parse_int=_Digits, parse_float=_Digits)


class _Digits(str):
    """The text of a number; no other text is equal to it."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Digits) and str(self) == str(other)

    __hash__ = str.__hash__


def joined(texts: Iterable[Json], separator: bytes = b"") -> Json:
    """Return the strings of several values as one; `separator` is JSON text too, such as `\\\\n`."""
    return b'"' + separator.join([one[1:-1] for one in texts]) + b'"'


def object_of(fields: Mapping[str, Json]) -> Json:
    """Return an object of values by their keys."""
    return b"{" + b",".join([_key(key) + value for key, value in fields.items()]) + b"}"


@lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    return encode_text(name) + b":"


def array_of(values: Iterable[Json]) -> Json:
    """Return an array of values."""
    return b"[" + b",".join(values) + b"]"


def on_one_line(value: Json) -> Json:
    """Return a value that is known to be JSON without line ends: they only stand between its tokens then."""
    return _BROKEN_LINE.sub(b"", value) if b"\n" in value or b"\r" in value else value
