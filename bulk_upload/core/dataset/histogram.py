"""Counts of whole numbers in buckets of a fixed relative width: percentiles in constant memory, and parts that add up."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP_BITS = 6
_EXACT_BELOW = 1 << _STEP_BITS
_STEPS = _EXACT_BELOW // 2

ERROR_MAX = 1 / _STEPS
"""A percentile is never below the true one, and above it by at most this share; below 64 it is exact."""

BARS_MAX = 12


class Bar(NamedTuple):
    """How many values lie from `low` to `high`, both included."""

    low: int
    high: int
    value_count: int


def bucket_of(value: int) -> int:
    """Return the number of the bucket of a value, 0 or more: 32 buckets for each doubling."""
    shift = value.bit_length() - _STEP_BITS
    return value if shift <= 0 else (shift * _STEPS) + (value >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """Return the least and the largest value of a bucket."""
    if bucket < _EXACT_BELOW:
        return bucket, bucket
    shift = bucket // _STEPS - 1
    low = (bucket - shift * _STEPS) << shift
    return low, low + (1 << shift) - 1


class Histogram(msgspec.Struct):
    """The distribution of whole numbers, 0 or more. Its size depends on their range, not on how many there are."""

    count: int = 0
    total: int = 0
    least: int = 0
    most: int = 0
    buckets: dict[int, int] = msgspec.field(default_factory=dict)

    def add(self, value: int) -> None:
        """Count one value."""
        if not self.count or value < self.least:
            self.least = value
        self.most = max(self.most, value)
        self.count += 1
        self.total += value
        bucket = bucket_of(value)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Count the values of another one, too."""
        if other.count and (not self.count or other.least < self.least):
            self.least = other.least
        self.most = max(self.most, other.most)
        self.count += other.count
        self.total += other.total
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    @property
    def mean(self) -> float:
        """The mean, 0 without values; exact."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: int) -> int:
        """Return the least value that `percent` of all do not exceed, within `ERROR_MAX`; 0 without values."""
        wanted = -(-self.count * percent // 100)
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= max(1, wanted):
                return min(bounds_of(bucket)[1], self.most)
        return self.most

    def bars(self) -> list[Bar]:
        """Return the distribution in at most `BARS_MAX` bars: one a value where these are few, else doublings."""
        if not self.count:
            return []
        if self.most - self.least < BARS_MAX and self.most < _EXACT_BELOW:
            return [Bar(one, one, self.buckets.get(one, 0)) for one in range(self.least, self.most + 1)]
        return list(self._doublings())

    def _doublings(self) -> Iterator[Bar]:
        first, last = self.least.bit_length(), self.most.bit_length()
        width = -(-(last - first + 1) // BARS_MAX)
        counts: dict[int, int] = {}
        for bucket, count in self.buckets.items():
            group = (bounds_of(bucket)[0].bit_length() - first) // width
            counts[group] = counts.get(group, 0) + count
        for group in range((last - first) // width + 1):
            low = first + group * width
            yield Bar(1 << low >> 1, (1 << (low + width - 1)) - 1, counts.get(group, 0))
