"""What is in an object: bytes, a file, or lines that are made while they are read."""

from __future__ import annotations

import hashlib
import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_BYTES = 256 * 1024
"""How much of a content is read at once."""

LINE_BYTES = 4096
"""The length of a made line, its end included; the last one may be shorter or up to twice as long."""

LINE_BYTES_MIN = 64


class Content(Protocol):
    """The bytes of one version of an object. They never change: a replaced object has another content."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    @property
    def digest(self) -> str:
        """32 hexadecimal digits that differ when the content differs."""
        ...

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`, at most CHUNK_BYTES at a time."""
        ...


class BytesContent:
    """Bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self._data)

    @property
    def digest(self) -> str:
        """The MD5, as S3 has it for what was put in one request."""
        return hashlib.md5(self._data, usedforsecurity=False).hexdigest()

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        for offset in range(start, end, CHUNK_BYTES):
            yield self._data[offset : min(offset + CHUNK_BYTES, end)]


class FileContent:
    """A file of the served folder, as it is at the moment: a file that was changed has another digest."""

    def __init__(self, path: str, info: os.stat_result) -> None:
        self.path = path
        self._info = info

    @property
    def size(self) -> int:
        """The file's size when it was looked up."""
        return self._info.st_size

    @property
    def digest(self) -> str:
        """Made of size, times and inode: the content of a large file is not read for it."""
        info = self._info
        name = f"{info.st_size} {info.st_mtime_ns} {info.st_ctime_ns} {info.st_ino}"
        return hashlib.md5(name.encode("ascii"), usedforsecurity=False).hexdigest()

    @property
    def modified(self) -> datetime:
        """When the file was changed last."""
        return datetime.fromtimestamp(self._info.st_mtime, tz=UTC)

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`, fewer where the file was shortened meanwhile.

        The open file is read to its end, also if another one takes its name.
        """
        with open(self.path, "rb") as file:
            file.seek(start)
            while start < end and (chunk := file.read(min(CHUNK_BYTES, end - start))):
                start += len(chunk)
                yield chunk


class MadeLines:
    """JSON Lines of any size that take no memory: `{"text": "SEED-000000000000 xxx…"}`, each line another one.

    Args:
        size: bytes, at least 64.
        seed: contents with different seeds differ in every line.

    Raises:
        ValueError: a size below 64.
    """

    def __init__(self, size: int, *, seed: str = "made") -> None:
        if size < LINE_BYTES_MIN + len(seed):
            raise ValueError(f"made lines have at least {LINE_BYTES_MIN + len(seed)} bytes, not {size}")
        self._size = size
        self._seed = seed
        self._filler = "x" * LINE_BYTES
        whole, rest = divmod(size, LINE_BYTES)
        # A rest too short for a line of its own makes the last line longer.
        self._last = whole if not whole or rest >= LINE_BYTES_MIN + len(seed) else whole - 1

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return self._size

    @property
    def digest(self) -> str:
        """Made of size and seed."""
        name = f"{self._size} {self._seed}"
        return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        per_chunk = CHUNK_BYTES // LINE_BYTES
        number = min(start // LINE_BYTES, self._last)
        while start < end:
            first = number * LINE_BYTES
            numbers = range(number, min(number + per_chunk, self._last + 1))
            lines = "".join(map(self._line, numbers)).encode()
            piece = lines[start - first : end - first]
            yield piece
            start += len(piece)
            number += len(numbers)

    def _line(self, number: int) -> str:
        head = f'{{"text": "{self._seed}-{number:012d} '
        line_bytes = LINE_BYTES if number < self._last else self._size - self._last * LINE_BYTES
        filler_bytes = line_bytes - len(head.encode()) - 3
        filler = self._filler if filler_bytes <= LINE_BYTES else self._filler * 2
        return f'{head}{filler[:filler_bytes]}"}}\n'


class Turned:
    """The same bytes in another order: as many, beginning after the first line. Of JSON Lines it makes JSON Lines.

    A content without a second line begins after its first third, and is JSON no more.
    """

    def __init__(self, inner: Content) -> None:
        self._inner = inner
        self._by = _turn_of(inner)

    @property
    def size(self) -> int:
        """As many bytes as before."""
        return self._inner.size

    @property
    def digest(self) -> str:
        """Made of that of the first content."""
        return _derived(f"turned {self._inner.digest}")

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        seam = self.size - self._by
        if start < seam:
            yield from self._inner.chunks(start + self._by, min(end, seam) + self._by)
        if end > seam:
            yield from self._inner.chunks(max(start, seam) - seam, end - seam)


class Doubled:
    """The same bytes twice: another size, and JSON Lines if they were."""

    def __init__(self, inner: Content) -> None:
        self._inner = inner

    @property
    def size(self) -> int:
        """Twice as many bytes."""
        return 2 * self._inner.size

    @property
    def digest(self) -> str:
        """Made of that of the single content."""
        return _derived(f"doubled {self._inner.digest}")

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        seam = self._inner.size
        if start < seam:
            yield from self._inner.chunks(start, min(end, seam))
        if end > seam:
            yield from self._inner.chunks(max(start, seam) - seam, end - seam)


class Retagged:
    """The same bytes under another digest, as when an object is put again in parts of another size."""

    def __init__(self, inner: Content) -> None:
        self._inner = inner

    @property
    def size(self) -> int:
        """As many bytes as before."""
        return self._inner.size

    @property
    def digest(self) -> str:
        """Made of the earlier one."""
        return _derived(f"retagged {self._inner.digest}")

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` to before `end`."""
        return self._inner.chunks(start, end)


def content_of_file(path: str) -> FileContent | None:
    """Return what a regular file holds; None if there is none."""
    try:
        info = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileContent(path, info) if stat.S_ISREG(info.st_mode) else None


def _turn_of(inner: Content) -> int:
    first = next(inner.chunks(0, min(inner.size, CHUNK_BYTES)), b"")
    line_end = first.find(b"\n") + 1
    return line_end if 0 < line_end < inner.size else inner.size // 3


def _derived(name: str) -> str:
    return hashlib.md5(name.encode("ascii"), usedforsecurity=False).hexdigest()
