"""Ledgers on file systems that may be shared: a rollback journal, and locks that were tried."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.core.machine.file_systems import Journal
from bulk_upload.edge.ledger import LedgerReader, LedgerStore, open_ledger, require_ledger
from bulk_upload.edge.ledger.file import opening
from bulk_upload.errors import LedgerUnusable
from tests.edge.ledger.stage import JOB, START_S, entry, exported, opened, query

HOME = "https://flow.seekr.com"


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every folder for one on a network file system."""
    use(Journal.ROLLBACK, monkeypatch)


def use(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every folder for one that has this journal."""
    monkeypatch.setattr(opening, "journal_at", lambda _: journal)


def register(path: str) -> Callable[[LedgerStore], None]:
    """Return a step that makes an entry known."""
    return lambda store: store.register([entry(path)], utc_s=START_S)


@pytest.mark.usefixtures("shared")
async def test_a_rollback_journal_leaves_one_file(tmp_path: Path) -> None:
    """No log and no shared memory while a run works; nothing but ledger and lock after it."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(register("a"))
        assert sorted(os.listdir(tmp_path)) == ["a", "a-journal", "a.lock"]
        modes = await ledger.writer.run(
            lambda store: [
                store.connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous")
            ]
        )
        assert modes == ["truncate", 2]
    assert sorted(os.listdir(tmp_path)) == ["a", "a.lock"]
    assert [row.path for row in exported(path)] == ["a"]


@pytest.mark.usefixtures("shared")
async def test_a_commit_that_a_kill_cut_in_two_is_rolled_back(tmp_path: Path) -> None:
    """Its first page is on the disk and the others are not: the next run opens what was there before."""
    path, cut = tmp_path / "a", tmp_path / "cut"
    async with opened(path) as ledger:
        await ledger.writer.run(register("a"))
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA cache_size = 5")
        connection.execute("BEGIN IMMEDIATE")
        for number in range(40):
            connection.execute(f"CREATE TABLE more_{number} (a)")
            connection.execute(f"INSERT INTO more_{number} VALUES (zeroblob(8000))")
        journal = (tmp_path / "a-journal").read_bytes()
        connection.execute("COMMIT")
    cut.write_bytes(path.read_bytes()[:page_bytes] + before[page_bytes:])
    (tmp_path / "cut-journal").write_bytes(journal)
    require_ledger(str(cut), may_be_new=True)
    async with opened(cut):
        pass
    assert [row.path for row in exported(cut)] == ["a"]
    assert query(cut, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.usefixtures("shared")
async def test_a_reader_keeps_no_run_waiting(tmp_path: Path) -> None:
    """Who reads while a run works reads a copy: the run commits although the reader is not done."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(register("a"))
        with LedgerReader(os.fspath(path)) as reader:
            await ledger.writer.run(register("b"))
            assert [row.path for row in reader.rows()] == ["a"]
        assert [row.path for row in exported(path)] == ["a", "b"]


async def test_a_ledger_changes_its_journal_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that a dead run left with a log keeps what is in it on a shared file system, and on the way back."""
    path, moved = tmp_path / "a", tmp_path / "moved"
    moved.mkdir()
    async with opened(path) as ledger:
        await ledger.writer.run(register("a"))
        for suffix in ("", "-wal"):
            (moved / f"a{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    for journal, name in ((Journal.ROLLBACK, "b"), (Journal.WAL, "c"), (Journal.ROLLBACK, "d")):
        use(journal, monkeypatch)
        async with opened(moved / "a") as ledger:
            await ledger.writer.run(register(name))
            assert query(moved / "a", "PRAGMA integrity_check") == [("ok",)]
    assert [row.path for row in exported(moved / "a")] == ["a", "b", "c", "d"]
    assert sorted(os.listdir(moved)) == ["a", "a.lock"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_locks_that_fail_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A file system that cannot lock is refused once that was tried, with another place for the ledger."""

    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", fails)
    with pytest.raises(LedgerUnusable, match="locks do not work there") as caught:
        open_ledger(os.fspath(tmp_path / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
    assert "--ledger-dir" in str(caught.value.hint)


def test_locks_that_exclude_nobody_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that gives one lock to two is refused: two runs would upload everything twice."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    with pytest.raises(LedgerUnusable, match="gives one lock to two"):
        open_ledger(os.fspath(tmp_path / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
