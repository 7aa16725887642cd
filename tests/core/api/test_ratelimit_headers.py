"""What a server says of its quota."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.ratelimit_headers import RESET_S_MAX, allowance, duration_s
from bulk_upload.core.model import RateLimitInfo

NOW_S = 784111777.0
NOW = "Sun, 06 Nov 1994 08:49:37 GMT"
LATE_NOW_S = 2_000_000_000.0

NAMES = (
    "ratelimit", "ratelimit-remaining", "ratelimit-reset", "x-ratelimit-remaining", "x-ratelimit-reset", "date",
    "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
)  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"ratelimit": '"default";r=50;t=30'}, RateLimitInfo(50, 30.0)),
        ({"ratelimit": '"minute";r=50;t=30, "hour";r=3;t=600'}, RateLimitInfo(3, 600.0)),
        ({"ratelimit": '"a";r=3;t=6, "b";r=3;t=60'}, RateLimitInfo(3, 60.0)),
        ({"ratelimit": "limit=100, remaining=3, reset=12"}, RateLimitInfo(3, 12.0)),
        ({"ratelimit-remaining": "7", "ratelimit-reset": "9"}, RateLimitInfo(7, 9.0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1.5"}, RateLimitInfo(0, 1.5)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2000000012"}, RateLimitInfo(0, 12.0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "2000000012000"}, RateLimitInfo(0, 12.0)),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1999999000"}, RateLimitInfo(0, 0.0)),
        (
            {"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "6m0s"},
            RateLimitInfo(9, 360.0),
        ),
        (
            {"ratelimit": "nonsense", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "2"},
            RateLimitInfo(1, 2.0),
        ),
    ],
)
def test_forms(headers: dict[str, str], expected: RateLimitInfo) -> None:
    """Each form in use is understood; the first that makes sense wins."""
    assert allowance(headers, now_utc_s=LATE_NOW_S) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("20ms", 0.02),
        ("1h2m3.5s", 3723.5),
        ("2m59.56s", 179.56),
        ("59m", 3540.0),
        ("1m20ms", 60.02),
        ("7", 7.0),
        ("", None),
        ("m", None),
        ("1s1m", None),
        ("-1s", None),
        ("1d", None),
        ("1 s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    """As Go writes them, which OpenAI and Groq send."""
    found = duration_s(text)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_a_moment_is_measured_against_the_answers_own_date() -> None:
    """A wrong local clock does no harm."""
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "1000000012",
        "date": "Sun, 09 Sep 2001 01:46:40 GMT",
    }
    assert allowance(headers, now_utc_s=5.0) == RateLimitInfo(0, 12.0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit": ""},
        {"ratelimit": '"default";r=50'},
        {"ratelimit": "remaining=-1, reset=12"},
        {"ratelimit": "remaining=1e9, reset=12"},
        {"ratelimit": "remaining=1, reset=nan"},
        {"ratelimit-remaining": "7"},
        {"ratelimit-remaining": "7", "ratelimit-reset": "999999"},
        {"x-ratelimit-remaining": "٣", "x-ratelimit-reset": "2"},
        {"x-ratelimit-remaining": "1", "x-ratelimit-reset": "2100000000"},
    ],
)
def test_nonsense_is_nothing(headers: dict[str, str]) -> None:
    """What is missing, no number, or further away than an hour says nothing."""
    assert allowance(headers, now_utc_s=LATE_NOW_S) is None


_WORDS = st.one_of(
    st.text(max_size=40),
    st.integers(-10, 10**20).map(str),
    st.floats().map(str),
    st.builds("remaining={}, reset={}".format, st.integers(), st.floats()),
    st.builds('"{}";r={};t={}'.format, st.text(max_size=5), st.integers(), st.integers()),
    st.just(NOW),
)


@given(st.dictionaries(st.sampled_from(NAMES), _WORDS), st.floats(0, 1e11))
def test_anything_is_finite(headers: dict[str, str], now_utc_s: float) -> None:
    """Whatever a server sends, nothing raises, and what comes out is a count and a near moment."""
    found = allowance(headers, now_utc_s=now_utc_s)
    if found is not None:
        assert found.remaining >= 0
        assert math.isfinite(found.reset_s)
        assert 0.0 <= found.reset_s <= RESET_S_MAX
