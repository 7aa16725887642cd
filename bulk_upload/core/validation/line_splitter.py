"""Splits pieces of a file into whole lines, with a limit on what is kept of a line that does not end."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

PIECE_BYTES = 256 * 1024
"""Input of any size is processed in pieces of about this size, which stay in the processor's cache."""

HUGE_HEAD_BYTES = 64 * 1024
"""What is kept of a line that is too long."""


class HugeLine(NamedTuple):
    """A line that was longer than the limit, and was dropped."""

    length: int
    """In bytes, without its end."""
    head: bytes = b""
    """Its first bytes, which show what it is."""


Run = list[bytes] | HugeLine
"""Lines with their ends, or one that is too long."""


class LineSplitter:
    """Collects pieces; returns runs of whole lines, and a `HugeLine` in place of each line beyond the limit.

    Every byte is copied once, to its line.
    """

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._head = b""
        self._dropped_bytes: int | None = None
        """How many bytes of a huge line were dropped so far, None while there is none."""

    def split(self, piece: bytes) -> list[Run]:
        """Add a piece of at most `PIECE_BYTES`, and return the lines that it completes."""
        lines = BytesIO(piece).readlines()
        if not lines:
            return []
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        runs: list[Run] = []
        if lines and self._is_amid_a_line:
            self._keep(lines[0][:-1])
            first = self._taken()
            if isinstance(first, HugeLine):
                runs.append(first)
                del lines[0]
            else:
                lines[0] = first
        if lines:
            runs += [lines] if len(piece) <= self._line_bytes_max else self._unless_huge(lines)
        self._keep(rest)
        return runs

    def rest(self) -> list[Run]:
        """Return the last line, where it has no line end; one is added."""
        if not self._is_amid_a_line:
            return []
        last = self._taken()
        return [last if isinstance(last, HugeLine) else [last]]

    @property
    def _is_amid_a_line(self) -> bool:
        return self._kept_bytes > 0 or self._dropped_bytes is not None

    def _unless_huge(self, lines: list[bytes]) -> list[Run]:
        """Check each line: the limit is smaller than a piece, which only a user's own schema can set."""
        longest = self._line_bytes_max + 1
        return [
            [line] if len(line) <= longest else HugeLine(len(line) - 1, line[:HUGE_HEAD_BYTES])
            for line in lines
        ]

    def _keep(self, piece: bytes) -> None:
        if self._dropped_bytes is not None:
            self._dropped_bytes += len(piece)
            return
        if not piece:
            return
        self._kept.append(piece)
        self._kept_bytes += len(piece)
        if self._kept_bytes > self._line_bytes_max:
            self._dropped_bytes = self._kept_bytes
            self._head = _start_of(self._kept)
            self._kept.clear()

    def _taken(self) -> bytes | HugeLine:
        line: bytes | HugeLine
        if self._dropped_bytes is not None:
            line = HugeLine(self._dropped_bytes, self._head)
        else:
            line = b"".join([*self._kept, b"\n"])
        self._kept.clear()
        self._kept_bytes = 0
        self._dropped_bytes = None
        return line


def _start_of(pieces: list[bytes]) -> bytes:
    start = b""
    for piece in pieces:
        start += piece[: HUGE_HEAD_BYTES - len(start)]
        if len(start) == HUGE_HEAD_BYTES:
            break
    return start
