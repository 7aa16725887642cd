"""Parses one line of JSON exactly: what is wrong with its text, where, and the value it holds."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from bulk_upload.core.text.json_fault import fault_of
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.opening.invisible import is_invisible
from bulk_upload.core.validation.rules import COUNTED, NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_BLANK = " \t\r\n"
_WHOLE_DIGITS_MAX = 18
_SEEN_CHARACTERS = 24
_VALUES_WALKED_MAX = 1_000_000
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Parsed(NamedTuple):
    """Complaints about a line's text, and its value where it has one."""

    complaints: list[Complaint]
    value: Any = None
    is_json: bool = False
    cut_off: bool = False
    """Whether the line is wrong only because it ends too early."""


class _Object(dict[str, Any]):
    """An object that records which of its keys occurred more than once."""

    __slots__ = ("repeated",)
    repeated: list[str]


class Constant:
    """`NaN`, `Infinity` or `-Infinity`, where a value should be."""

    def __init__(self, name: str) -> None:
        self.name = name


def parse_line(
    line: bytes, *, find_repeated_keys: bool = False, counted: Container[str] = NO_RULES
) -> Parsed:
    """Return what a line holds; the line must not be blank. Complaints of the `counted` rules have no words."""
    try:
        text = line.rstrip(b" \t\r\n").decode("utf-8")
    except UnicodeDecodeError as error:
        return Parsed([COUNTED["not-utf-8"] if "not-utf-8" in counted else _not_utf_8(line, error.start)])
    constants: list[Constant] = []
    decoder = _PLAIN
    if find_repeated_keys or "NaN" in text or "Infinity" in text:
        is_counted = "not-a-number" in counted and not find_repeated_keys
        if is_counted and (found := _counted_constants(text)) is not None:
            return found
        decoder = _decoder(constants, find_repeated_keys=find_repeated_keys)
    try:
        value, end = decoder.raw_decode(text, _skip(text, 0))
    except json.JSONDecodeError as error:
        return _bad_json(text, error, counted)
    except RecursionError:
        return Parsed([Complaint("too-deep", "the value is nested more deeply than can be read")])
    complaints = []
    if constants:
        complaints += _constants(value, constants)
    if find_repeated_keys:
        complaints += _repeated_keys(value)
    if (rest := _skip(text, end)) < len(text):
        complaints.append(
            COUNTED["trailing-garbage"] if "trailing-garbage" in counted else _trailing(text, rest)
        )
    if "\\u" in text and (surrogate := _lone_surrogate(text, counted)) is not None:
        complaints.append(surrogate)
    return Parsed(complaints, value, is_json=True)


def _not_utf_8(line: bytes, position: int) -> Complaint:
    found = f"byte 0x{line[position]:02x} is not UTF-8"
    column = len(line[:position].decode("utf-8", "replace")) + 1
    return Complaint("not-utf-8", found, f"column {column}", column=column, byte_in_line=position)


def _decoder(constants: list[Constant], *, find_repeated_keys: bool) -> json.JSONDecoder:
    def on_constant(name: str) -> Constant:
        constants.append(Constant(name))
        return constants[-1]

    return json.JSONDecoder(
        parse_constant=on_constant,
        parse_int=_whole,
        object_pairs_hook=_object if find_repeated_keys else None,
    )


def _whole(digits: str) -> int | float:
    # Python refuses to convert thousands of digits; no rule asks for their value.
    return int(digits) if len(digits) <= _WHOLE_DIGITS_MAX else float(digits)


_PLAIN = json.JSONDecoder(parse_int=_whole)
"""For text without constants: making a decoder takes as long as a short line."""

_WITH_CONSTANTS = json.JSONDecoder(parse_int=_whole, parse_constant=Constant)


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    made.repeated = []
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen and key not in made.repeated:
                made.repeated.append(key)
            seen.add(key)
    return made


def _skip(text: str, start: int) -> int:
    while start < len(text) and text[start] in _BLANK:
        start += 1
    return start


def _bad_json(text: str, error: json.JSONDecodeError, counted: Container[str]) -> Parsed:
    position, wrong = fault_of(error)
    # Two complaints of the json module point at where a string or an array began.
    cut_off = position >= len(text) or error.msg.startswith("Unterminated string")
    if "bad-json" in counted:
        return Parsed([COUNTED["bad-json"]], cut_off=cut_off)
    found, remedy = _words(text, error, position, wrong, cut_off=cut_off)
    column = position + 1
    complaint = Complaint(
        "bad-json",
        found,
        f"column {column}",
        remedy,
        column=column,
        byte_in_line=len(text[:position].encode("utf-8")),
    )
    return Parsed([complaint], cut_off=cut_off)


