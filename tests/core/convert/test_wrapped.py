"""Records in the array of one object."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.convert.framing import Framing, Unreadable, batches, framing_of
from bulk_upload.core.convert.wrapped import WRAPPERS, Unwrapped, wrapper_of

if TYPE_CHECKING:
    from collections.abc import Sequence

RECORDS: list[Any] = [
    {"instruction": "a }", "output": "b"},
    {"x": [{"y": "}]}"}]},
    {"instruction": "", "n": 1.50},
]


def cut(text: bytes, places: Sequence[int]) -> list[bytes]:
    """Return a text in pieces, cut at some places of it."""
    ends = sorted({place % (len(text) + 1) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def read(pieces: Sequence[bytes]) -> tuple[list[bytes], list[str]]:
    """Return the records of a file that is one object, and why others are none."""
    records: list[bytes] = []
    reasons = []
    for batch in batches(pieces, Framing.WRAPPED):
        if isinstance(batch, Unreadable):
            reasons.append(batch.reason)
        else:
            records += batch
    return records, reasons


@given(
    name=st.sampled_from(sorted(WRAPPERS)),
    indent=st.sampled_from([None, 0, 2]),
    end=st.sampled_from(["", "\n", " \r\n\n"]),
    places=st.lists(st.integers(min_value=16), max_size=6),
)
def test_every_record_is_found_wherever_the_pieces_end(
    name: str, indent: int | None, end: str, places: list[int]
) -> None:
    """The records are those of the array, byte for byte, however the text is cut behind its beginning."""
    text = (json.dumps({name: RECORDS}, indent=indent) + end).encode()
    begins = text.index(b"[") + 20
    records, reasons = read([text[:begins], *cut(text[begins:], places)])
    assert [json.loads(one) for one in records] == RECORDS
    assert not reasons
    assert all(one in text for one in records)


@given(place=st.integers(min_value=20, max_value=200))
def test_an_object_that_does_not_end_is_named(place: int) -> None:
    """A file that was cut off anywhere after its beginning is never taken for a whole one."""
    text = json.dumps({"data": RECORDS}).encode()
    _, reasons = read([text[: min(place, len(text) - 1)]])
    assert any("cut off" in one or "does not end" in one for one in reasons)


def test_nothing_beside_the_array_is_passed_over() -> None:
    """What follows the array in its object is no record, and is handed on with a reason or as a value to be refused."""
    records, reasons = read([b'{"data": [{"a": 1}], "version": "1.1", "more": {"b": 2}}'])
    found = b" ".join(records).decode() + " ".join(reasons)
    assert records[0] == b'{"a": 1}'
    assert '"version"' in found
    assert '{"b": 2}' in found


def test_only_one_object_with_a_key_of_exports_is_one() -> None:
    """Lines, keys of a record, arrays of texts, other keys and files without a known record stay what they are."""
    wrapped = b'{"data": [{"instruction": "a", "output": "b"}]}'
    fields = {"messages"}
    assert framing_of(wrapped, "a.json", is_whole=True, fields=fields) is Framing.WRAPPED
    assert framing_of(wrapped[:-9] + b" ", "a.json", is_whole=False, fields=fields) is Framing.WRAPPED
    others = {
        "without fields": framing_of(wrapped, "a.json", is_whole=True),
        "a field": framing_of(wrapped, "a.json", is_whole=True, fields={"data"}),
        "two lines": framing_of(wrapped + b"\n" + wrapped, "a.jsonl", is_whole=True, fields=fields),
        "more to come": framing_of(wrapped + b"\n", "a.jsonl", is_whole=False, fields=fields),
    }
    assert set(others.values()) == {Framing.LINES}, others


@pytest.mark.parametrize(
    "text",
    [
        b'{"data": ["a", "b"]}',
        b'{"conversations": [{"from": "human"}]}',
        b'{"n": 1, "data": [{}]}',
        b"[{}]",
        b"",
    ],
)
def test_what_begins_otherwise_has_no_wrapper(text: bytes) -> None:
    """Only an array of objects under a key of exports, first in its object, is one."""
    assert wrapper_of(text) is None


def test_pieces_without_an_array_stay() -> None:
    """Text that does not begin with a wrapper is handed on, but for the brace at its end."""
    assert b"".join(Unwrapped([b"[1, ", b"2]", b" }"])) == b"[1, 2] "
