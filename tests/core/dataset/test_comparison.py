"""Examples that are the same: what is found equals what comparing each with each finds, in whatever order."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.dataset.comparison import KEPT_MAX, UNGROUPED, Comparison, Kept, Place, Repeat
from bulk_upload.core.folder.groups import Groups
from bulk_upload.errors import UsageError

GROUPS = {0: 0, 1: 0, 2: 1, 3: 2, 4: UNGROUPED, 5: UNGROUPED}

# Each example: its file, what it says, what it is asked.
EXAMPLES = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 2)), max_size=30)

Numbered = list[tuple[Place, tuple[int, int], int]]


def numbered(examples: list[tuple[int, int, int]]) -> Numbered:
    """Give each example its line; what it is as a whole includes its prompt."""
    return [(Place(file, line), (said, asked), asked) for line, (file, said, asked) in enumerate(examples, 1)]


def compared(found: Numbered) -> Comparison:
    """Compare examples by their keys."""
    result = Comparison(GROUPS.__getitem__)
    for key in {whole for _, whole, _ in found}:
        places = [place for place, whole, _ in found if whole == key]
        if len(places) > 1:
            result.add_same(places)
    for asked in {asked for _, _, asked in found}:
        alike = [(place, hash(whole)) for place, whole, one in found if one == asked]
        if len(alike) > 1:
            result.add_same_prompt(alike)
    return result


@given(EXAMPLES, st.randoms())
def test_comparing_each_with_each_finds_the_same(
    examples: list[tuple[int, int, int]], random: Random
) -> None:
    """Within files, across files of a group, and between groups, wholes and prompts."""
    found = numbered(examples)
    within, across = set(), set()
    same: set[Place] = set()
    pairs: dict[tuple[int, int], tuple[set[Place], set[Place]]] = {}
    for place, whole, asked in found:
        group = GROUPS[place.file_no]
        earlier = [
            one for one, other, _ in found if other == whole and one < place and GROUPS[one.file_no] == group
        ]
        if any(one.file_no == place.file_no for one in earlier):
            within.add(place)
        elif earlier:
            across.add(place)
        for before in range(max(0, group)):
            wholes = {other for one, other, _ in found if GROUPS[one.file_no] == before}
            prompts = {other for one, _, other in found if GROUPS[one.file_no] == before}
            both = pairs.setdefault((before, group), (set(), set()))
            if whole in wholes:
                both[0].add(place)
                same.add(place)
            elif asked in prompts:
                both[1].add(place)
    prompts_only = {place for _, alone in pairs.values() for place in alone} - same
    random.shuffle(found)
    result = compared(found)
    assert {one.place for one in result.within.first()} == within
    assert {one.place for one in result.across.first()} == across
    assert {one.place for one in result.overlapping.first()} == same
    assert {one.place for one in result.sharing_prompt.first()} == prompts_only
    counts = {pair: (one.example_count, one.prompt_count) for pair, one in result.overlaps.items()}
    expected = {pair: (len(wholes), len(alone)) for pair, (wholes, alone) in pairs.items()}
    assert {pair: one for pair, one in counts.items() if any(one)} == {
        pair: one for pair, one in expected.items() if any(one)
    }


@given(st.permutations(range(2 * KEPT_MAX)))
def test_the_first_places_are_kept(order: list[int]) -> None:
    """All are counted, and those kept are the first in the order of files, whatever the order they are found in."""
    kept = Kept()
    for number in order:
        kept.add(Repeat(Place(number % 2, number), Place(0, 0)))
    places = [one.place for one in kept.first()]
    assert places == sorted(Place(number % 2, number) for number in order)[:KEPT_MAX]
    assert kept.count == 2 * KEPT_MAX
    assert [(key, len(list(group))) for key, group in groupby(one.file_no for one in places)] == [
        (0, KEPT_MAX)
    ]


def test_groups_are_named_by_patterns() -> None:
    """The first pattern that matches decides; a name may have several."""
    groups = Groups.parse(["train=train/**", "eval=*eval*", "train=*.jsonl"])
    paths = ("train/eval.jsonl", "./train/a.jsonl", "b/eval.jsonl", "c.jsonl", "/data/x.jsonl", "d.parquet")
    assert groups.names == ("train", "eval")
    assert [groups.group_of(path) for path in paths] == [0, 0, 1, 0, 0, UNGROUPED]


@pytest.mark.parametrize("texts", [["train"], ["=a"], ["train=a"], ["a=x", "b="]])
def test_a_group_needs_a_name_a_pattern_and_company(texts: list[str]) -> None:
    """One group has nothing to overlap with."""
    with pytest.raises(UsageError):
        Groups.parse(texts)
