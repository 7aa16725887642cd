"""What to do about a content that is a list of parts, where strings are expected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bulk_upload.core.shapes.command import DROP, PLAIN
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INDEX = re.compile(r"\[\d+\]")
_FOUND = "the content is a list of parts, not a string"


def unexpected_parts(parts: Sequence[Mapping[str, Any]], path: str) -> Complaint:
    """Return a complaint about parts; a conversion is offered where there is a text, with what it would lose."""
    lost = list(dict.fromkeys(key for part in parts for key in _lost(part)))
    if not any(isinstance(part.get("text"), str) for part in parts):
        return Complaint("content-parts", _FOUND, path)
    allow = "or set `content_parts = true` in a --schema file if parts are accepted"
    if not lost:
        return Complaint(
            "content-parts", _FOUND, path, f"Write a copy that joins the texts, {allow}", convert=PLAIN
        )
    place = _INDEX.sub("[]", path.removeprefix("$."))
    places = [f"{place}[].{key}" for key in lost]
    remedy = (
        f"Write a copy that joins the texts and loses {' and '.join(f'`{one}`' for one in places)}, {allow}"
    )
    options = tuple(word for one in places for word in (DROP, one))
    return Complaint("content-parts", _FOUND, path, remedy, convert=options)


def _lost(part: Mapping[str, Any]) -> list[str]:
    """Return the keys of a part that a text has no place for."""
    if isinstance(part.get("text"), str):
        return [key for key in part if key not in ("text", "type")]
    return [key for key in part if key != "type" or len(part) == 1]
