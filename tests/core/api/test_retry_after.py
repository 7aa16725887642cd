"""How long a server asks us to wait."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_upload.core.api.retry_after import http_date_s, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_S = 784111777.0
NOW = "Sun, 06 Nov 1994 08:49:37 GMT"


def wait_s(text: str, **others: str) -> float | None:
    """Return the wait that a Retry-After header asks for at `NOW`."""
    headers = {"retry-after": text} | {name.replace("_", "-"): value for name, value in others.items()}
    return retry_after_s(headers, now_utc_s=NOW_S)


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put this machine's clock on the time of New York."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("0", 0.0),
        ("1", 1.0),
        (" 120 ", 120.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("0.1234567", 0.1234567),
        ("99999999999999", 99999999999999.0),
        # What a broken server says when it means "never": obeyed, so that patience ends the run.
        ("9223372036854775807", 9223372036854775807.0),
        ("18446744073709551615", 18446744073709551615.0),
    ],
)
def test_seconds(text: str, expected_s: float) -> None:
    """Any finite number of seconds is what the server asked for."""
    assert wait_s(text) == expected_s


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "-5", "+5", "1e400", "1e3", "NaN", "inf", "Infinity", "1_0", "0x10", ".5", "5.", "1,5", "5 6", "5, 7",
        "٣", "\uff11\uff12", "²", "5s", "soon", "\x00", "9" * 400, "Mon, 01 Jan 2030", "12:30", "tomorrow", "0000-00-00",
        "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 99:49:37 GMT", "Sün, 06 Nov 1994 08:49:37 GMT",
    ],
)  # fmt: skip
def test_nonsense(text: str) -> None:
    """Signs, exponents, NaN, other scripts' digits and broken dates ask for no wait at all."""
    assert wait_s(text) is None


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Sun, 06 Nov 1994 10:50:37 +0200", 60.0),
    ],
)
def test_dates(text: str, expected_s: float) -> None:
    """A date in any of HTTP's three forms is measured from now; one in the past means now."""
    assert wait_s(text) == expected_s


@pytest.mark.usefixtures("far_from_utc")
@pytest.mark.parametrize("text", [NOW, "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37 -0000"])
def test_dates_are_utc(text: str) -> None:
    """A date means the same wherever this machine is: a form without a zone is UTC too."""
    assert http_date_s(text) == NOW_S


def test_the_answers_own_date_counts() -> None:
    """A date is measured against the answer's `Date`, so a wrong local clock neither shortens nor stretches it."""
    until = "Sun, 06 Nov 1994 12:01:00 GMT"
    assert wait_s(until, date="Sun, 06 Nov 1994 12:00:00 GMT") == 60.0
    assert wait_s(until, date="garbage") == wait_s(until) == 11483.0


def test_milliseconds_win() -> None:
    """`retry-after-ms` is the more exact word where both are there, and no word where it is nonsense."""
    assert wait_s("9", retry_after_ms="1500") == 1.5
    assert wait_s("9", retry_after_ms="-1") == 9.0
    assert wait_s("9", retry_after_ms="NaN") == 9.0
    assert retry_after_s({"retry-after-ms": "250"}, now_utc_s=NOW_S) == 0.25
    assert retry_after_s({}, now_utc_s=NOW_S) is None


DATE_LIKE = st.from_regex(
    r"(Sun|Xyz|), ?[0-9]{1,3}[ -](Nov|Feb|Foo)[ -][0-9]{1,6} [0-9]{1,3}:[0-9]{1,3}(:[0-9]{1,3})? ?(GMT|[+-][0-9]{1,6}|)",
    fullmatch=True,
)
ANY_TEXT = (
    st.text(st.characters(exclude_categories=())) | DATE_LIKE | st.from_regex(r"[0-9.eE+_-]*", fullmatch=True)
)


@given(ANY_TEXT, ANY_TEXT, ANY_TEXT)
@example("Fri, 31 Dec 9999 23:59:59 -2300", "", "Mon, 01 Jan 0001 00:00:00 +2300")
@example("", "9" * 5000, "")
def test_any_text(text: str, milliseconds: str, date: str) -> None:
    """Whatever the headers say, the wait is None or a finite number that is not negative."""
    headers = {"retry-after": text, "retry-after-ms": milliseconds, "date": date}
    found_s = retry_after_s(headers, now_utc_s=NOW_S)
    assert found_s is None or (math.isfinite(found_s) and found_s >= 0)


@given(st.integers(0, 10**18))
def test_every_whole_number(seconds: int) -> None:
    """Delta-seconds of any length are obeyed in full."""
    assert wait_s(str(seconds)) == float(seconds)


LATELY_S = 1_781_775_000.0
DAY_S = 86_400


@given(
    st.integers(-DAY_S, DAY_S), st.sampled_from(["retry-after", "retry-after-ms"]), st.sampled_from([1, 1000])
)
@example(2, "retry-after", 1)
def test_a_unix_time_near_now(ahead_s: int, header: str, per_second: int) -> None:
    """A number that is a moment within a day of now is that moment, and one in the past means now."""
    text = str((int(LATELY_S) + ahead_s) * per_second)
    assert retry_after_s({header: text}, now_utc_s=LATELY_S) == max(0.0, ahead_s)


@given(st.integers(DAY_S + 1, 10**9), st.sampled_from([-1, 1]))
def test_a_unix_time_far_from_now(distance_s: int, sign: int) -> None:
    """A number that is no moment near now stays a wait in seconds, however absurd."""
    seconds = int(LATELY_S) + sign * distance_s
    assert retry_after_s({"retry-after": str(seconds)}, now_utc_s=LATELY_S) == float(seconds)


@given(st.integers(0, 10**9 - 1))
def test_small_numbers_are_never_moments(seconds: int) -> None:
    """A wait below 10^9 s is a wait, even for a clock that was never set."""
    assert retry_after_s({"retry-after": str(seconds)}, now_utc_s=float(seconds)) == float(seconds)


def test_a_unix_time_is_measured_against_the_answers_date() -> None:
    """A local clock that is a week off does no harm to a server that sends its own `Date`."""
    headers = {"retry-after": "1781775002", "date": "Thu, 18 Jun 2026 09:30:00 GMT"}
    assert retry_after_s(headers, now_utc_s=LATELY_S + 7 * DAY_S) == 2.0
