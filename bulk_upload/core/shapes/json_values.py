"""JSON values as their text: what is moved and never decoded keeps every digit, every escape and its key order."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json: TypeAlias = bytes
"""The text of one JSON value in UTF-8, without space around it."""

Record: TypeAlias = dict[str, Json]
"""An object whose values are not decoded."""

LABEL = "label"
KTO_KEYS = ("kto_tag",)
VERDICT_KEYS = (LABEL, *KTO_KEYS)
"""Where tools keep whether an answer is good; the name of `label` alone does not say so."""

_DECODED_BYTES = 1024 * 1024
_CHARACTER_BYTES = 4
_CONTINUES = frozenset(bytes([one]) for one in range(0x80, 0xC0))
_EMPTY = frozenset({b'""', b"null", b"[]", b"{}"})
_NUMBER_START = frozenset(b"-0123456789")
_BROKEN_LINE = re.compile(rb"[ \t]*[\r\n]\s*")

_AS_PAIRS: Any = {"object_pairs_hook": list, "parse_int": str, "parse_float": str}

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


class RepeatedKey(ValueError):
    """An object has a key more than once, and all but the last value would be lost. The message is the key."""


def record_of(text: bytes) -> Record:
    """Return the values of an object by their keys, of a key that is there twice the last one. Raises `NOT_JSON`."""
    require_utf8(text)
    return {key: bytes(value) for key, value in _object(text).items()}


def whole_record_of(text: bytes) -> Record:
    """Return all values of an object by their keys. Raises `NOT_JSON`, RepeatedKey."""
    record = record_of(text)
    if _written([record], _spacing_of(text)) != text:
        _require_whole([json.loads(text, **_AS_PAIRS)], [record])
    return record


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


def whole_records_of(value: Json) -> list[Record]:
    """Return the objects of an array with all their values. Raises `NOT_JSON`, RepeatedKey."""
    records = [{key: bytes(inner) for key, inner in one.items()} for one in _objects(value)]
    spacing = _spacing_of(value)
    if b"[" + _written(records, spacing) + b"]" != value:
        _require_whole(json.loads(value, **_AS_PAIRS), records)
    return records


def _spacing_of(text: bytes) -> bytes:
    """Return what is between the key and the value that come first: most writers have it everywhere."""
    colon = text.find(b'":') + 2
    return text[colon : colon + 1] if text[colon : colon + 1] == b" " else b""


def _written(records: list[Record], spacing: bytes) -> bytes:
    """Return the objects as most writers write them: a text that is the same has no other values."""
    comma = b"," + spacing
    return comma.join(
        [
            b"{" + comma.join([_key(name, spacing) + value for name, value in record.items()]) + b"}"
            for record in records
        ]
    )


def _require_whole(pairs: list[list[tuple[str, object]]], records: list[Record]) -> None:
    """Raise RepeatedKey where there are more pairs of a key and its value than are in the records."""
    for one, record in zip(pairs, records, strict=True):
        if len(one) > len(record):
            counts = Counter(key for key, _ in one)
            raise RepeatedKey(next(key for key, count in counts.items() if count > 1))


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


def has_verdict(record: Record, names: tuple[str, ...] = VERDICT_KEYS) -> bool:
    """Whether a record says of its one answer that it is good or bad, as KTO has it."""
    for name in names:
        value = record.get(name)
        if value is not None and is_verdict(value):
            return True
    return False


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
def _key(name: str, spacing: bytes = b"") -> bytes:
    return encode_text(name) + b":" + spacing


def array_of(values: Iterable[Json]) -> Json:
    """Return an array of values."""
    return b"[" + b",".join(values) + b"]"


def on_one_line(value: Json) -> Json:
    """Return a value that is known to be JSON without line ends: they only stand between its tokens then."""
    return _BROKEN_LINE.sub(b"", value) if b"\n" in value or b"\r" in value else value
