"""Opening a ledger file: only ours, only a version we know, durable before anything else."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING
from urllib.parse import quote

from bulk_upload.core.display import printable
from bulk_upload.core.file_systems import Journal
from bulk_upload.core.shortage import shortage_in
from bulk_upload.edge.ledger.lock import run_is_at_work
from bulk_upload.edge.ledger.place import journal_at
from bulk_upload.edge.ledger.schema import APPLICATION_ID, CREATE, MIGRATIONS, SCHEMA_VERSION
from bulk_upload.errors import LedgerNewer, LedgerUnusable

if TYPE_CHECKING:
    from bulk_upload.errors import ResourceShortage

BUSY_S = 10.0
"""How long to wait for another program that holds the database, before it counts as unusable."""

ROLLBACK_BUSY_S = 60.0
"""The same for a writer with a rollback journal, whom every reader keeps waiting while it reads."""

_FILES_AT_ONCE = 6
"""SQLite has a database, its log, the log's index, a journal and two folders open at most."""

_BUGS = (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.NotSupportedError)
_NO_NEW_ONE = "a new ledger would not know what was uploaded"
_HINTS = {
    "full": "free some space on the ledger's disk and run again; nothing that was recorded is lost",
    "disk I/O error": f"look after the ledger's disk, then run again; {_NO_NEW_ONE}",
    "not a database": "this file is not a ledger; choose another with --ledger FILE",
    "malformed": f"the file is damaged: keep it, and put back a whole copy of it; {_NO_NEW_ONE}",
    "locked": "another program has the database open for writing: close it and run again",
    "locking protocol": "locks do not work on this file system: choose another place with --ledger-dir DIR",
    "readonly": "this needs write permission for the ledger and its folder, or a copy of all its files elsewhere",
    "unable to open": f"this needs write permission for the ledger and its folder; {_NO_NEW_ONE}",
}


def require_ledger(path: str, *, may_be_new: bool) -> None:
    """Raise LedgerUnusable or LedgerNewer unless there is a ledger at `path`, or room for one if it may be new.

    Leaves the file as it is, and makes no new ones beside it unless a log lies there.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        status = None
    except OSError as error:
        raise LedgerUnusable(
            f"cannot use the ledger {printable(path)}: {error.strerror}",
            hint="choose another with --ledger FILE",
        ) from None
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise LedgerUnusable(
            f"{printable(path)} is a folder or another thing that cannot be a ledger",
            hint="choose a file with --ledger FILE",
        )
    if status is None or status.st_size == 0:
        if _has_log(path):
            raise LedgerUnusable(
                f"{printable(path)}-wal holds what a run recorded last, but its ledger is gone",
                hint=f"put {printable(path)} back beside it; to start anew without it, remove the -wal file",
            )
        _require_may_be_new(path, may_be_new=may_be_new)
        return
    try:
        with closing(_connect_uri(_unchanging_uri(path))) as connection:
            _require_ours(connection, path, may_be_new=may_be_new)
    except sqlite3.Error as error:
        raise unusable(path, error) from None


def open_for_writing(path: str, journal: Journal | None = None) -> sqlite3.Connection:
    """Open a ledger, creating or migrating it. Raises LedgerUnusable, LedgerNewer.

    The caller holds the run lock. `journal` is by default what fits the file system.
    """
    require_ledger(path, may_be_new=True)
    try:
        connection = sqlite3.connect(
            os.path.abspath(path), isolation_level=None, check_same_thread=False, timeout=BUSY_S
        )
        try:
            _make_durable(connection, journal or journal_at(path))
            _create_or_migrate(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return connection


def open_for_reading(path: str) -> sqlite3.Connection:
    """Open an existing ledger as it is at the first look, also while a run writes. Raises LedgerUnusable."""
    require_ledger(path, may_be_new=False)
    try:
        connection = _connect_uri(reading_uri(path))
        try:
            if run_is_at_work(path) and journal_mode(connection) is not Journal.WAL:
                # A run could not commit while we read.
                connection = _copied(connection)
            connection.execute("PRAGMA query_only = ON")
            # One transaction from the first look on: all that is read belongs to one moment.
            connection.execute("BEGIN")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return connection


def reading_uri(path: str) -> str:
    """Return the URI under which SQLite reads a ledger, leaves its bytes alone and no new files behind."""
    if _has_log(path):
        return _uri(path, "mode=ro")
    # Nobody writes it now. With `ro` SQLite could not take away the two side files it makes for reading.
    here = (path, os.path.dirname(os.path.abspath(path)))
    if all(os.access(one, os.W_OK, effective_ids=True) for one in here):
        return _uri(path, "mode=rw")
    # With a rollback journal somebody may write it now, and reading takes a lock but no side files.
    return _uri(path, "mode=ro") if journal_at(path) is Journal.ROLLBACK else _unchanging_uri(path)


def unusable(path: str, error: sqlite3.Error) -> LedgerUnusable:
    """Return SQLite's complaint about a ledger with what to do about it."""
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


