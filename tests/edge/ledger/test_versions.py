"""A ledger of every released version is brought up to date, and says what it said before."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.edge.ledger import LedgerReader, RecordedPurposes, open_ledger, remember, remembered
from bulk_upload.edge.ledger.file.schema import CREATE, SCHEMA_VERSION
from tests.edge.ledger.keep_version import EXPECTED, VERSIONS, tell_story
from tests.edge.ledger.stage import JOB, query

START_S = 1_780_001_000.0


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


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
def test_what_was_sent_for_which_purpose_is_known_before_the_migration(tmp_path: Path, version: int) -> None:
    """A folder is listed before its run brings the ledger up to date: its files keep their purposes."""
    path = tmp_path / "a.ledger.db"
    shutil.copy(VERSIONS / f"version-{version}.ledger", path)
    purpose_of = dict(query(path, "SELECT path, purpose FROM entries"))
    purposes = {os.fsdecode(name): [purpose] for name, purpose in purpose_of.items()}
    # It has form fields, as no file of a folder: it is another entry.
    del purposes["odd-\udcff.jsonl"]
    with RecordedPurposes(os.fspath(path)) as recorded:
        origin = recorded.origin()
        found = recorded.recall(purposes)
    assert origin is not None
    assert (origin.endpoint, origin.root, origin.may_have_sent) == (JOB.endpoint, JOB.root, True)
    assert {name: [one.purpose for one in known] for name, known in found.items()} == purposes
    there = {name for name, known in found.items() if known[0].may_be_there}
    assert there >= {
        name for name, (state, _) in EXPECTED.items() if state in ("accepted", "in_doubt")
    } & set(purposes)
    assert query(path, "PRAGMA user_version") == [(version,)]


async def test_a_new_ledger_holds_the_same(tmp_path: Path) -> None:
    """What will be kept of the present version tells the story of the kept ones, and needs no migration."""
    path = tmp_path / "a.ledger.db"
    tell_story(path)
    ledger = open_ledger(os.fspath(path), JOB, version="2", moved_root=False, utc_s=START_S)
    await ledger.close()
    with LedgerReader(os.fspath(path)) as reader:
        assert {row.path: (row.status, row.file_id) for row in reader.rows()} == EXPECTED
    assert not list(tmp_path.glob("*.backup"))


async def test_changes_of_the_limit_survive_a_migration(tmp_path: Path) -> None:
    """A row of before has no rate and no pause; what version 3 adds is empty and can be filled."""
    path = tmp_path / "a.ledger.db"
    shutil.copy(VERSIONS / "version-2.ledger", path)
    ledger = open_ledger(os.fspath(path), JOB, version="2", moved_root=False, utc_s=START_S)
    assert await ledger.writer.run(remembered) is None
    await ledger.writer.run(partial(remember, learned=LearnedLimits(limit=5), utc_s=START_S))
    assert await ledger.writer.run(remembered) == LearnedLimits(limit=5)
    await ledger.close()
    sql = "SELECT in_flight_limit, reason, starts_per_s, pause_s FROM controller_events"
    assert query(path, sql) == [(8, "429", None, 0.0)]
