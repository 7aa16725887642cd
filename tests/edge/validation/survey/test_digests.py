"""Hashes of examples: the same comparison in memory as through files."""

from __future__ import annotations

import os
import random
from array import array
from pathlib import Path

import pytest

from bulk_upload.core.dataset.comparison import Comparison, Place
from bulk_upload.core.dataset.facts import FileFacts
from bulk_upload.edge.validation.survey import digests
from bulk_upload.edge.validation.survey.digests import DigestWriter, Spool

EXAMPLES = [
    [(random.Random(file).randrange(1, 60), line % 7, line) for line in range(1, 200)] for file in range(3)
]


def compared(groups: dict[int, int]) -> Comparison:
    """Compare the examples of three files."""
    with Spool(has_groups=True) as spool:
        for number, examples in enumerate(EXAMPLES):
            writer = DigestWriter(spool.folder)
            for example in examples:
                writer.add(*example)
            content, path = writer.finish()
            spool.take(FileFacts(digests=content, digest_file=path), number)
        assert spool.example_count == sum(map(len, EXAMPLES))
        result = spool.compare(groups.__getitem__)
    assert not os.path.exists(spool.folder)
    return result


def told(result: Comparison) -> object:
    """Return all that was found."""
    kept = (result.within, result.across, result.overlapping, result.sharing_prompt)
    overlaps = {pair: (one.example_count, one.prompt_count) for pair, one in result.overlaps.items()}
    return overlaps, [(dict(one.counts), one.first()) for one in kept]


@pytest.mark.parametrize("groups", [{0: -1, 1: -1, 2: -1}, {0: 0, 1: 1, 2: 1}])
def test_files_make_no_difference(groups: dict[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """However little is held in memory."""
    in_memory = compared(groups)
    monkeypatch.setattr(digests, "_INLINE_NUMBERS", 30)
    monkeypatch.setattr(digests, "_READ_BYTES", 240)
    monkeypatch.setattr(digests, "_HELD_NUMBERS_MAX", 90)
    assert told(compared(groups)) == told(in_memory)
    assert in_memory.within.count > 100


def test_places_are_those_of_the_examples() -> None:
    """Every kept pair is of examples with the same hash."""
    whole = {(file, line): digest for file, one in enumerate(EXAMPLES) for digest, _, line in one}
    for repeat in compared({0: -1, 1: -1, 2: -1}).across.first():
        assert isinstance(repeat.place, Place)
        assert whole[repeat.place] == whole[repeat.first]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    """The error says what could not be kept, and where: the data file itself is fine."""
    writer = DigestWriter(str(tmp_path / "none"))
    writer.add(1, 1, 1)
    with pytest.raises(OSError, match=r"cannot keep the hashes of its examples in .*none"):
        writer._write()


def test_numbers_have_64_bits() -> None:
    """On every machine."""
    assert array("Q").itemsize == 8
