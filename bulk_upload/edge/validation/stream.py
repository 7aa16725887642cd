"""Validates data that comes by a stream: read once, in pieces, never kept whole. Everything blocks."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.edge.validation.packed import MAGIC_BYTES
from bulk_upload.edge.validation.reading import READ_BYTES, check_open

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.reading import CheckTask

BEGINNING_BYTES_MAX = 256 * 1024
"""How much of a stream is looked at, before it is known what it is."""


class DataStream(io.RawIOBase):
    """An open stream, whose beginning can be looked at before it is read.

    Args:
        descriptor: stays open; its owner closes it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._ahead = b""
        self._on_bytes: Callable[[int], None] | None = None
        self.byte_count = 0

    def beginning(self, *, line_count: int) -> bytes:
        """Return the first bytes, up to so many lines; they are read again from there. Raises OSError."""
        while self._ahead.count(b"\n") < line_count and len(self._ahead) < BEGINNING_BYTES_MAX:
            piece = os.read(self._descriptor, READ_BYTES)
            if not piece:
                break
            self._ahead += piece
        return self._ahead

    def status(self) -> os.stat_result:
        """Return what the system says about it."""
        return os.fstat(self._descriptor)

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read the next bytes; 0 at the end."""
        view = memoryview(buffer)
        if self._ahead:
            count = min(len(view), len(self._ahead))
            view[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
        else:
            count = os.readv(self._descriptor, [view])
        self.byte_count += count
        if self._on_bytes is not None:
            self._on_bytes(count)
        return count

    def check(self, task: CheckTask, *, on_bytes: Callable[[int], None] | None = None) -> FileReport:
        """Check all of it as JSON Lines, packed or not, and return its report. Raises OSError."""
        head = self.beginning(line_count=1)[:MAGIC_BYTES]
        self._on_bytes = on_bytes
        report = check_open(io.BufferedReader(self, READ_BYTES), head, task)
        return replace(report, byte_count=self.byte_count)
