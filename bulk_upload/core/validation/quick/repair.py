"""Mends lines with one fault of a writer and no other, without the search for values that other lines need.

It mends a line only as `with_fault_named` would; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.json_values import NOT_JSON, text_of
from bulk_upload.core.shapes.repairs import Damage
from bulk_upload.core.validation.conversion.line_faults import complaint_about

if TYPE_CHECKING:
    from bulk_upload.core.validation.rules import Complaint


def quickly_mended(line: bytes, value: object) -> tuple[Complaint, bytes | None] | None:
    """Return what must be mended in a line and the text of the object that it then may hold.

    It is mended so if that text is one object in UTF-8; None where only the exact way can say how. `value` is what the
    line holds as it is, if that is known.
    """
    if isinstance(value, str):
        return complaint_about(Damage.ENCODED), value.strip().encode()
    text = line.strip()
    ends = text[:1] + text[-1:]
    if ends == b"{,":
        damage, inner = Damage.COMMA, text[:-1]
    elif ends == b'""':
        unquoted = _unquoted(text)
        if unquoted is None:
            return None
        damage, inner = unquoted
    else:
        return None
    return complaint_about(damage), inner


def _unquoted(text: bytes) -> tuple[Damage, bytes] | None:
    try:
        return Damage.ENCODED, text_of(text).strip().encode()
    except NOT_JSON:
        return (Damage.QUOTED, text[1:-1].replace(b'""', b'"')) if text.startswith(b'"{""') else None
