"""Pieces of a file to whole lines, with a bound on what is kept of a line that does not end."""

from __future__ import annotations

from typing import NamedTuple

PIECE_BYTES = 256 * 1024
"""Work is done in blocks of about this size, whatever the size of the pieces that come: they stay in the cache."""


class HugeLine(NamedTuple):
    """A line that was longer than the limit, and is gone."""

    length: int
    """In bytes, without its end."""


class LineSplitter:
    """Gathers pieces; gives blocks of whole lines, and a `HugeLine` in the place of each line beyond the limit."""

    def __init__(self, line_bytes_max: int) -> None:
        self._line_bytes_max = line_bytes_max
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._dropped_bytes: int | None = None
        """How much of a huge line went by already, None while there is none."""

    def split(self, piece: bytes) -> list[bytes | HugeLine]:
        """Take a piece of at most `PIECE_BYTES` in, and return what became whole with it."""
        end = piece.rfind(b"\n") + 1
        if not end:
            self._keep(piece)
            return []
        whole: list[bytes | HugeLine] = []
        start = 0
        if self._kept_bytes or self._dropped_bytes is not None:
            start = piece.find(b"\n") + 1
            self._keep(piece[: start - 1])
            whole.append(self._taken(b"\n"))
        if start < end:
            whole += self._unless_huge(piece[start:end])
        self._keep(piece[end:])
        return whole

    def rest(self) -> list[bytes | HugeLine]:
        """Return the last line, where it has no end."""
        return [self._taken(b"\n")] if self._kept_bytes or self._dropped_bytes is not None else []

    def _unless_huge(self, block: bytes) -> list[bytes | HugeLine]:
        if len(block) <= self._line_bytes_max:
            return [block]
        # The limit is smaller than a piece: only somebody's own schema says so.
        return [
            line + b"\n" if len(line) <= self._line_bytes_max else HugeLine(len(line))
            for line in block[:-1].split(b"\n")
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
            self._kept.clear()

    def _taken(self, end: bytes) -> bytes | HugeLine:
        line: bytes | HugeLine
        if self._dropped_bytes is not None:
            line = HugeLine(self._dropped_bytes)
        else:
            line = b"".join([*self._kept, end])
        self._kept.clear()
        self._kept_bytes = 0
        self._dropped_bytes = None
        return line
