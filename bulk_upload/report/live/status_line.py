"""One line at the bottom of a terminal, redrawn in place."""

from __future__ import annotations

import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FREE_COLUMNS = 3
"""Columns left free at the right edge: the `^C` that a terminal echoes there would begin a new line."""


class StatusLine:
    """A line of printable ASCII that grows and shrinks in place; any thread may draw or remove it.

    It has no colours, hides no cursor, and is written over before what is left of it is erased, so that it does not
    flicker.

    Args:
        write: takes text for the terminal; must not raise.
        columns: how wide the terminal is now.
    """

    def __init__(self, write: Callable[[str], None], columns: Callable[[], int]) -> None:
        self._write = write
        self._columns = columns
        self._lock = threading.RLock()
        self._drawn_columns = 0

    @property
    def room(self) -> int:
        """How many columns a line may have now."""
        return max(1, self._columns() - FREE_COLUMNS)

    def draw(self, text: str) -> None:
        """Replace the line; what does not fit is cut off."""
        with self._lock:
            text = text[: self.room]
            self._write(f"{self._back()}{text}\x1b[K")
            self._drawn_columns = len(text)

    def erase(self) -> None:
        """Remove the line."""
        with self._lock:
            if self._drawn_columns:
                self._write(f"{self._back()}\x1b[2K")
                self._drawn_columns = 0

    @contextmanager
    def away(self) -> Iterator[None]:
        """Hide the line while something else is printed."""
        with self._lock:
            self.erase()
            yield

    def _back(self) -> str:
        # A terminal that got narrower has wrapped the line.
        rows = math.ceil(self._drawn_columns / max(1, self._columns()))
        return f"\r\x1b[{rows - 1}A\x1b[J" if rows > 1 else "\r"
