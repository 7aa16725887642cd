"""One example as text for people: turns with their roles, answers after their prompts, long texts clipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.shapes.json_values import (
    NOT_JSON,
    Json,
    is_array,
    is_object,
    is_text,
    items_of,
    record_of,
    text_of,
)
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.shapes.json_values import Record

_INDENT = "  "
_NULL: Json = b"null"
"""What rows of a table have for keys that others of them have."""
_TAB = "    "
_VALUE_CHARACTERS = 200
_SPEAKER_KEYS = ("role", "from")
_SAID_KEYS = ("content", "value")
_CALLS = ("tool_calls", "function_call")
_TURNS = frozenset({"messages", "conversations", "conversation"})
"""Fields whose turns need no heading: they are the example."""


def rendered(text: Json, *, characters_max: int) -> Iterator[str]:
    """Yield the lines of one example, which is JSON or not.

    A text of more than `characters_max` characters is clipped; 0 clips none. No character of it can control a terminal.
    """
    try:
        record = record_of(text)
    except NOT_JSON:
        try:
            yield from _array_or_text(text, characters_max)
        except NOT_JSON:
            yield from _block(text.decode("utf-8", "replace"), _INDENT, characters_max)
        return
    rest: Record = {}
    for key, value in record.items():
        lines = _field(key, value, characters_max)
        if lines is None:
            rest[key] = value
        else:
            yield from lines
    for key, value in rest.items():
        yield f"{printable(key)}: {_short(value)}"


def _array_or_text(text: Json, characters_max: int) -> Iterator[str]:
    if is_text(text):
        yield from _block(text_of(text), _INDENT, characters_max)
        return
    turns = _turns(text)
    if turns is None:
        yield from _block(text.decode("utf-8", "replace"), "", characters_max)
        return
    for turn in turns:
        yield from _turn(turn, "", characters_max)


def _field(key: str, value: Json, characters_max: int) -> Iterator[str] | None:
    """Return the lines of a field that is worth a place of its own; None for one that fits on a line."""
    turns = _turns(value)
    if turns is not None:
        return _headed("" if key in _TURNS else key, turns, characters_max)
    if is_text(value):
        said = _decoded(value)
        if isinstance(said, str):
            return _named(printable(key), said, "", characters_max)
    return None


def _headed(heading: str, turns: list[Record], characters_max: int) -> Iterator[str]:
    if heading:
        yield f"{printable(heading)}:"
    for turn in turns:
        yield from _turn(turn, _INDENT if heading else "", characters_max)


def _turns(value: Json) -> list[Record] | None:
    """Return the messages that a value is, one or several; None where it is something else."""
    try:
        if is_object(value):
            records = [record_of(value)]
        elif is_array(value):
            records = [record_of(one) for one in items_of(value)]
        else:
            return None
    except NOT_JSON:
        return None
    are_turns = all(_first(one, _SPEAKER_KEYS) is not None for one in records)
    return records if records and are_turns else None


def _turn(turn: Record, indent: str, characters_max: int) -> Iterator[str]:
    speaker, content = _first(turn, _SPEAKER_KEYS), _first(turn, _SAID_KEYS)
    name = _short(turn[speaker]).strip('"') if speaker is not None else ""
    extra = [
        f"{printable(key)} {_short(value)}"
        for key, value in turn.items()
        if key not in (speaker, content, *_CALLS) and value != _NULL
    ]
    title = f"{name} ({', '.join(extra)})" if extra else name
    said = None if content is None else turn[content]
    if said is not None and is_array(said):
        yield f"{indent}{title}:"
        yield from _parts(said, indent + _INDENT, characters_max)
    elif said is not None and is_text(said):
        yield from _named(title, str(_decoded(said)), indent, characters_max)
    else:
        yield f"{indent}{title}:{'' if said in (None, _NULL) else f' {_short(said)}'}"
    for key in _CALLS:
        if turn.get(key, _NULL) != _NULL:
            yield from _calls(turn[key], indent + _INDENT)


def _parts(parts: Json, indent: str, characters_max: int) -> Iterator[str]:
    """Yield the parts of a content: texts as they are, others by their type."""
    for part in items_of(parts):
        decoded = _decoded(part)
        if isinstance(decoded, str):
            yield from _block(decoded, indent, characters_max)
        elif isinstance(decoded, dict) and isinstance(decoded.get("text"), str):
            yield from _block(decoded["text"], indent, characters_max)
        else:
            yield f"{indent}[{_short(part)}]"


def _calls(calls: Json, indent: str) -> Iterator[str]:
    decoded = _decoded(calls)
    for call in decoded if isinstance(decoded, list) else [decoded]:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict):
            yield f"{indent}calls {_clipped(str(call))}"
            continue
        arguments = function.get("arguments", "")
        shown = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
        number = f" [{printable(str(call['id']))}]" if "id" in call else ""
        yield f"{indent}calls {printable(str(function.get('name', '?')))}({_clipped(shown)}){number}"


def _named(name: str, text: str, indent: str, characters_max: int) -> Iterator[str]:
    """Yield a name and a text: on one line if it has one."""
    lines = list(_block(text, "", characters_max))
    if len(lines) <= 1:
        yield f"{indent}{name}: {''.join(lines)}".rstrip()
        return
    yield f"{indent}{name}:"
    for line in lines:
        yield f"{indent}{_INDENT}{line}".rstrip()


def _block(text: str, indent: str, characters_max: int) -> Iterator[str]:
    left_count = len(text) - characters_max if characters_max else 0
    if left_count > 0:
        text = text[:characters_max]
    lines = text.split("\n")
    if left_count > 0:
        lines[-1] += f"... ({left_count:,} more characters)"
    for line in lines:
        yield f"{indent}{printable(line.replace(chr(9), _TAB).removesuffix(chr(13)))}"


def _short(value: Json) -> str:
    """Return a value on one line, as it is written: no digit changes."""
    return _clipped(value.decode("utf-8", "replace"))


def _clipped(text: str) -> str:
    left_count = len(text) - _VALUE_CHARACTERS
    shown = printable(text[:_VALUE_CHARACTERS])
    return f"{shown}... ({left_count:,} more characters)" if left_count > 0 else shown


def _first(record: Record, keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if key in record), None)


def _decoded(value: Json) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return msgspec.json.decode(value)
    except (*NOT_JSON, ValueError):
        return value.decode("utf-8", "replace")
