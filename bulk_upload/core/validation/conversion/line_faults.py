"""Names what a writer did to a line, where `bulk-upload convert --fix` mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.shapes.command import FIX
from bulk_upload.core.shapes.repairs import LEFT_OUT, Damage, is_example, repaired
from bulk_upload.core.shapes.values import ValueSplitter
from bulk_upload.core.validation.json_text import parse_line
from bulk_upload.core.validation.quick.text_faults import is_amid_a_value
from bulk_upload.core.validation.rules import NO_RULES, Complaint

if TYPE_CHECKING:
    from collections.abc import Container

    from bulk_upload.core.validation.json_text import Parsed

_RULES = {
    Damage.MARK: ("byte-order-mark", "a byte order mark (U+FEFF) stands before the object"),
    Damage.SEPARATOR: (
        "bad-json",
        "a record separator (0x1e) stands before the object, as in JSON text sequences",
    ),
    Damage.COMMA: ("trailing-comma", "a comma follows the object"),
    Damage.ENCODED: ("double-encoded", "the object is JSON inside a string"),
    Damage.QUOTED: ("double-encoded", "the object is in quotes, and its own are doubled, as in CSV"),
    Damage.CR: ("cr-lines", "lines end with CR alone, not with LF"),
}


_SPACE = b" \t\r\n"


def with_fault_named(parsed: Parsed, line: bytes, counted: Container[str] = NO_RULES) -> Parsed:
    """Return what a line holds once it is mended, and what must be mended; other lines as they were parsed.

    Complaints of the `counted` rules have no words.
    """
    if _is_beyond_repair(parsed, line, counted):
        return parsed
    repair = repaired(line)
    if repair is None:
        return parsed
    complaints = [_complaint(damage, parsed) for damage in repair.damage]
    value = parse_line(repair.values[0]).value
    return parsed._replace(complaints=complaints, value=value, is_json=True, cut_off=False)


def _is_beyond_repair(parsed: Parsed, line: bytes, counted: Container[str]) -> bool:
    """Whether it is certain, without a search for values in the line, that no repair changes what was found."""
    rules = {one.rule for one in parsed.complaints}
    if parsed.is_json and "trailing-garbage" not in rules:
        # A whole value: only a string may hold another one.
        return not isinstance(parsed.value, str)
    text = line.lstrip(_SPACE)
    if text[0] in LEFT_OUT:
        return False
    if "bad-json" in rules:
        # The text does not even begin with a value, and a repair takes nothing from its beginning.
        return True
    if text[:1] != b"{":
        return False
    if "not-utf-8" in rules:
        return is_amid_a_value(text, _valid_bytes(text))
    return (
        # Several objects on one line, or one and something else: it is said in the same words, which are not wanted.
        "trailing-garbage" in counted
        and len(parsed.complaints) == 1
        and isinstance(parsed.value, dict)
        and not text.rstrip().endswith(b",")
        and b"\r" not in text.rstrip()
    )


def _valid_bytes(text: bytes) -> int:
    """Return how many bytes of a text come before the first that is not UTF-8."""
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return len(text)


def _complaint(damage: Damage, parsed: Parsed) -> Complaint:
    if damage is Damage.SEVERAL:
        first = next((one for one in parsed.complaints if one.rule == "trailing-garbage"), None)
        found = Complaint("trailing-garbage", "several objects stand on one line") if first is None else first
        return found._replace(remedy="Write a copy with each object on a line of its own", convert=FIX)
    return complaint_about(damage)


def complaint_about(damage: Damage) -> Complaint:
    """Return a complaint about a damage that leaves one object on its line."""
    rule, words = _RULES[damage]
    if damage is Damage.SEPARATOR:
        return Complaint(rule, words, remedy="Write a copy without these characters", convert=FIX)
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
