"""Errors of SQLite and of the system about a ledger's file, in words for the person who must fix them."""

from __future__ import annotations

import errno
import os
import sqlite3
from typing import TYPE_CHECKING

from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.output import OutputRefused
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from bulk_upload.errors import ResourceShortage

_FILES_AT_ONCE = 6
"""SQLite opens at most a database, its log, the log's index, a journal and two folders."""

_BUGS = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)
_NO_NEW_ONE = "a new ledger would not know what was uploaded"
_PERMISSION = "this needs write permission for the ledger and its folder"
_HINTS = {
    "full": "free some space on the ledger's disk and run again; nothing that was recorded is lost",
    "disk I/O error": f"check the ledger's disk, then run again; {_NO_NEW_ONE}",
    "not a database": "this file is not a ledger; choose another with --ledger FILE",
    "malformed": f"the file is damaged: keep it, and restore a complete copy; {_NO_NEW_ONE}",
    "locked": "another program has the database open for writing: close it and run again",
    "locking protocol": "locks do not work on this file system: choose another place with --ledger-dir DIR",
    "readonly": "this needs write permission for the ledger and its folder, or a copy of all its files elsewhere",
    "unable to open": f"{_PERMISSION}; {_NO_NEW_ONE}",
}


def unusable(path: str, error: sqlite3.Error) -> LedgerUnusable:
    """Return SQLite's error about a ledger as LedgerUnusable, with a remedy."""
    words = str(error)
    if (shortage := shortage_behind(error)) is not None:
        return LedgerUnusable(f"cannot use the ledger {printable(path)}: {shortage}", hint=shortage.hint)
    if isinstance(error, _BUGS):
        hint = "this is a bug in bulk-upload: please report it; nothing that was recorded is lost"
    else:
        hint = next(
            (hint for sign, hint in _HINTS.items() if sign in words), "choose another with --ledger FILE"
        )
    return LedgerUnusable(f"cannot use the ledger {printable(path)}: {words}", hint=hint)


def unusable_file(path: str, error: OSError) -> LedgerUnusable:
    """Return the system's error about the file of a ledger as LedgerUnusable, with a remedy."""
    if isinstance(error, OutputRefused):
        hint = "choose a folder that only you may write to with --ledger FILE"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = _HINTS["full"]
    elif error.errno == errno.EIO:
        hint = _HINTS["disk I/O error"]
    else:
        hint = f"{_PERMISSION}, or another place with --ledger FILE"
    return LedgerUnusable(f"cannot use the ledger {printable(path)}: {error.strerror}", hint=hint)


def shortage_behind(error: sqlite3.Error) -> ResourceShortage | None:
    """Return the shortage of descriptors that may have kept SQLite from opening a file: SQLite does not report the
    reason."""
    if "unable to open" not in str(error):
        return None
    descriptors: list[int] = []
    try:
        for _ in range(_FILES_AT_ONCE):
            descriptors.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))  # noqa: PERF401 - closed if one fails
    except OSError as short:
        return shortage_in(short)
    finally:
        for one in descriptors:
            os.close(one)
    return None
