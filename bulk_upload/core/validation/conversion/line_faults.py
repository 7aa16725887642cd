"""Names what a writer did to a line, where `bulk-upload convert --fix` mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.command import FIX
from bulk_upload.core.shapes.repairs import Damage, is_example, repaired
from bulk_upload.core.shapes.values import ValueSplitter
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from bulk_upload.core.validation.json_text import Parsed

_RULES = {
    Damage.MARK: ("byte-order-mark", "a byte order mark (U+FEFF) stands before the object"),
    Damage.COMMA: ("trailing-comma", "a comma follows the object"),
    Damage.ENCODED: ("double-encoded", "the object is JSON inside a string"),
    Damage.QUOTED: ("double-encoded", "the object is in quotes, and its own are doubled, as in CSV"),
    Damage.CR: ("cr-lines", "lines end with CR alone, not with LF"),
}


def with_fault_named(parsed: Parsed, line: bytes) -> Parsed:
    """Return what a line holds once it is mended, and what must be mended; other lines as they were parsed."""
    if isinstance(parsed.value, dict) and not parsed.complaints:
        return parsed
    repair = repaired(line)
    if repair is None:
        return parsed
    complaints = [_complaint(damage, parsed) for damage in repair.damage]
    value = parse_line(repair.values[0]).value
    return parsed._replace(complaints=complaints, value=value, is_json=True, cut_off=False)


def _complaint(damage: Damage, parsed: Parsed) -> Complaint:
    if damage is Damage.SEVERAL:
        first = next((one for one in parsed.complaints if one.rule == "trailing-garbage"), None)
        found = Complaint("trailing-garbage", "several objects stand on one line") if first is None else first
        return found._replace(remedy="Write a copy with each object on a line of its own", convert=FIX)
    rule, words = _RULES[damage]
    return Complaint(rule, words)


def fault_of_huge_line(head: bytes) -> Complaint | None:
    """Return what a line that is longer than the limit is, by its first bytes; None where it is one example."""
    text = head.lstrip()
    splitter = ValueSplitter(len(text))
    values = splitter.feed(text)
    if text[:1] == b"[" and values and isinstance(values[0], bytes) and not text.startswith(values[0]):
        return Complaint("json-array", "the file is one JSON array on one line, not one object on each line")
    if len(values) > 1 and all(isinstance(one, bytes) and is_example(one) for one in values):
        first = values[0]
        if isinstance(first, bytes) and text[len(first) :].startswith(b"\r"):
            return Complaint("cr-lines", "lines end with CR alone, not with LF")
        return Complaint(
            "trailing-garbage",
            "several objects stand on one line",
            remedy="Write a copy with each object on a line of its own",
            convert=FIX,
        )
    return None