def shortage_behind(error: sqlite3.Error) -> ResourceShortage | None:
    """Return the shortage of descriptors that may have kept SQLite from opening a file: it does not say why it could not."""
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


def _require_may_be_new(path: str, *, may_be_new: bool) -> None:
    if not may_be_new:
        raise LedgerUnusable(
            f"there is no ledger at {printable(path)}",
            hint="`bulk-upload run` makes one beside its manifest: <manifest stem>.ledger.db",
        )


def _require_ours(connection: sqlite3.Connection, path: str, *, may_be_new: bool) -> None:
    application_id = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    if application_id == version == _pragma(connection, "schema_version") == 0:
        # What a run leaves that dies while it makes its ledger.
        _require_may_be_new(path, may_be_new=may_be_new)
        return
    if application_id != APPLICATION_ID or version < 1:
        raise LedgerUnusable(
            f"{printable(path)} is a database of another program",
            hint="choose another file with --ledger FILE",
        )
    if version > SCHEMA_VERSION:
        raise LedgerNewer(
            f"the ledger {printable(path)} has schema version {version}; this bulk-upload knows up to {SCHEMA_VERSION}",
            hint="upgrade bulk-upload; the ledger was left untouched",
        )
    if version < SCHEMA_VERSION and not may_be_new:
        raise LedgerUnusable(
            f"the ledger {printable(path)} has the older schema version {version}",
            hint="run its job again: that brings the ledger up to date and keeps a backup",
        )


def journal_mode(connection: sqlite3.Connection) -> Journal | None:
    """Return how a ledger is journaled, None for a mode that is not one of ours."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    # Where nobody has set a mode, a ledger that is not in WAL has SQLite's own default.
    return {"wal": Journal.WAL, "truncate": Journal.ROLLBACK, "delete": Journal.ROLLBACK}.get(mode)


def _make_durable(connection: sqlite3.Connection, journal: Journal) -> None:
    if journal is Journal.ROLLBACK or _set_journal(connection, Journal.WAL) != Journal.WAL:
        # So that a log which the ledger may still have is read without shared memory (https://sqlite.org/wal.html).
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _set_journal(connection, Journal.ROLLBACK)
        connection.execute("PRAGMA locking_mode = NORMAL")
        # The lock is let go with the next look at the file.
        _pragma(connection, "user_version")
        connection.execute(f"PRAGMA busy_timeout = {ROLLBACK_BUSY_S * 1000:.0f}")
    # FULL: a commit survives a power cut. An intent that is lost then would be a silent duplicate later. With a rollback
    # journal FULL also syncs its truncation, which is the commit.
    connection.execute("PRAGMA synchronous = FULL")
    # macOS: fsync alone does not reach the platters there; elsewhere these do nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")


def _set_journal(connection: sqlite3.Connection, journal: Journal) -> str:
    (mode,) = connection.execute(f"PRAGMA journal_mode = {journal.value}").fetchone()
    return str(mode)


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a ledger in a temporary file of its own, and let go of the ledger."""
    copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        connection.backup(copy)
    except BaseException:
        copy.close()
        raise
    finally:
        connection.close()
    return copy


def _create_or_migrate(connection: sqlite3.Connection, path: str) -> None:
    version = _pragma(connection, "user_version")
    if version == SCHEMA_VERSION:
        return
    if version == 0:
        _run_script(connection, CREATE, SCHEMA_VERSION)
        return
    _back_up(connection, f"{path}.v{version}.backup")
    while version < SCHEMA_VERSION:
        _run_script(connection, MIGRATIONS[version], version + 1)
        version += 1


def _run_script(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script as one transaction: a crash, or an error in the midst of it, leaves what was before."""
    connection.executescript(
        f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
    )


def _back_up(connection: sqlite3.Connection, backup_path: str) -> None:
    with closing(sqlite3.connect(os.path.abspath(backup_path))) as backup:
        connection.backup(backup)


def _unchanging_uri(path: str) -> str:
    """Return the URI for a look that makes no side files; a log, where there is one, must be looked at too."""
    return _uri(path, "mode=ro" if _has_log(path) else "mode=ro&immutable=1")


def _uri(path: str, query: str) -> str:
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{query}"


def _connect_uri(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S)


def _has_log(path: str) -> bool:
    try:
        return os.stat(os.path.realpath(path) + "-wal").st_size > 0
    except OSError:
        return False


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
