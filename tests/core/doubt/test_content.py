"""Which ranges of a large file are compared."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.doubt.content import (
    COMPARE_MAX_BYTES,
    RANGE_BYTES_MIN,
    RANGE_COUNT,
    ByteRange,
    ranges_to_compare,
)

SIZES = st.integers(0, 2**45)
LIMITS = st.integers(0, 2**40)


@given(file_bytes=SIZES, limit=LIMITS, seed=st.text(max_size=8))
def test_ranges_are_apart_and_inside_and_few(file_bytes: int, limit: int, seed: str) -> None:
    """They begin with the first byte, end with the last, never overlap, and are together no more than the limit."""
    ranges = ranges_to_compare(file_bytes, compare_max_bytes=limit, seed=seed)
    if not ranges:
        assert file_bytes <= max(limit, RANGE_BYTES_MIN * RANGE_COUNT)
        return
    assert len(ranges) == RANGE_COUNT
    assert ranges[0].start == 0
    assert ranges[-1].last == file_bytes - 1
    assert all(one.last < after.start for one, after in pairwise(ranges))
    assert sum(one.length for one in ranges) <= max(limit, RANGE_BYTES_MIN * RANGE_COUNT)


def test_a_file_up_to_the_limit_is_compared_whole() -> None:
    """One byte more, and it is compared by ranges."""
    assert ranges_to_compare(COMPARE_MAX_BYTES, compare_max_bytes=COMPARE_MAX_BYTES, seed="") == ()
    assert ranges_to_compare(COMPARE_MAX_BYTES + 1, compare_max_bytes=COMPARE_MAX_BYTES, seed="") != ()


def test_the_places_follow_from_the_seed_alone() -> None:
    """The same file is compared at the same places, another one elsewhere."""
    size = 10 * COMPARE_MAX_BYTES
    first, again, other = (
        ranges_to_compare(size, compare_max_bytes=COMPARE_MAX_BYTES, seed=seed) for seed in ("a", "a", "b")
    )
    assert first == again
    assert first != other


def test_the_last_byte_of_a_range_is_part_of_it() -> None:
    """As in a `Range` header."""
    assert ByteRange(10, 5).last == 14
