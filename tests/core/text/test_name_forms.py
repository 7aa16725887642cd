"""How alike a sent name and a stored one are."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.text.name_forms import (
    Likeness,
    likeness,
    respellings,
    same_letters,
    stored_forms,
    twin_form,
)

NAMES = st.text(min_size=1, max_size=40).map(sent_name)


@pytest.mark.parametrize(
    ("sent", "stored", "expected"),
    [
        ("f 1.jsonl", "f 1.jsonl", Likeness.SAME),
        ("f 1.jsonl", "f_1.jsonl", Likeness.RESPELT),
        ("f 1.jsonl", "F-1.JSONL", Likeness.RESPELT),
        ("f 1.jsonl", "f%201.jsonl", Likeness.RESPELT),
        ("f 1.jsonl", "uploads/7/f 1.jsonl", Likeness.RESPELT),
        ("f 1.jsonl", "up\\f+1.jsonl", Likeness.RESPELT),
        ("caf\u00e9.jsonl", "cafe\u0301.jsonl", Likeness.RESPELT),
        ("caf\u00e9.jsonl", "caf_.jsonl", Likeness.CUT),
        ("caf\u00e9.jsonl", "cafe.jsonl", Likeness.CUT),
        ("\u6570\u636e1.jsonl", "1.jsonl", Likeness.CUT),
        ("a-very-long-name-1.jsonl", "a-very-long", Likeness.CUT),
        ("data.jsonl", "1712_data.jsonl", Likeness.CUT),
        ("a.jsonl", "b.jsonl", Likeness.UNLIKE),
        ("a-1-2.jsonl", "a-12.jsonl", Likeness.CUT),
        ("a.jsonl", "9f8e7d6c-0000", Likeness.UNLIKE),
        ("a.jsonl", "", Likeness.UNLIKE),
    ],
)
def test_likeness(sent: str, stored: str, expected: Likeness) -> None:
    """Case, signs, encodings and folders respell a name; lost or added letters are less alike."""
    assert likeness(sent, stored) is expected


@pytest.mark.parametrize(
    ("sent", "stored", "kinds"),
    [
        ("f 1.jsonl", "f_1.jsonl", {"' ' as '_'"}),
        ("F 1(2).jsonl", "up/f_1-2-.jsonl", {"in a folder", "in another case", "' ' as '_'", "'(' as '-'", "').' as '-.'"}),
        ("f 1.jsonl", "f%201.jsonl", {"percent-encoded"}),
        ("caf\u00e9.jsonl", "cafe\u0301.jsonl", {"in another Unicode form"}),
        ("f.jsonl", "f.jsonl", set()),
    ],
)  # fmt: skip
def test_respellings(sent: str, stored: str, kinds: set[str]) -> None:
    """The kinds of change are told apart, so that one that was proven does not prove another."""
    assert respellings(sent, stored) == kinds


@given(NAMES)
def test_what_servers_make_of_a_name_is_never_unlike(name: str) -> None:
    """Whatever common servers do to a name, it is known again."""
    for stored in (
        name.replace(" ", "_"),
        name.upper(),
        unicodedata.normalize("NFD", name),
        quote(name),
        f"folder/{name}",
        name[: len(name) // 2 + 1],
        f"1712-{name}",
    ):
        is_known = any(one.isalnum() for one in stored) and name.isascii()
        assert likeness(name, stored) is not Likeness.UNLIKE or not is_known
    assert likeness(name, name) is Likeness.SAME


@given(NAMES, NAMES)
def test_respelt_names_are_twins(sent: str, other: str) -> None:
    """Two names that one server may store as the same are sent one at a time."""
    if likeness(sent, other) >= Likeness.RESPELT:
        assert twin_form(sent) in stored_forms(other)
    assert (respellings(sent, other) == frozenset()) or sent != other


@pytest.mark.parametrize(
    ("sent", "stored", "expected"),
    [
        ("caf\u00e9 1.jsonl", "Cafe-1.jsonl", True),
        ("\u6570\u636e1", "\u6570\u636e-1", True),
        ("\u65701", "\u636e1", False),
        ("part-1-2", "part-1-3", False),
        ("--", "..", False),
    ],
)
def test_same_letters(sent: str, stored: str, expected: bool) -> None:
    """Accents, case and signs do not matter; names without any letter have none in common."""
    assert same_letters(sent, stored) is expected


def test_names_of_the_same_letters() -> None:
    """Case, signs and accents make no other name; another letter, or none at all, does."""
    for stored in ("F_1.jsonl", "f%1.jsonl", "f1.JSONL", "f\u0301-1.jsonl"):
        assert same_letters("f 1.jsonl", stored)
    assert not same_letters("f 1.jsonl", "f 2.jsonl")
    assert not same_letters("-", "_")
