"""One run at a time: a lock the kernel drops when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Self

from bulk_upload.core.display import printable
from bulk_upload.errors import LedgerLocked, LedgerUnusable


class RunLock:
    """An exclusive lock on a side file of the ledger.

    The side file is never renamed or removed: a second process that locked a new file of the same name would
    believe it was alone. Its content names the holder, for the message the second process shows.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, ledger_path: str) -> Self:
        """Take the lock at once. Raises LedgerLocked, or LedgerUnusable when the side file cannot be made."""
        path = ledger_path + ".lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise LedgerUnusable(
                f"cannot create {printable(path)}: {error.strerror}",
                hint="choose a folder you may write to with --ledger FILE",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 64).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise LedgerLocked(
                f"another run works on {printable(ledger_path)} ({printable(holder) or 'holder unknown'})",
                hint="wait until it ends; `bulk-upload status` shows how far it is",
            ) from None
        with suppress(OSError):
            # A full disk must not keep us from a lock we already hold; the name is only a courtesy.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}\n".encode("ascii"), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let the next run in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
