from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.text.printable import human_bytes, human_seconds, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.jsonl", "plain name.jsonl"),
        ("naïve 日本 🦀", "naïve 日本 🦀"),
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x9b2J", r"\x9b2J"),
        ("evil\u202etxt", r"evil\u202etxt"),
        ("\u2028", r"\u2028"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_could_steer_is_spelled_out(text: str, shown: str) -> None:
    """Controls, overrides, separators and undecodable bytes become escapes; letters of any script stay."""
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_the_result_is_always_printable_and_can_be_encoded(text: str) -> None:
    """Whatever comes in, what goes out can be written to any UTF-8 terminal."""
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()


@given(st.text())
def test_printable_text_is_left_alone(text: str) -> None:
    """Showing twice is showing once."""
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (999.7, "1.0 kB"),
        (1000, "1.0 kB"),
        (1_500_000, "1.5 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (2_000_000_000, "2.0 GB"),
        (3.5e12, "3.5 TB"),
        (2e15, "2.0 PB"),
        (5e18, "5000.0 PB"),
    ],
)
def test_bytes_are_shown_in_decimal_units(count: float, shown: str) -> None:
    """The number before the unit stays under a thousand, also after rounding."""
    assert human_bytes(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (100 * 3600, "100 h 00 min"),
    ],
)
def test_durations_are_shown_in_their_two_largest_units(seconds: float, shown: str) -> None:
    """Rounding never shows sixty of a unit."""
    assert human_seconds(seconds) == shown
