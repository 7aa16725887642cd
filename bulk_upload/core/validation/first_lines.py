"""The first line of a file shows whether it may be JSON Lines, and mostly also what else it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.shapes.command import PLAIN
from bulk_upload.core.shapes.messages import is_message
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.conversion.tables import is_table, rows_can_be_converted
from bulk_upload.core.validation.opening.invisible import without_invisible
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from bulk_upload.core.purposes import Schema
    from bulk_upload.core.validation.json_text import Parsed

_DELIMITERS = ((b",", "commas"), (b"\t", "tabs"), (b";", "semicolons"))
_SHOWN = 40


class Suspicion(NamedTuple):
    """The type of the whole file, as its first line suggests.

    `is_sure` needs no second line; `holds_alone` holds for a file that has no second line either.
    """

    complaint: Complaint
    is_sure: bool
    holds_alone: bool


BINARY = Suspicion(
    Complaint("not-json-lines", "the file is binary data, not JSON Lines"), is_sure=False, holds_alone=True
)
"""A first line that is no JSON, in a file with zero bytes near its start."""


def suspicion(
    line: bytes, parsed: Parsed, *, name: str = "", schema: Schema | None = None
) -> Suspicion | None:
    """Return what the first line that is not blank says about the file; None when it may be JSON Lines.

    `name` is the file's, and `schema` what its rows would be converted to.
    """
    text = without_invisible(line.strip())
    if parsed.is_json:
        if _is_array_of_examples(parsed.value):
            return Suspicion(_array(), is_sure=True, holds_alone=True)
        return None
    if text == b"[":
        return Suspicion(_array(), is_sure=True, holds_alone=True)
    if text == b"{":
        return Suspicion(_pretty(), is_sure=True, holds_alone=True)
    if parsed.cut_off and text[:1] in (b"{", b"["):
        return Suspicion(_array() if text[:1] == b"[" else _pretty(), is_sure=False, holds_alone=False)
    if text[:1] == b"[":
        return Suspicion(_array(), is_sure=False, holds_alone=False)
    if text[:1] in (b"{", b"\x1e") or any(one.rule != "bad-json" for one in parsed.complaints):
        return None
    return Suspicion(_other(text, name, schema), is_sure=False, holds_alone=True)


def _is_array_of_examples(value: object) -> bool:
    """Whether a line is an array of objects or of conversations; messages make one example."""
    if not isinstance(value, list):
        return False
    if all(isinstance(one, dict) for one in value):
        return not (value and is_message(value[0]))
    return all(map(_is_conversation, value))


def _is_conversation(value: object) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and is_message(one) for one in value)
    )


def _array() -> Complaint:
    return Complaint("json-array", "the file is one JSON array, not one object on each line")


def _pretty() -> Complaint:
    return Complaint("pretty-printed", "the file is pretty-printed JSON: one object spans several lines")


def _other(text: bytes, file_name: str, schema: Schema | None) -> Complaint:
    if text[:1] == b"<":
        return Complaint(
            "not-json-lines",
            "the file is HTML or XML, not JSON Lines",
            remedy="It may be a page that says why a download failed: fetch the file again",
        )
    header = text.decode("utf-8", "replace")
    shown = quoted(header[:_SHOWN])
    for delimiter, name in _DELIMITERS:
        cells = text.split(delimiter)
        if len(cells) > 1 and (is_table(file_name) or all(len(cell.strip()) <= _SHOWN for cell in cells)):
            found = f"the file looks like CSV with {name}, not JSON Lines; it begins {shown}"
            if schema is not None and rows_can_be_converted(header, delimiter.decode(), schema):
                return Complaint(
                    "not-json-lines", found, remedy="Write its rows as JSON Lines", convert=PLAIN
                )
            return Complaint(
                "not-json-lines",
                found,
                remedy="Write each row as one JSON object on its own line; csv.DictReader and json.dumps do it",
            )
    if is_table(file_name):
        if schema is not None and rows_can_be_converted(header, ",", schema):
            found = f"the file is CSV by its name, not JSON Lines; it begins {shown}"
            return Complaint("not-json-lines", found, remedy="Write its rows as JSON Lines", convert=PLAIN)
        return Complaint(
            "not-json-lines",
            f"the file is CSV by its name, not JSON Lines; it begins {shown}",
            remedy="Write each row as one JSON object on its own line; csv.DictReader and json.dumps do it",
        )
    return Complaint(
        "not-json-lines",
        f"the file is plain text, not JSON Lines; it begins {shown}",
        remedy='Write one JSON object on each line, such as {"text": "..."}',
    )
