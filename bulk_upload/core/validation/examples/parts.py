"""Checks content that is a list of parts, where a schema allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.text.wording import did_you_mean, quoted
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NEEDED = {
    "text": "text",
    "input_text": "text",
    "output_text": "text",
    "refusal": "refusal",
    "image_url": "image_url",
    "input_image": None,
    "image": None,
    "input_audio": "input_audio",
    "audio": None,
    "audio_url": "audio_url",
    "video": None,
    "video_url": "video_url",
    "file": "file",
    "input_file": None,
    "document": None,
    "thinking": "thinking",
    "tool_use": "id",
    "tool_result": "tool_use_id",
}
"""The types of parts that chat APIs know, and the key each must have; None where it differs between them."""

_TEXTS = frozenset({"text", "refusal", "thinking", "id", "tool_use_id"})
_SHOWN_MAX = 6


def part_complaints(parts: Sequence[Mapping[str, Any]], path: str) -> Iterator[Complaint]:
    """Yield what is wrong with the parts of one content."""
    has_something = False
    for index, part in enumerate(parts):
        found = _part(part, f"{path}[{index}]")
        if found is not None:
            yield found
        text = part.get("text")
        has_something |= part.get("type") not in ("text", "input_text") or not isinstance(text, str)
        has_something |= isinstance(text, str) and bool(text.strip())
    if not has_something:
        yield Complaint("empty-content", "all parts of the content are empty", path)


def _part(part: Mapping[str, Any], path: str) -> Complaint | None:
    kind = part.get("type")
    if kind is None:
        shown = ", ".join(part)[:80] or "nothing"
        remedy = 'Write its type first: {"type": "text", "text": "..."}'
        return Complaint("bad-part", f'the part has no "type"; there is {shown}', path, remedy)
    if not isinstance(kind, str) or kind not in _NEEDED:
        known = tuple(_NEEDED)
        hint = did_you_mean(kind, known) if isinstance(kind, str) else ""
        shown = quoted(kind) if isinstance(kind, str) else "not a string"
        remedy = f"{hint}Known types: {', '.join(known[:_SHOWN_MAX])} and others"
        return Complaint(
            "bad-part", f"the type of the part is {shown}, which is not known", f"{path}.type", remedy
        )
    needed = _NEEDED[kind]
    if needed is None:
        return None
    if part.get(needed) is None:
        return Complaint(
            "bad-part", f'a part of the type {kind} has no "{needed}"', path, f'Add "{needed}" to it'
        )
    if needed in _TEXTS and not isinstance(part[needed], str):
        remedy = f'Write "{needed}" as a string, in quotes'
        return Complaint("bad-part", f'"{needed}" of the part is not a string', f"{path}.{needed}", remedy)
    return None
