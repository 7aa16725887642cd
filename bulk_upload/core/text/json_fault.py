"""Where a text stops being JSON, worded the same in every version of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import json

_BLANK = " \t\r\n"
_LAST_COMMA = "no comma may stand before a closing bracket"


def fault_of(error: json.JSONDecodeError) -> tuple[int, str]:
    """Return where a text stops being JSON, as a position in it, and what is wrong there.

    Before Python 3.13 the json module points after a comma that ends an object or an array, since then at it.
    """
    closed_by = {"Expecting property name enclosed in double quotes": "}", "Expecting value": "]"}.get(
        error.msg
    )
    before = error.doc[: error.pos].rstrip(_BLANK)
    if closed_by is not None and before.endswith(",") and error.doc.startswith(closed_by, error.pos):
        return len(before) - 1, _LAST_COMMA
    if error.msg.startswith("Illegal trailing comma"):
        return error.pos, _LAST_COMMA
    return error.pos, f"{error.msg[:1].lower()}{error.msg[1:]}"
