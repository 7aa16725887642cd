"""A file that is hashed as it is read, and checked at its end to be still the one that was opened."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import threading

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import SourceError


class HashedFile(io.FileIO):
    """An open file that is read once, front to back, never past the size it had when it was opened.

    Each read hashes what it returns, unless switched off; the read that reaches the end also proves that the file is
    still the one that was opened, and raises SourceError where it is not. Everything blocks: use it on a thread.
    """

    def __init__(self, descriptor: int, path: str, *, hashing: bool = True) -> None:
        super().__init__(descriptor, "rb")
        self._path = path
        self._opened_as = os.fstat(descriptor)
        self._left_bytes = self._opened_as.st_size
        self._hash = hashlib.sha256() if hashing else None
        self._in_use = threading.Lock()
        self._abandoned = False

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened."""
        return fingerprint_of(self._opened_as)

    @property
    def sha256(self) -> str | None:
        """The hash of everything read so far, in hex; None where nothing is hashed."""
        return None if self._hash is None else self._hash.hexdigest()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next block; an empty one at the end. Raises SourceError when the file changed."""
        wanted = self._left_bytes if size is None or size < 0 else min(size, self._left_bytes)
        try:
            with self._in_use:
                return self._read_block(wanted)
        finally:
            if self._abandoned:
                self.abandon()

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
            prove_unchanged(self.fileno(), self._path, self._opened_as)
        return block

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


def prove_unchanged(descriptor: int, path: str, opened_as: os.stat_result) -> None:
    """Raise SourceError unless an open file is what it was, and its name still leads to it; OSError if that cannot be seen."""
    if _identity(os.fstat(descriptor)) != _identity(opened_as):
        raise SourceError("the file changed while it was sent")
    try:
        named_now = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceError("the file was removed while it was sent", inaccessible=True) from error
    if (named_now.st_ino, named_now.st_dev) != (opened_as.st_ino, opened_as.st_dev):
        raise SourceError("the file was replaced while it was sent")


def fingerprint_of(status: os.stat_result) -> Fingerprint:
    """Return the fingerprint in a stat result."""
    return Fingerprint(size=status.st_size, mtime_ns=status.st_mtime_ns, inode=status.st_ino)


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


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    # ctime too: a writer that restores mtime cannot restore ctime.
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
