"""The grammar that all fault texts of the sandbox share: items, repetitions, chances and numbers."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STEPS_MAX = 100_000
"""Steps of one script: `*N` may not fill the memory."""

_REPEAT = re.compile(r"(.+)\*([0-9]{1,6})", re.ASCII)


def items_of(text: str, presets: Mapping[str, str]) -> list[str]:
    """Return the items between commas and spaces; a preset stands for its own items."""
    items: list[str] = []
    for item in re.split(r"[,\s]+", text.strip()):
        if item in presets:
            items.extend(presets[item].split(","))
        elif item:
            items.append(item)
    return items


def repeated(item: str) -> tuple[str, int]:
    """Return a step's text, and how often it is meant: `429:1*5` is five times `429:1`."""
    match = _REPEAT.fullmatch(item)
    return (item, 1) if match is None else (match[1], int(match[2]))


def check_step_count(count: int) -> None:
    """Raise UsageError for a script that is too long."""
    if count > STEPS_MAX:
        raise UsageError(f"sandbox faults: more than {STEPS_MAX} steps", hint="use chances instead")


def probability(text: str, item: str) -> float:
    """Read `5%` or `0.05`.

    Raises:
        UsageError: not a number.
    """
    if text.endswith("%"):
        return number(text[:-1], item) / 100
    return number(text, item)


def number(text: str, item: str) -> float:
    """Read a finite number.

    Raises:
        UsageError: not a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(
            f"sandbox faults: '{text}' in '{item}' is not a number", hint="write it like 0.5 or 20"
        )
    return value


def whole_number(text: str, item: str) -> int:
    """Read a whole number.

    Raises:
        UsageError: not a whole number.
    """
    if not re.fullmatch(r"[0-9]{1,12}", text, re.ASCII):
        raise UsageError(
            f"sandbox faults: '{text}' in '{item}' is not a whole number", hint="write it like 3"
        )
    return int(text)


def yes_or_no(text: str, item: str) -> bool:
    """Read `yes` or `no`.

    Raises:
        UsageError: neither.
    """
    if text not in ("yes", "no"):
        raise UsageError(
            f"sandbox faults: '{text}' in '{item}' is neither yes nor no", hint="write yes or no"
        )
    return text == "yes"


Settings = dict[str, tuple[str, "Callable[[str, str], Any]"]]
"""The settings of a text form: their field, and how their value is read."""


def setting(item: str, settings: Settings, *, of: str) -> tuple[str, Any]:
    """Read `budget=2`: return the field and its value. `of` names the text form.

    Raises:
        UsageError: no setting, or a value it cannot have.
    """
    key, _, value = item.partition("=")
    if key not in settings:
        raise UsageError(
            f"sandbox {of}: '{key}' is not a setting", hint="settings: " + ", ".join(sorted(settings))
        )
    field, convert = settings[key]
    return field, convert(value, item)


def may_be_sent(header: str | None) -> bool:
    """Whether a text can be the value of a header."""
    return header is None or (header.isascii() and header.isprintable())


def amount_of(word: str, text: str | None, *, takes_one: bool, item: str, of: str) -> float | None:
    """Read the number after a step's word, None where there is none.

    Raises:
        UsageError: not a number, or such a step takes none.
    """
    if text is None:
        return None
    if not takes_one:
        raise UsageError(f"sandbox {of}: '{word}' takes no number", hint=f"write '{word}'")
    return number(text, item)
