"""Opens ledger files: only our own format, only known versions, durable before first use."""

from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing, suppress
from typing import NamedTuple
from urllib.parse import quote

from bulk_upload.core.machine.file_systems import Journal
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger.file.location import journal_at
from bulk_upload.edge.ledger.file.lock import run_is_at_work
from bulk_upload.edge.ledger.file.schema import APPLICATION_ID, CREATE, MIGRATIONS, SCHEMA_VERSION
from bulk_upload.edge.ledger.file.unusable import unusable, unusable_file
from bulk_upload.edge.output import PRIVATE_MODE, created, require_safe
from bulk_upload.errors import LedgerNewer, LedgerOlder, LedgerUnusable

BUSY_S = 10.0
"""How long to wait for another program that locks the database, before it counts as unusable."""

ROLLBACK_BUSY_S = 60.0
"""The same for a writer with a rollback journal, which waits for every reader."""

_SUFFIX = ".ledger.db"
_SHOWN_MAX = 3
_SIDE_FILES = ("-wal", "-shm", "-journal")


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
            f"{printable(path)} is a folder or another kind of file that cannot be a ledger",
            hint="choose a file with --ledger FILE",
        )
    if status is None or status.st_size == 0:
        # An empty file may belong to anything; a ledger gets its name only with its tables in it.
        if _has_log(path):
            raise LedgerUnusable(
                f"{printable(path)}-wal holds what a run recorded last, but its ledger is gone",
                hint=f"put {printable(path)} back beside it; to start over without it, remove the -wal file",
            )
        if status is not None:
            raise _without_content(path, "file")
        if not may_be_new:
            raise LedgerUnusable(
                f"there is no ledger at {printable(path)}",
                hint=_missing_hint(path),
            )
        return
    try:
        _require_ours(_read_header(path), path, may_be_new=may_be_new)
    except sqlite3.Error as error:
        raise unusable(path, error) from None


def _missing_hint(path: str) -> str:
    """Return which ledgers of the same job lie where one was looked for: those of other servers have a longer name."""
    folder, name = os.path.split(path)
    stem = name.removesuffix(_SUFFIX)
    found: list[str] = []
    with suppress(OSError), os.scandir(folder or ".") as entries:
        found = sorted(
            one.name for one in entries if one.name.startswith(f"{stem}@") and one.name.endswith(_SUFFIX)
        )
    if not found:
        return "`bulk-upload run` creates one beside its manifest or folder: <its name>.ledger.db"
    shown = ", ".join(printable(os.path.join(folder, one)) for one in found[:_SHOWN_MAX])
    more = f" and {len(found) - _SHOWN_MAX:,} more" if len(found) > _SHOWN_MAX else ""
    return f"a job has one ledger for each server; there is {shown}{more}"


def require_safe_name(path: str, suffixes: tuple[str, ...] = ("",)) -> None:
    """Raise LedgerUnusable where another user may have placed the file that has the ledger's name."""
    try:
        for suffix in suffixes:
            require_safe(path + suffix)
    except OSError as error:
        raise unusable_file(path, error) from None


def open_for_writing(
    path: str, journal: Journal | None = None, *, private: bool = False
) -> sqlite3.Connection:
    """Open a ledger, creating or migrating it. Raises LedgerUnusable, LedgerNewer.

    The caller holds the run lock. `journal` defaults to what fits the file system. A private ledger, and what SQLite
    keeps beside it, is for its owner alone.
    """
    require_safe_name(path)
    require_ledger(path, may_be_new=True)
    require_safe_name(path, _SIDE_FILES)
    try:
        if not os.path.exists(path):
            _make(path, journal or journal_at(path), private=private)
        elif private:
            _make_private(path)
        connection = sqlite3.connect(
            os.path.abspath(path), isolation_level=None, check_same_thread=False, timeout=BUSY_S
        )
        try:
            _make_durable(connection, journal or journal_at(path))
            _migrate(connection, path)
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    except OSError as error:
        raise unusable_file(path, error) from None
    return connection


def open_for_reading(path: str, *, may_be_older: bool = False) -> sqlite3.Connection:
    """Open a snapshot of an existing ledger, also while a run writes. Raises LedgerUnusable.

    With `may_be_older` the ledger may have an older schema: for columns that every version has.
    """
    require_ledger(path, may_be_new=may_be_older)
    try:
        connection = _connect_uri(reading_uri(path))
        try:
            if run_is_at_work(path) and journal_mode(connection) is not Journal.WAL:
                # Otherwise a run could not commit while we read.
                connection = _copied(connection)
            connection.execute("PRAGMA query_only = ON")
            # One transaction for everything: all reads see the same state.
            connection.execute("BEGIN")
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return connection


def reading_uri(path: str) -> str:
    """Return the URI under which SQLite reads a ledger without changing it or leaving new files behind."""
    if _has_log(path):
        return _uri(path, "mode=ro")
    # No process writes it now. With `ro` SQLite could not remove the two side files it makes for reading.
    here = (path, os.path.dirname(os.path.abspath(path)))
    if all(os.access(one, os.W_OK, effective_ids=True) for one in here):
        return _uri(path, "mode=rw")
    # With a rollback journal another process may write it now, and reading takes a lock but no side files.
    is_rollback = journal_at(path) is Journal.ROLLBACK or _has_journal(path)
    return _uri(path, "mode=ro") if is_rollback else _unchanging_uri(path)


def _without_content(path: str, what: str) -> LedgerUnusable:
    return LedgerUnusable(
        f"{printable(path)} is an empty {what}, not a ledger",
        hint="if there was a ledger, put back a copy of it, for a new one would not know what was uploaded;"
        " else remove the file, or choose another with --ledger FILE",
    )


