"""Reading the files that are sent: open late, hash on the way, prove at the end that nothing moved.

Reads run on a thread pool of their own, so that a slow disk starves neither the event loop nor the ledger.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, Self

from aiofiles.threadpool import wrap

from bulk_upload.core.model import Fingerprint
from bulk_upload.core.source import LoadedFile, SourceError, SourceGrew

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from types import TracebackType

SMALL_FILE_BYTES_MAX = 256 * 1024
"""Files up to this size are read in one piece, whole batches of them in one hop to the reading pool."""

BLOCK_BYTES = 1024 * 1024
"""One read of a larger file. A hop to a thread costs 130 to 240 µs; below 1 MiB it dominates."""

_LOCAL_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Opener(Protocol):
    """Opens a regular file of the job beneath its root; see `source_tree.SourceTree`."""

    def open_regular(self, relative_path: str) -> int:
        """Return a descriptor; raises OSError."""

    def absolute(self, relative_path: str) -> str:
        """Return the path to show and to stat."""


class HashedFile(io.FileIO):
    """An open file that is read once, front to back, never past the size it had when it was opened.

    Each read hashes what it returns; the read that reaches the end also proves that the file is still the one
    that was opened, and raises SourceError where it is not. Everything blocks: use it on a thread.
    """

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__(descriptor, "rb")
        self._path = path
        self._opened_as = os.fstat(descriptor)
        self._left_bytes = self._opened_as.st_size
        self._hash = hashlib.sha256()
        self._in_use = threading.Lock()
        self._abandoned = False

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened."""
        return fingerprint_of(self._opened_as)

    @property
    def sha256(self) -> str:
        """The hash of everything read so far, in hex."""
        return self._hash.hexdigest()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next block; an empty one at the end. Raises SourceError when the file moved."""
        wanted = self._left_bytes if size is None or size < 0 else min(size, self._left_bytes)
        try:
            with self._in_use:
                return self._read_block(wanted)
        finally:
            if self._abandoned:
                self.abandon()

    def abandon(self) -> None:
        """Close the file, or leave that to the read that is under way.

        A descriptor closed under a read may be another file's by the time the read reaches the system: it would
        move that file's position.
        """
        self._abandoned = True
        if self._in_use.acquire(blocking=False):
            try:
                self.close()
            finally:
                self._in_use.release()

    def _read_block(self, wanted: int) -> bytes:
        block = self._read_exactly(wanted)
        self._hash.update(block)
        self._left_bytes -= len(block)
        if self._left_bytes == 0:
            self._prove_unchanged()
        return block

    def _read_exactly(self, wanted: int) -> bytes:
        pieces = []
        missing = wanted
        while missing:
            piece = super().read(missing)
            if not piece:
                raise SourceError("the file became shorter while it was sent")
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _prove_unchanged(self) -> None:
        if _identity(os.fstat(self.fileno())) != _identity(self._opened_as):
            raise SourceError("the file changed while it was sent")
        try:
            named_now = os.stat(self._path)
        except OSError as error:
            raise SourceError("the file was removed while it was sent") from error
        if (named_now.st_ino, named_now.st_dev) != (self._opened_as.st_ino, self._opened_as.st_dev):
            raise SourceError("the file was replaced while it was sent")


class StreamedFile:
    """A file on its way out: an async view of `HashedFile` through aiofiles."""

    def __init__(self, file: HashedFile, pool: ThreadPoolExecutor) -> None:
        self._raw = file
        self._file = wrap(file, executor=pool)
        self._pool = pool

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened."""
        return self._raw.fingerprint

    @property
    def sha256(self) -> str:
        """The hash of everything read so far, in hex."""
        return self._raw.sha256

    async def read(self) -> bytes:
        """Return the next block, empty at the end. Raises SourceError."""
        try:
            block: bytes = await self._file.read(BLOCK_BYTES)
        except OSError as error:
            raise source_error(error) from error
        return block

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not awaited: a close that hangs on a dead mount must not hold the run; the pool sees it through.
        try:
            self._pool.submit(self._raw.abandon)
        except RuntimeError:  # the pool was shut down first
            self._raw.abandon()


class FileReader:
    """Opens and reads the files of one job on a thread pool of its own.

    Args:
        tree: where files are opened, and refused if they lie outside.
        thread_count: how many reads may run at once.
    """

    def __init__(self, tree: Opener, *, thread_count: int) -> None:
        self._tree = tree
        self._pool = ThreadPoolExecutor(thread_count, thread_name_prefix="bulk-upload-read")

    async def open(self, path: str) -> StreamedFile:
        """Open a file to stream it. Raises SourceError."""
        opening = self._pool.submit(self._open, path)
        try:
            return StreamedFile(await asyncio.wrap_future(opening), self._pool)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise

    async def load(self, paths: Sequence[str]) -> list[LoadedFile | SourceError]:
        """Read small files whole, in one hop; a file that cannot be read has its error in its place.

        A file that is no longer small has SourceGrew in its place: the caller streams it instead.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: [self._load(path) for path in paths])

    async def sha256(self, path: str) -> tuple[str, Fingerprint]:
        """Hash a file as it is now. Raises SourceError."""
        async with await self.open(path) as file:
            while await file.read():
                pass
            return file.sha256, file.fingerprint

    def close(self) -> None:
        """Let the threads go once what was asked of them is done; one that hangs in a read is abandoned."""
        # What is queued is not cancelled: files that nobody reads any more are still to be closed.
        self._pool.shutdown(wait=False)

    def _open(self, path: str) -> HashedFile:
        try:
            return HashedFile(self._tree.open_regular(path), self._tree.absolute(path))
        except OSError as error:
            raise source_error(error) from error

    def _load(self, path: str) -> LoadedFile | SourceError:
        try:
            with self._open(path) as file:
                if file.fingerprint.size > SMALL_FILE_BYTES_MAX:
                    return SourceGrew(file.fingerprint)
                content = file.read()
                return LoadedFile(content=content, sha256=file.sha256, fingerprint=file.fingerprint)
        except SourceError as error:
            return error
        except OSError as error:
            return source_error(error)


def _close_unwanted(opening: Future[HashedFile]) -> None:
    """Close a file that was opened after everybody had stopped waiting for it."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the fingerprint in a stat result."""
    return Fingerprint(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


def source_error(error: OSError) -> SourceError:
    """Return an OSError in the words of the person who must fix it."""
    reason = error.strerror or str(error) or type(error).__name__
    return SourceError(f"cannot read the file: {reason}", local_limit=error.errno in _LOCAL_LIMITS)


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    # ctime too: a writer that restores mtime cannot restore ctime.
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
