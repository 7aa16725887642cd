"""The lines of a member as a pack has them, and back: what was taken out or added is recorded, and undone exactly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.text_bytes import BOM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# What `bytes.strip` takes for blank, as validation does.
_BLANK = re.compile(rb"^[ \t\r\v\f]*\n", re.MULTILINE)


class BlankLines(msgspec.Struct, frozen=True, array_like=True):
    """Equal blank lines, one after the other.

    `line_no` is the first one's line in the member, from 1; `text` has its line end, if it has one.
    """

    line_no: int
    text: str
    count: int = 1


class Taken(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What distinguishes a member from its lines in the pack.

    `byte_order_mark` was taken away, and `blank_lines`; `end_added` says that its last line had no line end.
    """

    byte_order_mark: bool = False
    end_added: bool = False
    blank_lines: tuple[BlankLines, ...] = ()


class MemberLines:
    """Takes the bytes of a member in pieces, and returns its lines as the pack has them.

    Attributes:
        line_count: the lines that were returned.
        byte_count: their bytes.
    """

    def __init__(self) -> None:
        self.line_count = 0
        self.byte_count = 0
        self._rest = b""
        self._is_begun = False
        self._had_mark = False
        self._end_added = False
        self._read_count = 0
        self._blank: list[BlankLines] = []

    @property
    def taken(self) -> Taken:
        """What was taken out and added; complete after `end`."""
        return Taken(
            byte_order_mark=self._had_mark, end_added=self._end_added, blank_lines=tuple(self._blank)
        )

    def feed(self, piece: bytes) -> bytes:
        """Take the next bytes; return the lines that are complete."""
        text = self._rest + piece
        if not self._is_begun:
            if len(text) < len(BOM):
                self._rest = text
                return b""
            text = self._without_mark(text)
        cut = text.rfind(b"\n", len(self._rest) if self._is_begun else 0) + 1
        self._is_begun = True
        self._rest = text[cut:]
        return self._without_blanks(text[:cut])

    def end(self) -> bytes:
        """Return what is left after the last piece: the last line, if it had no line end."""
        text = self._rest if self._is_begun else self._without_mark(self._rest)
        self._rest = b""
        self._is_begun = True
        # In a file of fewer than three bytes nothing was returned yet.
        cut = text.rfind(b"\n") + 1
        lines = self._without_blanks(text[:cut])
        last = text[cut:]
        if last and not last.strip():
            self._leave_out(last)
        elif last:
            self._end_added = True
            lines += self._counted(last + b"\n", 1)
        return lines

    def _without_mark(self, text: bytes) -> bytes:
        self._had_mark = text.startswith(BOM)
        return text.removeprefix(BOM)

    def _without_blanks(self, lines: bytes) -> bytes:
        if _BLANK.search(lines) is None:
            return self._counted(lines, lines.count(b"\n"))
        kept: list[bytes] = []
        for line in lines.split(b"\n")[:-1]:
            if line.strip():
                kept.append(self._counted(line + b"\n", 1))
            else:
                self._leave_out(line + b"\n")
        return b"".join(kept)

    def _counted(self, lines: bytes, count: int) -> bytes:
        self._read_count += count
        self.line_count += count
        self.byte_count += len(lines)
        return lines

    def _leave_out(self, line: bytes) -> None:
        self._read_count += 1
        text = line.decode("ascii")
        last = self._blank[-1] if self._blank else None
        if last is not None and last.text == text and last.line_no + last.count == self._read_count:
            self._blank[-1] = BlankLines(last.line_no, text, last.count + 1)
        else:
            self._blank.append(BlankLines(self._read_count, text))


def restored(lines: Iterable[bytes], taken: Taken) -> Iterator[bytes]:
    """Yield the bytes of a member from its lines in the pack."""
    if taken.byte_order_mark:
        yield BOM
    blanks = [(one.line_no, one.text.encode("ascii"), one.count) for one in reversed(taken.blank_lines)]
    line_no = 1
    held = b""
    for line in lines:
        yield held
        while blanks and blanks[-1][0] == line_no:
            _, text, count = blanks.pop()
            line_no += count
            yield text * count
        held = line
        line_no += 1
    yield held.removesuffix(b"\n") if taken.end_added else held
    for _, text, count in reversed(blanks):
        yield text * count
