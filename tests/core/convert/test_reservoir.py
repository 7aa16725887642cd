"""A reservoir keeps each record with the same chance, however they come."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from bulk_upload.core.convert.reservoir import Reservoir


def kept(size: int, *counts: int, seed: int) -> list[int]:
    """Return the numbers of the records that are kept, of records that come in groups."""
    reservoir = Reservoir(size, random.Random(seed).random)
    slots: dict[int, int] = {}
    first = 0
    for count in counts:
        for index, slot in reservoir.offer(count):
            assert 0 <= index < count
            slots[slot] = first + index
        first += count
    return sorted(slots.values())


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 100])
def test_no_more_and_no_fewer_are_kept_than_there_are(count: int) -> None:
    """Each once."""
    for seed in range(20):
        found = kept(5, count, seed=seed)
        assert len(set(found)) == len(found) == min(5, count)


def test_groups_make_no_difference() -> None:
    """The same seed keeps the same records, whatever pieces a file is read in."""
    whole = kept(7, 1000, seed=3)
    assert kept(7, *[1] * 1000, seed=3) == whole
    assert kept(7, 3, 0, 500, 497, seed=3) == whole
    assert kept(7, 1000, seed=4) != whole


def test_each_record_has_the_same_chance() -> None:
    """Over 4,000 seeds each of 20 records is kept about as often as any other: 5 of 20 is a quarter."""
    counts = Counter(number for seed in range(4000) for number in kept(5, 20, seed=seed))
    assert set(counts) == set(range(20))
    # Eight standard deviations: a fixed set of seeds, so that it passes always or never.
    assert all(abs(count - 1000) < 220 for count in counts.values())