class _Header(NamedTuple):
    """Numbers of a database that are on its first page (https://sqlite.org/fileformat.html, section 1.3)."""

    schema_version: int
    user_version: int
    application_id: int


def _read_header(path: str) -> _Header:
    """Read the header of a database, which stays as it is. Raises sqlite3.Error for another file."""
    if _has_journal(path):
        # Another process died in a commit, or is making one. SQLite would roll it back, or read what is half written.
        page = b""
        with suppress(OSError), open(path, "rb") as file:
            page = file.read(100)
        if len(page) == 100 and page.startswith(b"SQLite format 3\0"):
            return _Header(*(int.from_bytes(page[place : place + 4], "big") for place in (40, 60, 68)))
    with closing(_connect_uri(_unchanging_uri(path))) as connection:
        return _Header(*(_pragma(connection, name) for name in _Header._fields))


def _require_ours(header: _Header, path: str, *, may_be_new: bool) -> None:
    application_id, version = header.application_id, header.user_version
    if application_id == version == header.schema_version == 0:
        raise _without_content(path, "database")
    if application_id != APPLICATION_ID or version < 1:
        raise LedgerUnusable(
            f"{printable(path)} is a database of another program",
            hint="choose another file with --ledger FILE",
        )
    if version > SCHEMA_VERSION:
        raise LedgerNewer(
            f"the ledger {printable(path)} has schema version {version}; this bulk-upload supports up to {SCHEMA_VERSION}",
            hint="upgrade bulk-upload; the ledger was left untouched",
        )
    if version < SCHEMA_VERSION and not may_be_new:
        raise LedgerOlder(
            f"the ledger {printable(path)} has the older schema version {version}",
            hint="run its job again: that brings the ledger up to date and keeps a backup",
        )


def journal_mode(connection: sqlite3.Connection) -> Journal | None:
    """Return how a ledger is journaled, None for a mode that is not one of ours."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    # Where no mode was set, a ledger that is not in WAL has SQLite's own default.
    return {"wal": Journal.WAL, "truncate": Journal.ROLLBACK, "delete": Journal.ROLLBACK}.get(mode)


def _make_durable(connection: sqlite3.Connection, journal: Journal) -> None:
    if journal is Journal.ROLLBACK or _set_journal(connection, Journal.WAL) != Journal.WAL:
        # So that a remaining log is read without shared memory (https://sqlite.org/wal.html).
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        _set_journal(connection, Journal.ROLLBACK)
        connection.execute("PRAGMA locking_mode = NORMAL")
        # The lock is released with the next access to the file.
        _pragma(connection, "user_version")
        connection.execute(f"PRAGMA busy_timeout = {ROLLBACK_BUSY_S * 1000:.0f}")
    # FULL: a commit survives a power cut. An intent that is lost then would be a silent duplicate later. With a
    # rollback journal FULL also syncs its truncation, which is the commit.
    connection.execute("PRAGMA synchronous = FULL")
    # macOS: fsync alone does not reach the platters there; elsewhere these do nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")


def _make(path: str, journal: Journal, *, private: bool) -> None:
    """Make a ledger under a temporary name and rename it when complete: a crash leaves all of it or nothing."""
    try:
        with (
            created(path, private=private) as making,
            closing(sqlite3.connect(making, isolation_level=None)) as connection,
        ):
            # A crash here starts over with a new file: no rollback is needed.
            connection.execute("PRAGMA journal_mode = OFF")
            _run_script(connection, CREATE, SCHEMA_VERSION)
            _make_durable(connection, journal)
    except FileExistsError:
        require_ledger(path, may_be_new=True)


def _make_private(path: str) -> None:
    """Deny other users access to a ledger; SQLite gives the files that it makes beside it the same mode."""
    for name in (path, *(path + suffix for suffix in _SIDE_FILES)):
        with suppress(FileNotFoundError):
            os.chmod(name, PRIVATE_MODE)


def _set_journal(connection: sqlite3.Connection, journal: Journal) -> str:
    (mode,) = connection.execute(f"PRAGMA journal_mode = {journal.value}").fetchone()
    return str(mode)


def _copied(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Return a copy of a ledger in a temporary file of its own, and close the ledger."""
    copy = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        connection.backup(copy)
    except BaseException:
        copy.close()
        raise
    finally:
        connection.close()
    return copy


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    version = _pragma(connection, "user_version")
    if version == SCHEMA_VERSION:
        return
    _back_up(connection, path, f"{path}.v{version}.backup")
    while version < SCHEMA_VERSION:
        _run_script(connection, MIGRATIONS[version], version + 1)
        version += 1


def _run_script(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run a script as one transaction: a crash, or an error halfway, leaves the previous state."""
    connection.executescript(
        f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
    )


def _back_up(connection: sqlite3.Connection, path: str, backup_path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(backup_path)
    private = not stat.S_IMODE(os.stat(path).st_mode) & ~PRIVATE_MODE
    with (
        created(backup_path, private=private) as making,
        closing(sqlite3.connect(making)) as backup,
    ):
        connection.backup(backup)


def _unchanging_uri(path: str) -> str:
    """Return the URI for reading without side files; a log, where there is one, must be read too."""
    return _uri(path, "mode=ro" if _has_log(path) else "mode=ro&immutable=1")


def _uri(path: str, query: str) -> str:
    return f"file://{quote(os.fsencode(os.path.abspath(path)))}?{query}"


def _connect_uri(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_S)


def _has_log(path: str) -> bool:
    return _has_content(os.path.realpath(path) + "-wal")


def _has_journal(path: str) -> bool:
    return _has_content(os.path.realpath(path) + "-journal")


def _has_content(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
