"""A ledger of every released version is brought up to date, and says what it said before."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_stage import JOB, query

from bulk_upload.edge.ledger import LedgerReader, open_ledger
from bulk_upload.edge.ledger.schema import CREATE, SCHEMA_VERSION

VERSIONS = Path(__file__).with_name("versions")
START_S = 1_780_001_000.0

EXPECTED = {
    "accepted.jsonl": ("accepted", "file-1"),
    "changed.jsonl": ("accepted", "file-3"),
    "found.jsonl": ("accepted", "file-4"),
    "doubt.jsonl": ("in_doubt", None),
    "rejected.jsonl": ("rejected", None),
    "pending.jsonl": ("pending", None),
    "orphan.jsonl": ("in_doubt", None),
    "odd-\udcff.jsonl": ("accepted", "file-6"),
}
"""What each of the kept ledgers holds, whatever its version."""


def schema_of(connection: sqlite3.Connection) -> set[str]:
    """Every table and index as it was created, white space apart."""
    statements = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {" ".join(sql.split()) for (sql,) in statements}


def test_a_ledger_of_every_older_version_is_kept() -> None:
    """Whoever changes the schema keeps a ledger as the former version made it."""
    kept = {int(one.name.removeprefix("version-").partition(".")[0]) for one in VERSIONS.iterdir()}
    assert kept >= set(range(1, SCHEMA_VERSION))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_an_older_ledger_says_what_it_said(tmp_path: Path, version: int) -> None:
    """After the migration it has the tables of a new ledger and all rows of the old one; the old one lies beside."""
    path = tmp_path / "a.ledger.db"
    old = VERSIONS / f"version-{version}.ledger"
    shutil.copy(old, path)
    ledger = open_ledger(os.fspath(path), JOB, version="2", moved_root=False, utc_s=START_S)
    assert ledger.orphan_count == 1
    await ledger.close()
    with LedgerReader(os.fspath(path)) as reader:
        rows = {row.path: (row.status, row.file_id) for row in reader.rows()}
        superseded = [row.file_id for row in reader.rows(all_receipts=True) if row.status == "superseded"]
    assert rows == EXPECTED
    assert superseded == ["file-2"]
    with closing(sqlite3.connect(path)) as migrated, closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(CREATE)
        assert schema_of(migrated) == schema_of(fresh)
    backup = tmp_path / f"a.ledger.db.v{version}.backup"
    assert query(backup, "PRAGMA user_version") == [(version,)]
    assert query(backup, "SELECT * FROM receipts") == query(old, "SELECT * FROM receipts")
