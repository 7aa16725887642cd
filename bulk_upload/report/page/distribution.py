"""The distribution of values that span many orders of magnitude, in constant memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

BINS_PER_DECADE = 10
"""Neighbouring bounds are 26 % apart: close enough for percentiles, few enough to draw."""


class Bin(msgspec.Struct, frozen=True):
    """How many values lie from `low` (included) to `high` (not included)."""

    low: float
    high: float
    count: int


class Distribution(msgspec.Struct):
    """Counts values in bins of a logarithmic scale that starts at `least`; smaller values are in the first bin."""

    least: float
    count: int = 0
    smallest: float = math.inf
    largest: float = 0.0
    _counts: dict[int, int] = msgspec.field(default_factory=dict)

    def add(self, value: float) -> None:
        """Count one value; a negative one counts as 0."""
        value = max(0.0, value)
        place = 0 if value < self.least else 1 + int(math.log10(value / self.least) * BINS_PER_DECADE)
        self._counts[place] = self._counts.get(place, 0) + 1
        self.count += 1
        self.smallest = min(self.smallest, value)
        self.largest = max(self.largest, value)

    def percentile(self, percent: float) -> float:
        """Return the value that `percent` of all do not exceed, as precisely as the bins allow; 0 without values."""
        if not self.count:
            return 0.0
        wanted = self.count * percent / 100
        seen = 0
        for one in self.bins(1):
            if one.count and seen + one.count >= wanted:
                inside = one.low + (one.high - one.low) * (wanted - seen) / one.count
                return min(max(inside, self.smallest), self.largest)
            seen += one.count
        return self.largest

    def bins(self, joined: int = 1) -> Sequence[Bin]:
        """Return the bins from the first to the last that has a value, with `joined` neighbours merged into one."""
        if not self._counts:
            return ()
        # Bin 0 stays separate, and the others are merged at the same bounds whatever was counted.
        groups: dict[int, int] = {}
        for place, count in self._counts.items():
            group = 0 if place == 0 else 1 + (place - 1) // joined
            groups[group] = groups.get(group, 0) + count
        return [
            Bin(self._bound(group, joined), self._bound(group + 1, joined), groups.get(group, 0))
            for group in range(min(groups), max(groups) + 1)
        ]

    def _bound(self, group: int, joined: int) -> float:
        return 0.0 if group == 0 else self.least * 10 ** ((group - 1) * joined / BINS_PER_DECADE)
