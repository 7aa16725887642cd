"""A file that is hashed as it is read, and checked at its end to be still the one that was opened."""

from __future__ import annotations

import errno
import io
import os
import threading
import time
from typing import TYPE_CHECKING

from bulk_upload.core.content_hash import ContentHasher, HashFunction
from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

READ_AGAIN_BYTES = 1024 * 1024
READ_AGAIN_MAX = 3
"""A file whose attributes change each time it is read again is left for later."""

PASSING_S = 0.05
"""How long a thread passes blocks on before the event loop looks at the body again: at its progress, and at a bandwidth cap
that was set meanwhile."""


class HashedFile(io.FileIO):
    """An open file that is read once, front to back, never past the size it had when it was opened.

    Each read hashes what it returns, unless switched off; the read that reaches the end also proves that the file is
    still the one that was opened, and raises SourceError where it is not. A change of its attributes, such as a new
    hard link, takes another read of the whole file to prove that. Everything blocks: use it on a thread.
    """

    def __init__(
        self,
        descriptor: int,
        path: str,
        *,
        hashing: HashFunction | None = HashFunction.SHA256,
        ignore_ctime: bool = False,
    ) -> None:
        super().__init__(descriptor, "rb")
        self._path = path
        self._ignore_ctime = ignore_ctime
        self._opened_as = os.fstat(descriptor)
        self._left_bytes = self._opened_as.st_size
        self._hash = None if hashing is None else ContentHasher(hashing)
        self._in_use = threading.Lock()
        self._abandoned = False

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened; once it was read, of the latest version with this content."""
        return fingerprint_of(self._opened_as, ignore_ctime=self._ignore_ctime)

    @property
    def left_bytes(self) -> int:
        """How much there is still to read."""
        return self._left_bytes

    @property
    def content_hash(self) -> str | None:
        """The hash of everything read so far; None where nothing is hashed."""
        return None if self._hash is None else self._hash.text

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next block; an empty one at the end. Raises SourceError when the file changed."""
        wanted = self._left_bytes if size is None or size < 0 else min(size, self._left_bytes)
        try:
            with self._in_use:
                return self._read_block(wanted)
        finally:
            if self._abandoned:
                self.abandon()

    def pass_on(self, block_bytes: int, send: Callable[[bytes], int]) -> bytes:
        """Read blocks and give each to `send`, which returns how much it took; return the rest of one it took in part.

        The last block is left to `read`: nothing of it may be sent before the file has proved to be unchanged.
        """
        ends_at = time.monotonic() + PASSING_S
        while self._left_bytes > block_bytes and time.monotonic() < ends_at:
            block = self.read(block_bytes)
            count = send(block)
            if count < len(block):
                return block[count:]
        return b""

    def abandon(self) -> None:
        """Close the file, or leave that to the read in progress.

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
        if self._hash is not None:
            self._hash.update(block)
        self._left_bytes -= len(block)
        if self._left_bytes == 0:
            self._opened_as = prove_unchanged(
                self.fileno(),
                self._path,
                self._opened_as,
                has_same_content=None if self._ignore_ctime else self._reads_the_same,
            )
        return block

    def _reads_the_same(self) -> bool:
        """Whether the whole file, read once more, has the content that was read before."""
        if self._hash is None:
            raise SourceError(
                "the file's attributes changed while it was sent, and without hashes its content cannot be compared",
                transient=True,
            )
        again = ContentHasher(self._hash.function)
        at, end = 0, self._opened_as.st_size
        while at < end and not self._abandoned:
            block = os.pread(self.fileno(), min(READ_AGAIN_BYTES, end - at), at)
            if not block:
                return False
            again.update(block)
            at += len(block)
        return again.text == self._hash.text

    def _read_exactly(self, wanted: int) -> bytes:
        pieces = []
        missing = wanted
        while missing:
            piece = super().read(missing)
            if piece is None:
                # What Python makes of EAGAIN, which is no end of the file.
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            if not piece:
                raise SourceError("the file became shorter while it was sent")
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def prove_unchanged(
    descriptor: int,
    path: str,
    opened_as: os.stat_result,
    *,
    has_same_content: Callable[[], bool] | None,
) -> os.stat_result:
    """Raise SourceError unless an open file is what it was, and its name still leads to it; OSError if that cannot be seen.

    A change time that is another one has a reason. Where the attributes show it, such as a new hard link,
    `has_same_content` reads the file again, to be sure. Where they do not, a writer may have set the modification time
    back: the error is transient, since another attempt may find the file at rest. None ignores change times.

    Returns the status of the latest version that was proven to have the content.
    """
    proven = opened_as
    for _ in range(1 + READ_AGAIN_MAX):
        now = os.fstat(descriptor)
        if _identity(now) != _identity(proven):
            raise SourceError("the file changed while it was sent")
        _require_name(path, opened_as)
        if has_same_content is None or now.st_ctime_ns == proven.st_ctime_ns:
            break
        if _attributes(now) == _attributes(proven):
            raise SourceError(
                "the file may have changed while it was sent: its change time is another one", transient=True
            )
        if not has_same_content():
            raise SourceError("the file changed while it was sent")
        proven = now
    else:
        raise SourceError("the file's attributes keep changing while it is sent", transient=True)
    return proven


def _require_name(path: str, opened_as: os.stat_result) -> None:
    """Raise SourceError unless a name still leads to the file that was opened."""
    try:
        named_now = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError("the file was removed while it was sent", inaccessible=True) from error
    if (named_now.st_ino, named_now.st_dev) != (opened_as.st_ino, opened_as.st_dev):
        raise SourceError("the file was replaced while it was sent")


def fingerprint_of(status: os.stat_result, *, ignore_ctime: bool = False) -> Fingerprint:
    """Return the fingerprint in a stat result."""
    return Fingerprint(
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        ctime_ns=None if ignore_ctime else status.st_ctime_ns,
    )


def source_error(error: OSError) -> SourceError:
    """Return an OSError as a SourceError, worded for the person who must fix it."""
    reason = error.strerror or str(error) or type(error).__name__
    local_limit, transient = shortage_in(error) is not None, is_transient(error)
    return SourceError(
        f"cannot read the file: {reason}",
        local_limit=local_limit,
        transient=transient,
        inaccessible=not (local_limit or transient),
    )


def _attributes(status: os.stat_result) -> tuple[int, int, int, int]:
    return (status.st_mode, status.st_nlink, status.st_uid, status.st_gid)


def _identity(status: os.stat_result) -> tuple[int, int, int]:
    return (status.st_size, status.st_mtime_ns, status.st_ino)
