"""Histograms: percentiles within the stated error, and parts that add up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.dataset.histogram import BARS_MAX, ERROR_MAX, Histogram, bounds_of, bucket_of

VALUES = st.lists(st.one_of(st.integers(0, 100), st.integers(0, 10**9)), max_size=60)


def histogram_of(values: list[int]) -> Histogram:
    """Count values one by one."""
    found = Histogram()
    for value in values:
        found.add(value)
    return found


@given(st.integers(0, 10**15))
def test_a_value_lies_in_its_bucket(value: int) -> None:
    """And a bucket is no wider than the error allows."""
    low, high = bounds_of(bucket_of(value))
    assert low <= value <= high
    assert high <= low * (1 + ERROR_MAX)
    assert bucket_of(high + 1) == bucket_of(value) + 1


@given(VALUES, VALUES)
def test_parts_add_up(first: list[int], second: list[int]) -> None:
    """Histograms of parts, merged, are that of the whole."""
    merged = histogram_of(first)
    merged.merge(histogram_of(second))
    assert merged == histogram_of(first + second)


@given(VALUES.filter(bool), st.integers(1, 100))
def test_percentiles_are_as_precise_as_stated(values: list[int], percent: int) -> None:
    """Never below the true one, above it by `ERROR_MAX` at most."""
    ordered = sorted(values)
    true = ordered[max(1, -(-len(values) * percent // 100)) - 1]
    assert true <= histogram_of(values).percentile(percent) <= true * (1 + ERROR_MAX)


@given(VALUES)
def test_bars_hold_every_value_once(values: list[int]) -> None:
    """A few bars that follow each other, from the least to the largest value."""
    bars = histogram_of(values).bars()
    assert len(bars) <= BARS_MAX
    assert sum(bar.value_count for bar in bars) == len(values)
    assert all(before.high + 1 == after.low for before, after in pairwise(bars))
    for bar in bars:
        assert bar.value_count == sum(bar.low <= value <= bar.high for value in values)


def test_nothing_was_counted() -> None:
    """Without values everything is 0."""
    empty = Histogram()
    assert (empty.mean, empty.percentile(50), empty.bars()) == (0.0, 0, [])
