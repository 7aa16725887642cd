"""Finds characters that JSON allows in a string and that many readers take for the end of a line."""

from __future__ import annotations

BYTES_SEARCHED_MAX = 64 * 1024 * 1024
"""A file that has them has them early; looking for them everywhere would take a fifth of the time of a check."""

_SEPARATORS = {b"\xe2\x80\xa8": "U+2028", b"\xe2\x80\xa9": "U+2029", b"\xc2\x85": "U+0085"}
_OVERLAP = 2


class SeparatorSearch:
    """Looks through the beginning of a file. `line_no` is the line of the first that was found."""

    def __init__(self) -> None:
        self.line_no: int | None = None
        self.found = ""
        self._tail = b""
        self._line_no = 1
        self._left = BYTES_SEARCHED_MAX

    def look(self, piece: bytes) -> None:
        """Look through the next bytes."""
        if self.line_no is not None or self._left <= 0:
            return
        piece = piece[: self._left]
        self._left -= len(piece)
        if not (piece.isascii() and self._tail.isascii()):
            text = self._tail + piece
            found = [(at, name) for mark, name in _SEPARATORS.items() if (at := text.find(mark)) >= 0]
            if found:
                at, name = min(found)
                self.found = f"the line holds {name}, where some readers cut it"
                self.line_no = self._line_no + text.count(b"\n", 0, at) - self._tail.count(b"\n")
                return
        self._line_no += piece.count(b"\n")
        self._tail = piece[-_OVERLAP:] if len(piece) >= _OVERLAP else (self._tail + piece)[-_OVERLAP:]
