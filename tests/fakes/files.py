"""Files in memory, and the reader of them that an engine is given."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from bulk_upload.core.content_hash import ContentHasher, HashFunction, hash_of
from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import LoadedFile, SourceError, SourceGrew
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from types import TracebackType

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.run.source import ContentCheck

BLOCK_BYTES = 64 * 1024
"""Smaller than the real reader's, so that a modest file has several blocks."""


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """One version of a file. `ctime_ns` also counts changes of attributes; `errno` makes opening it fail."""

    content: bytes
    mtime_ns: int
    inode: int
    ctime_ns: int
    errno: int = 0

    @property
    def fingerprint(self) -> Fingerprint:
        """What a stat would show."""
        return Fingerprint(
            size=len(self.content), mtime_ns=self.mtime_ns, inode=self.inode, ctime_ns=self.ctime_ns
        )


class MemoryFiles:
    """A tree of files by path. Every write makes a version with an inode of its own."""

    def __init__(self) -> None:
        self._files: dict[str, MemoryFile] = {}
        self._paths: dict[int, str] = {}
        self._contents: dict[int, bytes] = {}
        self._write_count = 0

    def write(self, path: str, content: bytes) -> None:
        """Put a new version of a file in place."""
        self._write_count += 1
        inode = 1000 + self._write_count
        now_ns = self._write_count * 1_000_000
        self._files[path] = MemoryFile(content, mtime_ns=now_ns, inode=inode, ctime_ns=now_ns)
        self._paths[inode] = path
        self._contents[inode] = content

    def write_size(self, path: str, size: int) -> None:
        """Put a new version of `size` bytes in place that no other version has the content of."""
        line = f"{path} {self._write_count}\n".encode()
        self.write(path, (line * (size // len(line) + 1))[:size])

    def touch(self, path: str) -> None:
        """Give a file another mtime and the same content."""
        old = self._files[path]
        self._files[path] = replace(old, mtime_ns=old.mtime_ns + 1, ctime_ns=old.ctime_ns + 1)

    def link(self, path: str) -> None:
        """Change nothing of a file but its attributes, as a new hard link or chmod does."""
        old = self._files[path]
        self._files[path] = replace(old, ctime_ns=old.ctime_ns + 1)

    def edit(self, path: str, content: bytes) -> None:
        """Put other bytes of equal size in a file and set its modification time back."""
        old = self._files[path]
        if len(content) != len(old.content):
            raise AssertionError("the size is to stay")
        self._files[path] = replace(old, content=content, ctime_ns=old.ctime_ns + 1)
        self._contents[old.inode] = content

    def remove(self, path: str) -> None:
        """Take a file away."""
        self._files.pop(path, None)

    def deny(self, path: str, number: int = errno.EACCES) -> None:
        """Make opening a file fail with an errno; 0 allows it again."""
        self._files[path] = replace(self._files[path], errno=number)

    def find(self, path: str) -> MemoryFile | None:
        """Return a file as it is now."""
        return self._files.get(path)

    def copy(self, path: str) -> None:
        """Put the same content in place with another inode and mtime, as rsync, a restore or a git clone does."""
        self.write(path, self._files[path].content)

    def content_of(self, inode: int) -> bytes:
        """Return the content of a version that existed at some time."""
        return self._contents[inode]

    def path_of(self, inode: int) -> str:
        """Return the path of a version that existed at some time."""
        return self._paths[inode]


class FakeStream:
    """A file on its way out, as `edge.files.StreamedFile` is."""

    def __init__(self, reader: FakeReader, path: str, file: MemoryFile, hashing: HashFunction | None) -> None:
        self._reader = reader
        self._path = path
        self._file = file
        self._at = 0
        self._hashing = hashing
        self._hash = ContentHasher(hashing or HashFunction.SHA256)

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened."""
        return self._file.fingerprint

    @property
    def content_hash(self) -> str | None:
        """The hash of everything read so far."""
        return None if self._hashing is None else self._hash.text

    def loaded(self) -> LoadedFile:
        """Return the whole file as it was opened."""
        content, hashing = self._file.content, self._hashing
        return LoadedFile(
            content=content,
            content_hash=None if hashing is None else hash_of(content, hashing),
            fingerprint=self.fingerprint,
        )

    async def read(self) -> bytes:
        """Return the next block; the last one only if the file is still the one that was opened."""
        await self._reader.work()
        now = self._reader.files.find(self._path)
        if now is not None and is_transient(OSError(now.errno, "")):
            raise _source_error(now.errno)
        block = self._file.content[self._at : self._at + BLOCK_BYTES]
        self._at += len(block)
        self._hash.update(block)
        if self._at == len(self._file.content):
            self._prove_unchanged()
        return block

    def _prove_unchanged(self) -> None:
        now = self._reader.files.find(self._path)
        if now is None:
            raise SourceError("the file was removed while it was sent")
        if not now.fingerprint.same_but_ctime(self._file.fingerprint) or now.content != self._file.content:
            raise SourceError("the file changed while it was sent")
        self._file = now

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.open_count -= 1


class FakeReader:
    """Reads `MemoryFiles` in the way `edge.files.FileReader` reads a disk.

    Args:
        files: what there is to read.
        read_s: how long each hop to the disk takes.
        descriptors_max: how many streams may be open at once; one more fails for want of descriptors.
        whole_bytes_max: how large a file may be that is read in the hop that opens it.
    """

    def __init__(
        self,
        files: MemoryFiles,
        *,
        read_s: float = 0.0005,
        descriptors_max: float = float("inf"),
        whole_bytes_max: int = SMALL_FILE_BYTES_MAX,
    ) -> None:
        self.files = files
        self.read_s = read_s
        self.whole_bytes_max = whole_bytes_max
        self.descriptors_max = descriptors_max
        self.hashing: HashFunction | None = HashFunction.SHA256
        """What is read to be sent is hashed with."""
        self.open_count = 0
        self.hashing_count = 0
        self.open_peak = 0
        self.loads: list[list[str]] = []
        self.opened: list[str] = []

    @property
    def sending_count(self) -> int:
        """How many files are open to be sent."""
        return self.open_count - self.hashing_count

    async def open(self, path: str, function: HashFunction | None = None) -> FakeStream:
        """Open a file to stream it. Raises SourceError."""
        await self.work()
        if self.open_count >= self.descriptors_max:
            raise _source_error(errno.EMFILE)
        file = self._find(path)
        self.open_count += 1
        self.open_peak = max(self.open_peak, self.open_count)
        self.opened.append(path)
        return FakeStream(self, path, file, function or self.hashing)

    @asynccontextmanager
    async def source(
        self, path: str, *, expected: Fingerprint | None = None
    ) -> AsyncIterator[LoadedFile | FakeStream]:
        """Hold a file ready to be sent, whole or open. Raises SourceError."""
        async with await self.open(path) as stream:
            if stream.fingerprint.size > self.whole_bytes_max:
                yield stream
                return
            loaded = stream.loaded()
        yield loaded

    async def load(
        self,
        paths: Sequence[str],
        content_checks: Sequence[ContentCheck | None] | None = None,
        *,
        expected: Sequence[Fingerprint | None] | None = None,
    ) -> list[LoadedFile | SourceError]:
        """Read small files whole; a file that cannot be read has its error in its place."""
        self.loads.append(list(paths))
        await self.work()
        return [
            self._load(path, content_check)
            for path, content_check in zip(paths, content_checks or [None] * len(paths), strict=True)
        ]

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""
        async with await self.open(path, function) as stream:
            if expected not in (None, stream.fingerprint):
                raise SourceError("the file has changed")
            self.hashing_count += 1
            try:
                while await stream.read():
                    pass
                if ranges:
                    content = stream.loaded().content
                    parts = [content[one.start : one.start + one.length] for one in ranges]
                    return hash_of(b"".join(parts), function), stream.fingerprint
                return str(stream.content_hash), stream.fingerprint
            finally:
                self.hashing_count -= 1

    def close(self) -> None:
        """Nothing to let go."""

    async def work(self) -> None:
        """Take the time of one hop to the disk."""
        await asyncio.sleep(self.read_s)

    def _load(self, path: str, content_check: ContentCheck | None) -> LoadedFile | SourceError:
        try:
            file = self._find(path)
        except SourceError as error:
            return error
        if len(file.content) > SMALL_FILE_BYTES_MAX:
            return SourceGrew(file.fingerprint)
        content_hash = None if self.hashing is None else hash_of(file.content, self.hashing)
        report = None if content_check is None else content_check(file.content)
        return LoadedFile(
            content=file.content, content_hash=content_hash, fingerprint=file.fingerprint, report=report
        )

    def _find(self, path: str) -> MemoryFile:
        file = self.files.find(path)
        if file is None:
            raise _source_error(errno.ENOENT)
        if file.errno:
            raise _source_error(file.errno)
        return file


def _source_error(number: int) -> SourceError:
    local_limit = number in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
    transient = is_transient(OSError(number, ""))
    return SourceError(
        f"cannot read the file: {os.strerror(number)}",
        local_limit=local_limit,
        transient=transient,
        inaccessible=not (local_limit or transient),
    )