def _words(
    text: str, error: json.JSONDecodeError, position: int, wrong: str, *, cut_off: bool
) -> tuple[str, str | None]:
    """Return what is wrong with a text that is not JSON, and what to do about it if that is special."""
    if error.msg.startswith("Unterminated string"):
        found = "the line ends within a string: it was cut off, or a line break in the string is raw"
        return found, "Write line breaks in strings as \\n, and each object on one line; json.dumps does both"
    if cut_off:
        remedy = "The line may have been cut off, or one object spans several lines: write it on one line"
        return "the line ends in the middle of a value", remedy
    character = text[position]
    if character == "'" or text.lstrip(_BLANK)[:2] in ("{'", "['"):
        remedy = "Write lines with json.dumps, not with print or str"
        return "strings are in single quotes, as Python prints them", remedy
    if text[position : position + 4] in ("None", "True") or text[position : position + 5] == "False":
        remedy = "Write lines with json.dumps: JSON has null, true and false"
        return "None, True or False, as Python prints them", remedy
    if is_invisible(character):
        return f"an invisible character, U+{ord(character):04X}", "Remove it; editors show it as a code"
    if character == "\0":
        return "a zero byte, which no text has", "Remove it; writers that crash leave zero bytes behind"
    if ord(character) < ord(" "):
        if not error.msg.startswith("Invalid control character"):
            return f"a control character (0x{ord(character):02x}) outside of strings", "Remove it"
        remedy = "Write it as an escape such as \\n or \\t; json.dumps does"
        return f"a raw control character (0x{ord(character):02x}) in a string", remedy
    shown = text[position : position + _SEEN_CHARACTERS].rstrip(_BLANK)
    return f"not JSON at {quoted(shown)} ({wrong})", None


def _trailing(text: str, rest: int) -> Complaint:
    shown = quoted(text[rest : rest + _SEEN_CHARACTERS].rstrip(_BLANK))
    what = "another value" if text[rest] in '{["' else "something"
    return Complaint(
        "trailing-garbage",
        f"{what} follows the JSON value: {shown}",
        f"column {rest + 1}",
        column=rest + 1,
        byte_in_line=len(text[:rest].encode("utf-8")),
    )


def _lone_surrogate(text: str, counted: Container[str]) -> Complaint | None:
    """Find an escaped lone surrogate: readers of a line may keep it, turn it into `?`, or fail."""
    if _SURROGATE.search(text) is None:
        return None
    position = 0
    while (position := text.find("\\", position)) >= 0:
        if text[position + 1 : position + 2] != "u":
            position += 2
            continue
        code = _escaped(text, position)
        if 0xD800 <= code <= 0xDBFF and 0xDC00 <= _escaped(text, position + 6) <= 0xDFFF:
            position += 12
            continue
        if 0xD800 <= code <= 0xDFFF and "lone-surrogate" in counted:
            return COUNTED["lone-surrogate"]
        if 0xD800 <= code <= 0xDFFF:
            return Complaint(
                "lone-surrogate",
                f"{text[position : position + 6]} is half of a character",
                f"column {position + 1}",
                column=position + 1,
                byte_in_line=len(text[:position].encode("utf-8")),
            )
        position += 6
    return None


def _escaped(text: str, position: int) -> int:
    digits = text[position + 2 : position + 6]
    if text[position : position + 2] != "\\u" or len(digits) != 4:
        return -1
    try:
        return int(digits, 16)
    except ValueError:
        return -1


def _walk(value: object) -> Iterator[tuple[str, dict[str, Any] | list[Any]]]:
    """Return every object and array with its JSON path. Not by recursion: a value may be nested deeply."""
    waiting: list[tuple[str, dict[str, Any] | list[Any]]] = []
    if isinstance(value, dict | list):
        waiting.append(("$", value))
    walked_count = 0
    while waiting and walked_count < _VALUES_WALKED_MAX:
        path, one = waiting.pop()
        walked_count += 1 + len(one)
        yield path, one
        inner = [(key, child) for key, child in _members(one) if isinstance(child, dict | list)]
        waiting += [(f"{path}{_step(key)}", child) for key, child in reversed(inner)]


def _members(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str | int, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def _step(key: str | int) -> str:
    return f"[{key}]" if isinstance(key, int) else step(key)


def step(key: str) -> str:
    """Return one step of a JSON path: `.name`, or `["odd name"]`."""
    return f".{key}" if key.isidentifier() else f"[{json.dumps(key[:_SEEN_CHARACTERS])}]"


def _constants(value: object, constants: list[Constant]) -> list[Complaint]:
    found = [
        Complaint("not-a-number", f"{child.name} is not JSON", f"{path}{_step(key)}")
        for path, one in _walk(value)
        for key, child in _members(one)
        if isinstance(child, Constant)
    ]
    if isinstance(value, Constant):
        found = [Complaint("not-a-number", f"{value.name} is not JSON", "$")]
    # A repeated key can hide one.
    return found or [Complaint("not-a-number", f"{constants[0].name} is not JSON")]


def _repeated_keys(value: object) -> list[Complaint]:
    return [
        Complaint("duplicate-key", f"the key {quoted(key)} is repeated", f"{path}{step(key)}")
        for path, one in _walk(value)
        if isinstance(one, _Object)
        for key in one.repeated
    ]


def _counted_constants(text: str) -> Parsed | None:
    """Return what a text holds that has constants and no other fault, None where it is another text."""
    if len(text) > _VALUES_WALKED_MAX or ("\\u" in text and _SURROGATE.search(text) is not None):
        return None
    try:
        value = _WITH_CONSTANTS.decode(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict | list):
        return None
    count = 0
    waiting: list[Any] = [value]
    for one in waiting:
        for child in one.values() if type(one) is dict else one:
            kind = type(child)
            if kind is Constant:
                count += 1
            elif kind is dict or kind is list:
                waiting.append(child)
    return Parsed([COUNTED["not-a-number"]] * count, value, is_json=True) if count else None
