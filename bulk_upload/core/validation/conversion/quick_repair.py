"""Mends lines with one fault of a writer and no other, without the search for values that other lines need.

It mends a line only as `with_fault_named` would; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.shapes.json_values import NOT_JSON, text_of
from bulk_upload.core.shapes.repairs import Damage
from bulk_upload.core.validation.conversion.line_faults import complaint_about

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.validation.rules import Complaint

_plain: Callable[[bytes], Any] = msgspec.json.Decoder().decode
# Numbers of thousands of digits are values that Python refuses to make.
_NOT_PLAIN = (*NOT_JSON, ValueError)


def quickly_mended(line: bytes) -> tuple[Complaint, dict[str, Any]] | None:
    """Return what must be mended in a line and the object it holds then, None where only the exact way can say it."""
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
    try:
        value = _plain(inner)
    except _NOT_PLAIN:
        return None
    return (complaint_about(damage), value) if isinstance(value, dict) else None


def _unquoted(text: bytes) -> tuple[Damage, bytes] | None:
    try:
        return Damage.ENCODED, text_of(text).strip().encode()
    except NOT_JSON:
        return (Damage.QUOTED, text[1:-1].replace(b'""', b'"')) if text.startswith(b'"{""') else None
