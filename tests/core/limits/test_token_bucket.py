"""A bucket lets its rate through, no more, and nearly no less."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.token_bucket import TokenBucket

RATES = st.floats(0.01, 1e9)


def taken(bucket: TokenBucket, counts: list[float], *, idle_s: list[float], at: float = 0.0) -> list[float]:
    """Take counts one after the other, each as soon as it may after an idle time; return when each was taken."""
    times = []
    for count, idle in zip(counts, idle_s, strict=True):
        at += idle
        while (wait_s := bucket.wait_s(at, count)) > 0:
            at += wait_s
        bucket.take(at, count)
        times.append(at)
    return times


def test_it_is_full_at_first_and_paces_then() -> None:
    """Five a second with a burst of two: two at once, then one each fifth of a second."""
    times = taken(TokenBucket(5.0, 2.0), [1.0] * 6, idle_s=[0.0] * 6)
    assert times == pytest.approx([0.0, 0.0, 0.2, 0.4, 0.6, 0.8])


def test_idle_time_is_saved_up_to_the_burst_and_no_further() -> None:
    """After an hour of nothing there is one burst, not an hour's worth."""
    bucket = TokenBucket(5.0, 2.0)
    assert taken(bucket, [1.0] * 4, idle_s=[3600.0, 0, 0, 0]) == pytest.approx([3600, 3600, 3600.2, 3600.4])


def test_more_than_the_burst_leaves_a_debt() -> None:
    """Who takes more than fits waits for a full bucket, and the next one pays."""
    bucket = TokenBucket(10.0, 5.0)
    assert taken(bucket, [20.0, 5.0], idle_s=[0.0, 0.0]) == pytest.approx([0.0, 2.0])


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """Tokens flow only forward."""
    bucket = TokenBucket(1.0, 1.0)
    bucket.take(10.0)
    assert bucket.wait_s(0.0) == pytest.approx(1.0)
    assert bucket.wait_s(10.0) == pytest.approx(1.0)


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0)])
def test_it_must_let_something_through(rate: float, burst: float) -> None:
    """A bucket that would hold everything back for ever cannot be made."""
    with pytest.raises(ValueError, match="more than 0"):
        TokenBucket(rate, burst)


@given(
    rate=RATES,
    burst_s=st.floats(0.01, 10),
    steps=st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 5)), min_size=2, max_size=40),
)
def test_never_over_by_more_than_one_burst(
    rate: float, burst_s: float, steps: list[tuple[float, float]]
) -> None:
    """In any stretch of time no more than the rate allows is taken, plus one burst."""
    burst = rate * burst_s
    counts = [share * burst for share, _ in steps]
    times = taken(TokenBucket(rate, burst), counts, idle_s=[idle for _, idle in steps])
    for first in range(len(times)):
        total = 0.0
        for last in range(first, len(times)):
            total += counts[last]
            assert total <= (rate * (times[last] - times[first]) + burst) * (1 + 1e-6) + rate * 1e-5


@given(rate=RATES, shares=st.lists(st.floats(0.05, 1), min_size=30, max_size=200))
def test_who_never_idles_gets_the_whole_rate(rate: float, shares: list[float]) -> None:
    """Nothing is lost on the way, whatever the sizes: all but the first burst took exactly its time."""
    burst = rate * 0.1
    counts = [share * burst for share in shares]
    times = taken(TokenBucket(rate, burst), counts, idle_s=[0.0] * len(counts))
    assert times[-1] == pytest.approx(max(0.0, (sum(counts) - burst) / rate), abs=1e-4, rel=1e-6)


@given(
    rates=st.lists(st.floats(1, 1e6), min_size=2, max_size=6),
    counts=st.lists(st.floats(0.1, 1), min_size=5, max_size=20),
)
def test_another_rate_gives_no_second_burst(rates: list[float], counts: list[float]) -> None:
    """However often the rate is changed, no more is taken than the fastest rate and one burst allow."""
    burst = 1.0
    bucket = TokenBucket(rates[0], burst)
    at = total = 0.0
    for number, count in enumerate(counts):
        bucket = bucket.changed(at, rates[number % len(rates)], burst)
        (at,) = taken(bucket, [count], idle_s=[0.0], at=at)
        total += count
    assert total <= max(rates) * at + burst + 1e-6 * max(rates) * len(counts) + 1e-9
