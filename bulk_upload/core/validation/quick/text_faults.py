"""Finds the rule that a text breaks which is not JSON, where only the rule is wanted.

It says only what `parse_line` and `with_fault_named` would; a test compares them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.shapes.json_values import rest_start
from bulk_upload.core.shapes.repairs import LEFT_OUT
from bulk_upload.core.validation.rules import COUNTED

if TYPE_CHECKING:
    from collections.abc import Container

    from bulk_upload.core.validation.rules import Complaint

_skip = msgspec.json.Decoder(msgspec.Raw).decode
_BLANK = b" \t\r\n"
_NOT_QUICK = frozenset(LEFT_OUT + b"-0123456789")
"""First bytes that a repair may take away, or that begin a number: of "01" Python's reader takes the first digit."""

_FAULT = re.compile(
    r"JSON is malformed: (?:invalid character|invalid escaped? character(?: in string)?|invalid number"
    r"|invalid character in unicode escape|object keys must be strings|trailing comma in (?:object|array)|expected .*)"
    r" \(byte (\d+)\)"
)
"""What msgspec says of a text at a place where Python's reader stops too, unless a constant is there."""

# The search for one byte is several times as fast as that for two.
_SURROGATE = re.compile(rb"\\(?=u[dD][89a-fA-F])")
_CUT = "Input data was truncated"
_ESCAPE_BYTES = 12
_CONSTANTS = (b"N", b"I")
_OPEN_MAX = 200
"""With fewer brackets no value is nested too deeply for a reader."""


def is_amid_a_value(text: bytes, end: int) -> bool:
    """Whether the first value of a text certainly ends after `end`, if at all."""
    try:
        _skip(text[:end])
    except msgspec.DecodeError as error:
        words = str(error)
        return words == _CUT or _FAULT.fullmatch(words) is not None
    except RecursionError:
        return False
    return False


def counted_fault(line: bytes, counted: Container[str]) -> tuple[Complaint, bytes | None] | None:
    """Return what is wrong with a text that is not JSON if that rule is counted, None where the exact way must say it.

    With it comes the object that the text begins with, None where it begins with no value. That it is an object is not
    certain.
    """
    text = line.strip(_BLANK)
    if not text or text[0] in _NOT_QUICK:
        return None
    if not text.isascii():
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as error:
            is_sure = "not-utf-8" in counted and text[:1] == b"{" and is_amid_a_value(text, error.start)
            return (COUNTED["not-utf-8"], None) if is_sure else None
    try:
        _skip(text)
    except msgspec.DecodeError as error:
        words = str(error)
        start = rest_start(error)
        if start is not None:
            return (COUNTED["trailing-garbage"], text[:start]) if _is_followed(text, start, counted) else None
        is_sure = "bad-json" in counted and _is_bad_json(text, words)
        return (COUNTED["bad-json"], None) if is_sure else None
    except RecursionError:
        return None
    return None


def _is_followed(text: bytes, start: int, counted: Container[str]) -> bool:
    """Whether nothing else is said of an object that something follows from `start` on, be it another object or not.

    Halves of characters within the object are found when it is decoded.
    """
    return (
        "trailing-garbage" in counted
        and text[:1] == b"{"
        and not text.rstrip().endswith(b",")
        and b"\r" not in text
        and _SURROGATE.search(text, start) is None
    )


def _is_bad_json(text: bytes, words: str) -> bool:
    """Whether Python's reader finds a fault too, which takes constants and halves of characters."""
    if text.count(b"[") + text.count(b"{") > _OPEN_MAX:
        return False
    if words == _CUT:
        return b"\\u" not in text[-_ESCAPE_BYTES:]
    fault = _FAULT.fullmatch(words)
    if fault is None:
        return False
    at = int(fault[1])
    return text[at : at + 1] not in _CONSTANTS
