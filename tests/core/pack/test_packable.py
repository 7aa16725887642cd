from __future__ import annotations

import pytest

from bulk_upload.core.model import Entry
from bulk_upload.core.pack.packable import not_packable, packed_rules
from bulk_upload.core.purposes import PURPOSES, Field, Kind, Purpose, Schema, unknown_to_us
from bulk_upload.core.validation.rules import RuleChoice
from bulk_upload.errors import UsageError


def purpose(*, unique: bool = False, same: bool = False) -> Purpose:
    own = Schema(fields=(Field(name="id", kind=Kind.STRING, unique=unique, same=same),))
    return Purpose(
        name="own", summary="", suffixes=(".jsonl",), schema=Schema(fields=(), alternatives=(own,))
    )


@pytest.mark.parametrize(
    ("path", "what", "words"),
    [
        ("a.jsonl", PURPOSES["fine-tune"], None),
        ("a.jsonl", unknown_to_us("any"), None),
        ("a", PURPOSES["pre-train"], None),
        ("a.jsonl", purpose(), None),
        ("a.jsonl", purpose(unique=True), "depends on the other lines"),
        ("a.jsonl", purpose(same=True), "depends on the other lines"),
        ("a.parquet", PURPOSES["pre-train"], "no JSON Lines file"),
        ("a.md", PURPOSES["alignment"], "no JSON Lines file"),
        ("a.jsonl", PURPOSES["alignment"], "read as wholes"),
        ("s3://bucket/a.jsonl", PURPOSES["pre-train"], "no file on this machine"),
    ],
)
def test_what_can_be_joined(path: str, what: Purpose, words: str | None) -> None:
    """Only files on this machine whose lines stand for themselves can be in a pack."""
    found = not_packable(Entry(path=path, purpose=what.name, line_no=3), what, where="m.jsonl")
    assert (None if found is None else (found.rule, found.line_no)) == (words and ("not-packable", 3))
    assert words is None or (found is not None and words in found.found)


def test_rules_of_packing() -> None:
    """What packing takes away is no fault; what leaves no lines cannot be ignored."""
    assert packed_rules(RuleChoice(ignored=frozenset({"crlf"}), is_strict=True)) == RuleChoice(
        ignored=frozenset({"crlf", "blank-line", "byte-order-mark"}), is_strict=True
    )
    with pytest.raises(UsageError, match="utf-16 cannot be ignored"):
        packed_rules(RuleChoice(ignored=frozenset({"utf-16"})))
