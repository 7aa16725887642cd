"""Time at work as one axis, cut into equal bins, and amounts spread over it."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

WORK_S_MIN = 0.001
"""A job that took no time at all still needs an axis."""


class WorkAxis:
    """Seconds at work: the spans of all runs one after another, without the gaps between them.

    Args:
        spans: start and end of each run, in seconds since 1970; one that begins before its predecessor's end (a clock
            that was set back) begins at that end.
        bin_count: how many bins the axis has.
    """

    def __init__(self, spans: Sequence[tuple[float, float]], bin_count: int) -> None:
        self._starts: list[float] = []
        self._ends: list[float] = []
        self.borders_s: list[float] = []
        """Where each span begins, in seconds at work."""
        self.work_s = 0.0
        for start, end in sorted(spans):
            since = max(start, self._ends[-1]) if self._ends else start
            self._starts.append(since)
            self._ends.append(max(since, end))
            self.borders_s.append(self.work_s)
            self.work_s += max(since, end) - since
        self.work_s = max(self.work_s, WORK_S_MIN)
        self.bin_count = bin_count
        self.bin_s = self.work_s / bin_count

    def place_s(self, utc_s: float) -> float:
        """Return a moment as seconds at work; between two runs it is the end of the first."""
        number = bisect_right(self._starts, utc_s) - 1
        if number < 0:
            return 0.0
        inside = min(utc_s, self._ends[number]) - self._starts[number]
        return min(self.borders_s[number] + inside, self.work_s)

    def bin_of(self, work_s: float) -> int:
        """Return the bin that a moment lies in."""
        return min(self.bin_count - 1, max(0, int(work_s / self.bin_s)))


class Timeline:
    """Amounts over the axis. Each is spread evenly from its start to its end, whatever the number of bins between."""

    def __init__(self, axis: WorkAxis) -> None:
        self._axis = axis
        self._inside = [0.0] * axis.bin_count
        self._steps = [0.0] * (axis.bin_count + 1)

    def spread(self, start_s: float, end_s: float, amount: float) -> None:
        """Add an amount spread evenly between two moments, in seconds at work."""
        first, last = self._axis.bin_of(start_s), self._axis.bin_of(end_s)
        if last <= first or end_s <= start_s:
            self._inside[last] += amount
            return
        bin_s = self._axis.bin_s
        density = amount / (end_s - start_s)
        head = ((first + 1) * bin_s - start_s) * density
        between = (last - first - 1) * bin_s * density
        self._inside[first] += head
        self._inside[last] += amount - head - between
        # A constant over all bins between is two steps; adding it to each would be slow for a long attempt.
        self._steps[first + 1] += bin_s * density
        self._steps[last] -= bin_s * density

    def totals(self) -> list[float]:
        """Return the amount in each bin."""
        return [
            max(0.0, inside + level)
            for inside, level in zip(self._inside, accumulate(self._steps), strict=False)
        ]

    def per_second(self) -> list[float]:
        """Return the amount per second in each bin."""
        return [one / self._axis.bin_s for one in self.totals()]
