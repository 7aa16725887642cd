"""Which of many records are kept by chance, each with the same probability, however many there will be.

Kim-Hung Li, "Reservoir-sampling algorithms of time complexity O(n(1+log(N/n)))", 1994, algorithm L: what is not kept costs
nothing.
"""

from __future__ import annotations

from math import exp, floor, log
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Reservoir:
    """Chooses among records that come one after the other.

    Args:
        size: how many are kept.
        chance: returns numbers from 0 to below 1; the same ones choose the same records.
    """

    def __init__(self, size: int, chance: Callable[[], float]) -> None:
        self._size = size
        self._chance = chance
        self._seen_count = 0
        self._weight = 1.0
        self._next = size - 1
        self._advance()

    def offer(self, count: int) -> Iterator[tuple[int, int]]:
        """Take the next `count` records; yield the index of each one to keep, and the place it takes.

        A record that had the place before is no longer kept.
        """
        first = self._seen_count
        self._seen_count += count
        for index in range(min(count, max(0, self._size - first))):
            yield index, first + index
        while self._next < self._seen_count:
            yield self._next - first, int(self._chance() * self._size)
            self._advance()

    def _advance(self) -> None:
        """Skip the records that are not kept."""
        self._weight *= exp(log(self._above_zero()) / self._size)
        # Below the smallest share that 1 - weight can show, nothing is ever kept again.
        share = log(1.0 - self._weight)
        self._next += 1 + (floor(log(self._above_zero()) / share) if share else 1 << 62)

    def _above_zero(self) -> float:
        return 1.0 - self._chance()
