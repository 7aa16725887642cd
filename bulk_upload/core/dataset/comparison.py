"""Finds examples that are the same, within files, across them, and in groups that should have nothing in common.

Examples are compared by 64-bit hashes. Among a hundred million examples the chance of one false match is 1 in 3,700.
"""

from __future__ import annotations

import heapq
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

KEPT_MAX = 50
"""Places of each kind that are kept; all are counted."""

UNGROUPED = -1


class Place(NamedTuple):
    """A line of a file; files are counted from 0 in the order they were given in."""

    file_no: int
    line_no: int


class Repeat(NamedTuple):
    """An example, and the first one that it is the same as."""

    place: Place
    first: Place


class Kept:
    """The first repeats in the order of files, and how many there are in each file."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self._heap: list[tuple[int, int, Repeat]] = []

    def add(self, repeat: Repeat) -> None:
        """Count a repeat; repeats may come in any order."""
        self.counts[repeat.place.file_no] += 1
        item = (-repeat.place.file_no, -repeat.place.line_no, repeat)
        if len(self._heap) < KEPT_MAX:
            heapq.heappush(self._heap, item)
        elif item > self._heap[0]:
            heapq.heapreplace(self._heap, item)

    @property
    def count(self) -> int:
        """How many repeats there are."""
        return self.counts.total()

    def first(self) -> list[Repeat]:
        """Return the first ones, in order."""
        return [repeat for _, _, repeat in sorted(self._heap, reverse=True)]


class Overlap(msgspec.Struct):
    """What a group has in common with one before it.

    `example_count` are its examples that the other one has as a whole, `prompt_count` those more whose prompt alone is the same.
    """

    example_count: int = 0
    prompt_count: int = 0


class Comparison:
    """The examples that are the same.

    Args:
        group_of: returns the number of a file's group, `UNGROUPED` where it has none.
    """

    def __init__(self, group_of: Callable[[int], int] = lambda _: UNGROUPED) -> None:
        self._group_of = group_of
        self.within = Kept()
        self.across = Kept()
        self.overlapping = Kept()
        self.sharing_prompt = Kept()
        self.overlaps: dict[tuple[int, int], Overlap] = {}

    def add_same(self, places: Sequence[Place]) -> None:
        """Add the places, two or more, of examples that are the same."""
        by_group = self._by_group(places)
        for group in by_group.values():
            in_file: dict[int, Place] = {}
            for place in group:
                if place.file_no in in_file:
                    self.within.add(Repeat(place, in_file[place.file_no]))
                    continue
                if in_file:
                    self.across.add(Repeat(place, group[0]))
                in_file[place.file_no] = place
        for later, earlier in _pairs(by_group):
            self._overlap(earlier, later).example_count += len(by_group[later])
        self._keep_later(by_group, self.overlapping)

    def add_same_prompt(self, places: Sequence[tuple[Place, int]]) -> None:
        """Add the places of examples with the same prompt, and the hash of each as a whole."""
        whole = dict(places)
        by_group = self._by_group([place for place, _ in places])
        if len(by_group) < 2:
            return
        wholes = {group: {whole[one] for one in found} for group, found in by_group.items()}
        for later, earlier in _pairs(by_group):
            more = sum(whole[one] not in wholes[earlier] for one in by_group[later])
            self._overlap(earlier, later).prompt_count += more
        known: set[int] = set()
        alone: dict[int, list[Place]] = {}
        for group in sorted(by_group):
            if group == UNGROUPED:
                continue
            # Those that an earlier group has as a whole were found by that.
            alone[group] = [one for one in by_group[group] if whole[one] not in known]
            known |= wholes[group]
        self._keep_later(alone, self.sharing_prompt)

    def _keep_later(self, by_group: dict[int, list[Place]], kept: Kept) -> None:
        """Keep the places of all groups but the first one, each beside the first place of the first group."""
        numbers = sorted(group for group in by_group if group != UNGROUPED)
        for later in numbers[1:]:
            for place in by_group[later]:
                kept.add(Repeat(place, by_group[numbers[0]][0]))

    def _by_group(self, places: Sequence[Place]) -> dict[int, list[Place]]:
        groups: dict[int, list[Place]] = {}
        for place in sorted(places):
            groups.setdefault(self._group_of(place.file_no), []).append(place)
        return groups

    def _overlap(self, earlier: int, later: int) -> Overlap:
        return self.overlaps.setdefault((earlier, later), Overlap())


def _pairs(by_group: dict[int, list[Place]]) -> Iterable[tuple[int, int]]:
    """Yield each group, and each one before it."""
    numbers = sorted(group for group in by_group if group != UNGROUPED)
    for index, later in enumerate(numbers):
        for earlier in numbers[:index]:
            yield later, earlier
