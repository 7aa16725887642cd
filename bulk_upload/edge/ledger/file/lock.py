"""One run at a time: a lock that the kernel releases when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.output import PRIVATE_MODE, require_safe
from bulk_upload.errors import LedgerLocked, LedgerUnusable

if TYPE_CHECKING:
    from bulk_upload.errors import ResourceShortage

_TRIES_MAX = 4
_TRY_EVERY_S = 0.05
"""A process that only checks for an active run holds the lock for an instant: that must not fail a run."""


class RunLock:
    """An exclusive lock on a side file of the ledger.

    The side file is never renamed or removed: a second process that locked a new file of the same name would
    believe it was alone. Its content names the holder, for the message the second process shows.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, ledger_path: str, *, private: bool = False) -> Self:
        """Take the lock without waiting; a private one is for its owner alone. Raises LedgerLocked, or LedgerUnusable
        when the side file cannot be used."""
        path = ledger_path + ".lock"
        try:
            require_safe(path)
            # O_NONBLOCK: a pipe of that name must not keep us waiting for its other end.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            # As readable as the ledger: any user who may read that must be able to see whether a run is active.
            descriptor = os.open(path, flags, PRIVATE_MODE if private else 0o666)
        except OSError as error:
            raise _unusable(path, error.strerror, shortage_in(error)) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _unusable(path, "not a regular file")
            if private:
                os.fchmod(descriptor, PRIVATE_MODE)
            _lock(descriptor, ledger_path)
            _require_exclusion(path)
        except OSError as error:
            os.close(descriptor)
            raise _unlockable(path, f"locks do not work there: {error.strerror}") from None
        except LedgerUnusable:
            os.close(descriptor)
            raise
        with suppress(OSError):
            # A full disk must not keep us from a lock we already hold; the name is only informative.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"pid {os.getpid()}\n".encode("ascii"), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def run_is_at_work(ledger_path: str) -> bool:
    """Whether some process holds a ledger's lock now; False where that cannot be determined."""
    path = os.path.realpath(ledger_path) + ".lock"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Shared: processes that only check do not mistake each other for a run.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int, ledger_path: str) -> None:
    tries = 1
    while not _try_to_lock(descriptor):
        if tries == _TRIES_MAX:
            holder = os.read(descriptor, 64).decode("ascii", "replace").strip()
            raise LedgerLocked(
                f"another run is active on {printable(ledger_path)} ({printable(holder) or 'holder unknown'})",
                hint="wait until it ends; `bulk-upload watch` shows its progress",
            )
        tries += 1
        time.sleep(_TRY_EVERY_S)


def _try_to_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _require_exclusion(path: str) -> None:
    """Raise LedgerUnusable where a second one can have the lock that we have: some file systems only pretend to
    lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _unusable(path, error.strerror, shortage_in(error)) from None
    try:
        if _try_to_lock(descriptor):
            raise _unlockable(path, "its file system gives one lock to two")
    finally:
        os.close(descriptor)


def _unlockable(path: str, why: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"cannot lock {printable(path)}: {why}",
        hint="two runs could upload everything twice: put the ledger elsewhere with --ledger-dir DIR",
    )


def _unusable(path: str, why: str | None, shortage: ResourceShortage | None = None) -> LedgerUnusable:
    return LedgerUnusable(
        f"cannot lock {printable(path)}: {why}",
        hint="choose a writable folder with --ledger FILE" if shortage is None else shortage.hint,
    )
