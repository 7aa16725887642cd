"""Opening a ledger file: only ours, only a version we know, durable before anything else."""

from __future__ import annotations

import os
import sqlite3
from urllib.parse import quote

from bulk_upload.core.display import printable
from bulk_upload.edge.ledger.schema import APPLICATION_ID, CREATE, MIGRATIONS, SCHEMA_VERSION
from bulk_upload.errors import LedgerNewer, LedgerUnusable


def open_for_writing(path: str) -> sqlite3.Connection:
    """Open a ledger, creating or migrating it. Raises LedgerUnusable, LedgerNewer.

    The caller holds the run lock.
    """
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            _require_ours(connection, path, may_be_empty=True)
            _make_durable(connection, path)
            _create_or_migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return connection


def open_for_reading(path: str) -> sqlite3.Connection:
    """Open an existing ledger without changing it, also while a run writes. Raises LedgerUnusable."""
    if not os.path.isfile(path):
        raise LedgerUnusable(
            f"there is no ledger at {printable(path)}",
            hint="`bulk-upload run` makes one beside its manifest: <manifest stem>.ledger.db",
        )
    try:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(os.path.abspath(path)))}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=10.0,
        )
        try:
            _require_ours(connection, path, may_be_empty=False)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    return connection


def unusable(path: str, error: sqlite3.Error) -> LedgerUnusable:
    """Return SQLite's complaint about a ledger with what to do about it."""
    words = str(error)
    hint = "choose another place with --ledger FILE"
    if "full" in words:
        hint = "free some space on the ledger's disk and run again; nothing that was recorded is lost"
    elif "not a database" in words:
        hint = "this file is not a ledger; choose another with --ledger FILE"
    elif "readonly" in words or "unable to open" in words:
        hint = "check that you may write to the ledger and its folder, or choose another with --ledger FILE"
    return LedgerUnusable(f"cannot use the ledger {printable(path)}: {words}", hint=hint)


def _require_ours(connection: sqlite3.Connection, path: str, *, may_be_empty: bool) -> None:
    application_id = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    (table_count,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if may_be_empty and table_count == 0 and application_id == 0:
        return
    if application_id != APPLICATION_ID:
        raise LedgerUnusable(
            f"{printable(path)} is a database of another program",
            hint="choose another file with --ledger FILE",
        )
    if version > SCHEMA_VERSION:
        raise LedgerNewer(
            f"the ledger {printable(path)} has schema version {version}; this bulk-upload knows up to {SCHEMA_VERSION}",
            hint="upgrade bulk-upload; the ledger was left untouched",
        )


def _make_durable(connection: sqlite3.Connection, path: str) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise LedgerUnusable(
            f"the file system of {printable(path)} cannot hold a write-ahead log",
            hint="choose a local disk with --ledger FILE",
        )
    # FULL: a commit survives a power cut. An intent that is lost then would be a silent duplicate later.
    connection.execute("PRAGMA synchronous = FULL")
    # macOS: fsync alone does not reach the platters there; elsewhere these do nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")


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
    connection.executescript(
        f"BEGIN IMMEDIATE; {script} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}; COMMIT;"
    )


def _back_up(connection: sqlite3.Connection, backup_path: str) -> None:
    backup = sqlite3.connect(backup_path)
    try:
        connection.backup(backup)
    finally:
        backup.close()


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
