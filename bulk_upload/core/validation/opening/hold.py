"""Holds the first lines of a file that may be something else than JSON Lines, until they show it or disprove it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.validation.first_lines import Suspicion
    from bulk_upload.core.validation.json_text import Parsed

SAMPLE_LINES = 50
"""A file of another kind is judged by so many of its first lines, those that are blank aside."""

SAMPLE_BYTES = 8 * 1024 * 1024
"""Beyond so many bytes no further line is held."""

_CONTINUES = (b"]", b"}", b",")


class Verdict(Enum):
    """What the lines are: those of JSON Lines, or a part of something else."""

    LINES = auto()
    OTHER = auto()


class Hold:
    """Lines that are not judged yet.

    An object that is whole on its line is one of JSON Lines, unless the next line shows that it is within something
    larger: an array or an object that spans many lines. One example decides; of other objects it takes over half.

    Args:
        suspected: what the first of the lines says about the file.
        first_no: the number of that line, the first one that is held.
    """

    def __init__(self, suspected: Suspicion, *, first_no: int) -> None:
        self.suspected = suspected
        self.first_no = first_no
        self.lines: list[bytes] = []
        self._byte_count = 0
        self._judged_count = 0
        self._object_count = 0
        self._ends_with_object = False
        self._ends_with_example = False

    def add(self, line: bytes, parsed: Parsed | None, *, is_example: bool = False) -> Verdict | None:
        """Hold another line, None parsed for a blank one; return what the lines are once that is known."""
        self.lines.append(line)
        self._byte_count += len(line)
        if parsed is None:
            return None
        if self._ends_with_object and not line.lstrip().startswith(_CONTINUES):
            if self._ends_with_example:
                return Verdict.LINES
            self._object_count += 1
        self._judged_count += 1
        self._ends_with_object = isinstance(parsed.value, dict) and not parsed.complaints
        self._ends_with_example = self._ends_with_object and is_example
        if self._judged_count >= SAMPLE_LINES or self._byte_count >= SAMPLE_BYTES:
            return self._judged()
        return None

    def at_end(self) -> Verdict:
        """Return what the lines are, if no further one is needed or there is none."""
        if self._ends_with_example:
            return Verdict.LINES
        self._object_count += self._ends_with_object
        return self._judged()

    def _judged(self) -> Verdict:
        if self._judged_count == 1:
            return Verdict.OTHER if self.suspected.holds_alone else Verdict.LINES
        return Verdict.LINES if self._object_count * 2 > self._judged_count else Verdict.OTHER
