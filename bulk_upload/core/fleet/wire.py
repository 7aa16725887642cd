"""Values inside messages that need more than MessagePack: outcomes, which have no tag, and texts that are no UTF-8."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bulk_upload.core.run.records import OUTCOME_NAMES

if TYPE_CHECKING:
    from bulk_upload.core.model import Outcome

T = TypeVar("T")

_PLAIN = b"m"
_ESCAPED = b"j"

_OUTCOMES = {name: kind for kind, name in OUTCOME_NAMES.items()}


def text_bytes(text: str) -> bytes:
    """Return a path or a name as bytes; those that are not UTF-8 are surrogate escapes in the text."""
    return text.encode("utf-8", "surrogateescape")


def bytes_text(data: bytes) -> str:
    """Return the text that `text_bytes` made bytes of."""
    return data.decode("utf-8", "surrogateescape")


def packed(value: object) -> bytes:
    """Return a value as bytes, whatever its texts hold."""
    try:
        return _PLAIN + msgspec.msgpack.encode(value)
    except UnicodeEncodeError:
        # A surrogate escape of a path. JSON can escape it, MessagePack cannot.
        return _ESCAPED + json.dumps(msgspec.to_builtins(value)).encode("ascii")


def unpacked(data: bytes, kind: type[T]) -> T:
    """Return the value that `packed` made bytes of. Raises msgspec.ValidationError for any other."""
    if data.startswith(_PLAIN):
        return msgspec.msgpack.decode(memoryview(data)[1:], type=kind)
    return msgspec.convert(json.loads(data[1:]), kind)


def packed_outcome(outcome: Outcome) -> tuple[str, bytes]:
    """Return the name of an outcome's kind, and the outcome as bytes."""
    return OUTCOME_NAMES[type(outcome)], packed(outcome)


def unpacked_outcome(name: str, data: bytes) -> Outcome:
    """Return the outcome that `packed_outcome` made bytes of. Raises msgspec.ValidationError for any other."""
    kind = _OUTCOMES.get(name)
    if kind is None:
        raise msgspec.ValidationError(f"no outcome is called {name!r}")
    return unpacked(data, kind)
