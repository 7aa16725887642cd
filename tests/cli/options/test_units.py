"""Words, durations, counts and shares, as they are typed."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.cli.options.job import retry_of
from bulk_upload.cli.options.units import COUNT_OR_SHARE, DURATION, POSITIVE_DURATION, WORD
from bulk_upload.core.model import EntryState
from bulk_upload.errors import UsageError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
AMOUNTS = st.integers(0, 999_999_999) | st.decimals(0, 99_999, places=3)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30), ("15m", 900), ("2h", 7200), ("1.5d", 129_600), ("250ms", 0.25), ("45", 45), ("0.5", 0.5),
        ("1h30m", 5400), ("2m 30s".replace(" ", ""), 150), (" 10s ", 10), ("1min", 60), ("90sec", 90), ("2hours", 7200), ("1day", 86_400), ("1h30min", 5400), ("0", 0), ("0s", 0),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number with a unit, several of them in a row, or bare seconds."""
    assert DURATION.convert(text, None, None) == seconds


@given(parts=st.lists(st.tuples(AMOUNTS, st.sampled_from(sorted(UNITS))), min_size=1, max_size=4))
def test_every_duration_is_the_sum_of_its_parts(parts: list[tuple[object, str]]) -> None:
    """Whatever parts a duration is written in, its seconds are their sum."""
    text = "".join(f"{amount}{unit}" for amount, unit in parts)
    expected = sum(float(str(amount)) * UNITS[unit] for amount, unit in parts)
    assert DURATION.convert(text, None, None) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    ["", " ", "s", "5x", "-5s", "+5s", "1e3", "1e3s", "inf", "nan", "5 s", "1,5h", "5sm", "٣s", "5S", "9" * 400, "1h-5m"],
)  # fmt: skip
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused with examples: never a guess, never an endless or negative time."""
    with pytest.raises(click.BadParameter, match="write 30s, 15m or 2h"):
        DURATION.convert(text, None, None)


@given(text=st.text(max_size=20))
def test_any_text_is_a_finite_duration_or_a_complaint(text: str) -> None:
    """No text leads to anything but finite seconds from 0 up, or the documented complaint."""
    try:
        seconds = DURATION.convert(text, None, None)
    except click.BadParameter:
        return
    assert 0 <= seconds < float("inf")


def test_some_durations_must_not_be_zero() -> None:
    """A duration of 0 is refused where it would make every request fail."""
    assert POSITIVE_DURATION.convert("1ms", None, None) == 0.001
    with pytest.raises(click.BadParameter, match="not above 0"):
        POSITIVE_DURATION.convert("0ms", None, None)


@given(count=st.integers(0, 999_999_999))
def test_counts(count: int) -> None:
    """A bare whole number is a count, and no share."""
    assert COUNT_OR_SHARE.convert(str(count), None, None) == (count, None)


@given(percent=st.integers(0, 100) | st.decimals(0, 100, places=2))
def test_shares(percent: object) -> None:
    """A number with a percent sign is a share from 0 to 1, and no count."""
    count, share = COUNT_OR_SHARE.convert(f"{percent}%", None, None)
    assert count is None
    assert share == pytest.approx(float(str(percent)) / 100)


@pytest.mark.parametrize("text", ["", "%", "-1", "1.5", "5%%", "101%", "1e2", "five", "²%", "1 000"])
def test_what_is_neither_count_nor_share(text: str) -> None:
    """Anything else is refused, among it half an entry and more than all of them."""
    with pytest.raises(click.BadParameter):
        COUNT_OR_SHARE.convert(text, None, None)


@given(text=st.text(max_size=10))
def test_any_text_is_a_count_a_share_or_a_complaint(text: str) -> None:
    """No text leads to anything but exactly one of a count and a share, or a complaint."""
    try:
        count, share = COUNT_OR_SHARE.convert(text, None, None)
    except click.BadParameter:
        return
    assert (count is None) != (share is None)


def test_a_word_is_not_empty() -> None:
    """An option with an empty value is a shell variable that was never set: refused, not taken for the default."""
    assert WORD.convert(" x ", None, None) == " x "
    for nothing in ("", "  "):
        with pytest.raises(click.BadParameter, match="variable"):
            WORD.convert(nothing, None, None)


def test_retry_words() -> None:
    """`--retry` takes its words between commas, and `failed_local` as the exports spell it."""
    every = {EntryState.REJECTED, EntryState.FAILED_LOCAL, EntryState.INVALID}
    assert retry_of("rejected, failed,invalid,") == every
    assert retry_of("failed_local") == retry_of("failed") == {EntryState.FAILED_LOCAL}
    assert retry_of("") == frozenset()
    with pytest.raises(UsageError, match="accepted"):
        retry_of("rejected,accepted")
