"""What makes two manifest lines the same entry."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.model import Entry

ENTRY = Entry(path="a/b.jsonl", purpose="fine-tune", vector_database_id="db", fields=(("k", "v"),), line_no=3)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    "other",
    [
        replace(ENTRY, path="a/c.jsonl"),
        replace(ENTRY, purpose="pre-train"),
        replace(ENTRY, vector_database_id=None),
        replace(ENTRY, vector_database_id=""),
        replace(ENTRY, fields=()),
        replace(ENTRY, fields=(("k", "w"),)),
        replace(ENTRY, path="a/b.json", purpose="lfine-tune"),
    ],
)
def test_other_entries(other: Entry) -> None:
    """Path, purpose, vector database and fields each make another entry."""
    assert other.key != ENTRY.key


def test_same_entry() -> None:
    """Where a line stands and what the file is to be called make no other entry."""
    assert replace(ENTRY, line_no=9, remote_name="x").key == ENTRY.key
    assert len(ENTRY.key) == 16


def test_key_is_stable() -> None:
    """Keys are kept in ledgers, so their making never changes."""
    assert Entry(path="caf\udce9", purpose="pre-train").key.hex() == "43f264bdb6f4efd3f5ab7db88300b3d5"
    assert ENTRY.key.hex() == "f889f487948f0e2dd7cbde6e32847a12"


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT)
def test_any_text(path: str, purpose: str, other_path: str, other_purpose: str) -> None:
    """Keys are made of any text, undecodable bytes included, and differ where entries do."""
    one, other = Entry(path=path, purpose=purpose), Entry(path=other_path, purpose=other_purpose)
    assert (one.key == other.key) is ((path, purpose) == (other_path, other_purpose))


@given(path=ANY_TEXT, purpose=ANY_TEXT)
def test_key_of_a_plain_entry(path: str, purpose: str) -> None:
    """An entry without database and fields has the key of the same JSON that all others have theirs of."""
    identity = json.dumps([path, purpose, None, []]).encode("ascii")
    expected = hashlib.blake2b(identity, digest_size=16).digest()
    assert Entry(path=path, purpose=purpose).key == expected
