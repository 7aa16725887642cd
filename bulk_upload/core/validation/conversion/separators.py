"""Finds characters that JSON allows in a string and that many readers take for the end of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.validation.line_splitter import HugeLine

if TYPE_CHECKING:
    from bulk_upload.core.validation.line_splitter import Run

BYTES_SEARCHED_MAX = 4 * 1024 * 1024
"""A file that has them has them early; looking for them everywhere would double the time of a check."""

_SEPARATORS = {b"\xe2\x80\xa8": "U+2028", b"\xe2\x80\xa9": "U+2029", b"\xc2\x85": "U+0085"}
_OVERLAP = 2


class SeparatorSearch:
    """Looks through the beginning of a file. `line_no` is the first line with such a character, `found` says which."""

    def __init__(self) -> None:
        self.line_no: int | None = None
        self.found = ""
        self._tail = b""
        self._left = BYTES_SEARCHED_MAX
        self._is_near = False
        self._line_count = 0

    def look(self, piece: bytes) -> None:
        """Look through the next bytes."""
        if self._is_near or self._left <= 0:
            return
        piece = piece[: self._left]
        self._left -= len(piece)
        if not (piece.isascii() and self._tail.isascii()):
            text = self._tail + piece
            # One byte is found ten times as fast as three, and the last one is the rarest.
            self._is_near = any(mark[-1:] in text and mark in text for mark in _SEPARATORS)
        self._tail = (self._tail + piece[-_OVERLAP:])[-_OVERLAP:]

    def take(self, run: Run) -> None:
        """Count lines, and find the one where such a character was seen."""
        if isinstance(run, HugeLine):
            self._line_count += 1
            if self._is_near and self.line_no is None:
                self.line_no, self.found = self._line_count, "the line holds a separator of lines"
            return
        if self._is_near and self.line_no is None:
            for line_no, line in enumerate(run, self._line_count + 1):
                marks = [(at, name) for mark, name in _SEPARATORS.items() if (at := line.find(mark)) >= 0]
                if marks:
                    self.line_no = line_no
                    self.found = f"the line holds {min(marks)[1]}, where some readers cut it"
                    break
        self._line_count += len(run)
