"""Another content than was sent counts only if it comes twice."""

from __future__ import annotations

import pytest

from bulk_upload.core.doubt.adoption import Sameness
from bulk_upload.core.doubt.content import TWO_CONTENTS, ReadBack
from bulk_upload.engine.doubt.reading_twice import Look, look_twice

SAME = Sameness.SAME, ReadBack(hashes=("a" * 64,), read_bytes=10, total_bytes=10)
OTHER = Sameness.OTHER, ReadBack(hashes=("b" * 64,), read_bytes=10, total_bytes=10)
ANOTHER = Sameness.OTHER, ReadBack(hashes=("c" * 64,), read_bytes=10, total_bytes=10)
SHORT = Sameness.OTHER, ReadBack(read_bytes=0, total_bytes=4)
NONE = Sameness.UNREADABLE, ReadBack(read_bytes=0, reason="HTTP 404")


@pytest.mark.parametrize(
    ("answers", "sameness", "read_bytes"),
    [
        ([SAME], Sameness.SAME, 10),
        ([NONE], Sameness.UNREADABLE, 0),
        ([OTHER, OTHER], Sameness.OTHER, 20),
        ([SHORT, SHORT], Sameness.OTHER, 0),
        ([OTHER, SAME], Sameness.SAME, 20),
        ([OTHER, NONE], Sameness.UNREADABLE, 10),
        ([OTHER, ANOTHER], Sameness.UNKNOWN, 20),
        ([SHORT, OTHER], Sameness.UNKNOWN, 10),
    ],
)
async def test_what_two_looks_show(answers: list[Look], sameness: Sameness, read_bytes: int) -> None:
    """The first look decides unless it shows another content; the bytes of both count."""
    left = list(answers)

    async def look() -> Look:
        return left.pop(0)

    found, back = await look_twice(look)
    assert (found, back.read_bytes, left) == (sameness, read_bytes, [])
    assert (back.reason == TWO_CONTENTS) is (sameness is Sameness.UNKNOWN)
