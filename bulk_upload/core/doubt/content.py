"""Which bytes of a file are read back from the server to compare them with what was sent, and what came back."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

COMPARE_MAX_BYTES = 64 * 1024 * 1024
"""Files up to this size are compared whole by default, larger ones by ranges of as many bytes in all."""

RANGE_COUNT = 16
RANGE_BYTES_MIN = 64 * 1024
"""Smaller ranges cost as much as these: each is a request."""


class ByteRange(msgspec.Struct, frozen=True):
    """`length` bytes of a file from `start` on."""

    start: int
    length: int

    @property
    def last(self) -> int:
        """The position of its last byte."""
        return self.start + self.length - 1


class ReadBack(msgspec.Struct, frozen=True, kw_only=True):
    """What a server returned of a file's content.

    `hashes`, one for each function that was asked for, are of the whole content, or of the ranges one after another where
    `by_ranges` is set. There are none where the server returns no content, `reason` then says how it refuses, or where
    `total_bytes`, the content's length, shows that it is another. `read_bytes` were read for it.
    """

    hashes: tuple[str, ...] = ()
    read_bytes: int
    by_ranges: bool = False
    total_bytes: int | None = None
    reason: str = ""


TWO_CONTENTS = "the server returned two different contents of it"


def is_same_content(one: ReadBack, other: ReadBack) -> bool:
    """Whether two answers have the same content, as far as they show it."""
    return (one.hashes, one.by_ranges, one.total_bytes) == (other.hashes, other.by_ranges, other.total_bytes)


class ComparedBy(StrEnum):
    """How a file at the server was compared with what was sent."""

    WHOLE = "whole"
    RANGES = "ranges"
    NONE = "none"


def ranges_to_compare(file_bytes: int, *, compare_max_bytes: int, seed: str) -> tuple[ByteRange, ...]:
    """Return the ranges by which a file is compared, in order; none where it is compared whole.

    The first and the last bytes, and one range in each of equal parts between them, its place drawn from `seed`: files
    whose parts differ at regular places differ in these, too.
    """
    length = max(RANGE_BYTES_MIN, compare_max_bytes // RANGE_COUNT)
    if file_bytes <= max(compare_max_bytes, length * RANGE_COUNT):
        return ()
    inner_count = RANGE_COUNT - 2
    part_bytes = (file_bytes - 2 * length) // inner_count
    inner = tuple(
        ByteRange(length + number * part_bytes + _draw(f"{seed} {number}", part_bytes - length), length)
        for number in range(inner_count)
    )
    return (ByteRange(0, length), *inner, ByteRange(file_bytes - length, length))


def _draw(seed: str, most: int) -> int:
    """Return a number from 0 to `most`, always the same for one seed."""
    digest = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % (most + 1)
