"""Finds the line of a key in a TOML text: the standard parser does not report lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def line_of(text: str, keys: Sequence[str]) -> int:
    """Return the line, counted from 1, on which the value at `keys` begins; 1 where there is none.

    Runs the parser itself on ever longer prefixes of the text, so that no quoting can mislead it. Takes time
    quadratic in the text's length: for an error message, which is made once.
    """
    import tomllib  # noqa: PLC0415 - only a complaint needs it

    lines = text.splitlines(keepends=True)
    whole_count = 0
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # The prefix ends within a value.
        if _holds(table, keys):
            return whole_count + 1
        whole_count = count
    return 1


def _holds(table: Mapping[str, Any], keys: Sequence[str]) -> bool:
    value: Any = table
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
