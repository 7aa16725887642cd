"""Files that are no ledger of ours, or no whole one: refused, and left alone."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.edge.ledger import LedgerReader, Staging, open_ledger
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.edge.ledger.file.schema import APPLICATION_ID, CREATE, SCHEMA_VERSION
from bulk_upload.errors import LedgerNewer, LedgerUnusable
from tests.edge.ledger.stage import (
    JOB,
    START_S,
    entry,
    exported,
    files,
    query,
    stage,
    stored,
)

OURS = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"


def database(path: Path, script: str, *, wal: bool = True) -> None:
    """A database of somebody's own."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(script)


def with_log(path: Path, script: str) -> None:
    """Leave a database as a process does that dies: its last commits in the log only."""
    making = path.with_name("making")
    with closing(sqlite3.connect(making, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(script)
        shutil.copy(making, path)
        shutil.copy(f"{making}-wal", f"{path}-wal")
    making.unlink()


def refused(path: Path, kind: type[LedgerUnusable] = LedgerUnusable) -> str:
    """Try every way to open it; return the message, the same for all."""
    messages = set()
    for attempt in (
        lambda: open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S),
        lambda: open_for_writing(os.fspath(path)),
        lambda: LedgerReader(os.fspath(path)),
    ):
        with pytest.raises(kind) as caught:
            attempt()
        assert caught.value.hint
        messages.add(str(caught.value))
    (message,) = messages
    return message


@pytest.mark.parametrize("kept", [0, 10, 32, 4000, 20_000])
def test_a_file_without_content_is_refused_and_left_alone(tmp_path: Path, kept: int) -> None:
    """An empty file, or a database without a table, may be anything's, or all that a bad disk left of a ledger."""
    with_log(tmp_path / "a", f"BEGIN; {CREATE} {OURS} COMMIT;")
    os.truncate(tmp_path / "a-wal", kept)
    (tmp_path / "b").touch()
    before = files(tmp_path)
    assert "is an empty database, not a ledger" in refused(tmp_path / "a")
    assert "is an empty file, not a ledger" in refused(tmp_path / "b")
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"a-shm"}
    with pytest.raises(LedgerUnusable) as caught:
        open_for_writing(os.fspath(tmp_path / "b"))
    assert "remove the file" in str(caught.value.hint)


def test_a_committed_creation_survives_in_the_log(tmp_path: Path) -> None:
    """A ledger whose tables are only in the log yet is a whole ledger."""
    path = tmp_path / "a"
    with_log(path, f"{CREATE} {OURS}")
    assert path.stat().st_size == 4096
    assert exported(path) == []
    with stored(path) as store:
        assert store.known(entry("f")) == [1]


FOREIGN = {
    "garbage": (b"x" * 5000, "not a database"),
    "text": (b'{"path": "a"}\n', "not a database"),
    "header only": (b"SQLite format 3\0", "not a database"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_database_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    """A file with other content is named, and neither it nor its folder changes."""
    content, complaint = FOREIGN[name]
    (tmp_path / "a").write_bytes(content)
    before = files(tmp_path)
    assert complaint in refused(tmp_path / "a")
    assert files(tmp_path) == before


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize(
    "script", ["CREATE TABLE t (a);", "PRAGMA application_id = 5;", "PRAGMA user_version = 1;"]
)
def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path, script: str, wal: bool) -> None:
    """A database that is not ours stays byte for byte what it was, and nothing appears beside it."""
    database(tmp_path / "a", script, wal=wal)
    before = files(tmp_path)
    assert "another program" in refused(tmp_path / "a")
    assert files(tmp_path) == before


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A newer ledger stays byte for byte what it was, and nothing appears beside it."""
    path = tmp_path / "a"
    with stored(path):
        pass
    database(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}; CREATE TABLE more (a);")
    before = files(tmp_path)
    assert f"schema version {SCHEMA_VERSION + 1}" in refused(path, LedgerNewer)
    assert files(tmp_path) == before


def test_a_newer_ledger_in_the_log_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Ledger and log of a newer run that died stay byte for byte what they were."""
    path = tmp_path / "a"
    script = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION + 1};"
    with_log(path, f"{CREATE} {script}")
    before = files(tmp_path)
    refused(path, LedgerNewer)
    after = files(tmp_path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"a-shm"}


@pytest.mark.parametrize("kept", [100, 2000, 4096, 20_000])
def test_a_truncated_ledger_is_refused_and_left_alone(tmp_path: Path, kept: int) -> None:
    """A ledger that lost its end is called damaged, never taken for a shorter one."""
    path = tmp_path / "a"
    with stored(path) as store:
        store.known(*(entry(f"f{number}") for number in range(500)))
    os.truncate(path, kept)
    before = files(tmp_path)
    assert "malformed" in refused(path)
    assert files(tmp_path) == before


def test_damage_inside_is_reported_as_an_unusable_ledger(tmp_path: Path) -> None:
    """A page that is overwritten with noise ends a reader with LedgerUnusable, not with an error of SQLite's."""
    path = tmp_path / "a"
    with stored(path) as store:
        store.known(*(entry(f"f{number}") for number in range(2000)))
    with open(path, "r+b") as file:
        # Behind the pages of the schema, which is read at once.
        file.seek(4096 * 20)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 20))
    with pytest.raises(LedgerUnusable, match="malformed"):
        exported(path)
    staging = Staging(os.fspath(path))
    stage(staging, entry("f1"))
    with pytest.raises(LedgerUnusable, match="cannot compare"):
        staging.states()
    staging.close()


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A folder, a pipe or a device at the ledger's place is refused at once, and gets no side files."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "pipe", Path("/dev/null")):
        assert "cannot be a ledger" in refused(path)
    assert sorted(os.listdir(tmp_path)) == ["folder", "pipe"]


def test_a_log_without_its_ledger_is_not_thrown_away(tmp_path: Path) -> None:
    """SQLite would delete the log of a missing database; with the ledger put back its last commits are there."""
    path = tmp_path / "a"
    with_log(path, f"{CREATE} {OURS} INSERT INTO job VALUES (1, 'p', 'e', NULL, x'2f', 'c', 'l');")
    path.rename(tmp_path / "elsewhere")
    before = files(tmp_path)
    assert "its ledger is gone" in refused(path)
    path.touch()
    assert "its ledger is gone" in refused(path)
    path.unlink()
    assert files(tmp_path) == before
    (tmp_path / "elsewhere").rename(path)
    assert query(path, "SELECT profile FROM job") == [("p",)]
