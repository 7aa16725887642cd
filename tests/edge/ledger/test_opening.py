"""What a ledger is opened in, made of and migrated from."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from bulk_upload.edge.ledger import LedgerReader, Staging, open_ledger
from bulk_upload.edge.ledger.file import opening
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.edge.ledger.file.schema import APPLICATION_ID, MIGRATIONS, SCHEMA_VERSION
from bulk_upload.errors import LedgerUnusable
from tests.edge.ledger.stage import (
    JOB,
    START_S,
    accepted,
    entry,
    exported,
    files,
    opened,
    query,
    stage,
    stored,
)

CREATION_CHILD = os.path.join(os.path.dirname(__file__), "creation_child.py")


ODD_NAMES = [
    "a?b",
    "a#b",
    "100%41",
    "with space",
    "ünï",
    "\udcff\udc80",
    "mode=ro&x",
    "file:a",
    "-wal",
    "'\"",
]


@contextmanager
def as_nobody() -> Iterator[None]:
    """Lose root's power to write everywhere, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may read."""
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    try:
        yield Path(folder)
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)


async def test_a_new_ledger_is_durable_and_ours(tmp_path: Path) -> None:
    """Every commit reaches the disk: WAL and synchronous=FULL are really on; the file says whose it is."""
    async with opened(tmp_path / "a") as ledger:
        pragmas = (
            "journal_mode",
            "synchronous",
            "fullfsync",
            "foreign_keys",
            "application_id",
            "user_version",
        )
        found = await ledger.writer.run(
            lambda store: [store.connection.execute(f"PRAGMA {one}").fetchone()[0] for one in pragmas]
        )
    assert found == ["wal", 2, 1, 1, APPLICATION_ID, SCHEMA_VERSION]
    assert (tmp_path / "a").read_bytes()[68:72] == b"bulk"


async def test_a_closed_ledger_is_one_file(tmp_path: Path) -> None:
    """After a run all commits are in the ledger itself, also where somebody was reading: a copy of it is whole."""
    path = tmp_path / "a"
    staging = Staging(None)
    async with opened(path) as ledger:
        staging.attach(os.fspath(path))
        await ledger.writer.run(lambda store: store.register([entry("f")], utc_s=START_S))
        assert staging.states() == {}
    shutil.copy(path, tmp_path / "copy")
    staging.close()
    assert [row.path for row in exported(tmp_path / "copy")] == ["f"]
    exported(path)
    assert sorted(files(tmp_path)) == ["a", "a.lock", "copy"]


def test_a_creation_that_is_killed_is_made_again(quick_path: Path) -> None:
    """Wherever kill -9 hits, there is no ledger or a whole one, and the next run goes ahead."""
    killed = subprocess.run(
        [sys.executable, CREATION_CHILD, os.fspath(quick_path)],
        stdout=subprocess.PIPE,
        check=True,
        timeout=300,
    )
    made = 0
    for number in range(1, int(killed.stdout) + 1):
        path = quick_path / str(number) / "a"
        if path.exists():
            made += 1
            assert exported(path) == []
        with stored(path) as store:
            assert store.known(entry("f")) == [1]
        left = {name for name in os.listdir(path.parent) if not name.startswith(".")}
        assert left <= {"a", "a.lock"}
    assert 5 < made < number - 50


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
async def test_a_ledger_follows_the_umask_with_all_its_files(tmp_path: Path, mask: int, mode: int) -> None:
    """The lock and what SQLite keeps beside a ledger are for whom the ledger is for; private is for the owner alone."""
    before = os.umask(mask)
    try:
        async with opened(tmp_path / "a"):
            assert modes(tmp_path) == {"a": mode, "a-wal": mode, "a-shm": mode, "a.lock": mode}
            shutil.copytree(tmp_path, tmp_path / "crashed")
        for folder in (tmp_path / "new", tmp_path / "crashed"):
            folder.mkdir(exist_ok=True)
            ledger = open_ledger(
                os.fspath(folder / "a"), JOB, version="1", moved_root=False, utc_s=START_S, private=True
            )
            assert modes(folder) == dict.fromkeys(["a", "a-wal", "a-shm", "a.lock"], 0o600)
            await ledger.close()
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    """The modes of the files in a folder."""
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir() if one.is_file()}


@pytest.mark.parametrize("trap", ["a", "a-wal", "a.lock"])
def test_a_trap_in_a_folder_of_all_is_refused(tmp_path: Path, trap: str) -> None:
    """A link that another user laid in /tmp under the name of a ledger, or of a file beside it, is not followed."""
    folder = tmp_path / "anybodys"
    folder.mkdir()
    folder.chmod(0o1777)
    (folder / trap).symlink_to(tmp_path / "precious")
    with pytest.raises(LedgerUnusable, match="symbolic link") as caught:
        open_ledger(os.fspath(folder / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
    assert "--ledger" in str(caught.value.hint)
    assert not (tmp_path / "precious").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_ledger_in_a_folder_of_all_is_refused(tmp_path: Path) -> None:
    """Who owns a ledger decides what counts as uploaded."""
    with stored(tmp_path / "a"):
        pass
    tmp_path.chmod(0o1777)
    os.chown(tmp_path / "a", 65534, -1)
    with pytest.raises(LedgerUnusable, match="another user's"):
        open_ledger(os.fspath(tmp_path / "a"), JOB, version="1", moved_root=False, utc_s=START_S)


def test_no_ledger_is_made_among_devices() -> None:
    """A ledger in /dev is gone with the container."""
    before = os.listdir("/dev")
    with pytest.raises(LedgerUnusable, match="no files are made in /dev"):
        open_ledger("/dev/a.ledger.db", JOB, version="1", moved_root=False, utc_s=START_S)
    assert os.listdir("/dev") == before


def test_a_missing_ledger_is_only_missed_by_readers(tmp_path: Path) -> None:
    """Reading makes no ledger, and says which command does."""
    with pytest.raises(LedgerUnusable, match="there is no ledger") as caught:
        LedgerReader(os.fspath(tmp_path / "a"))
    assert "bulk-upload run" in str(caught.value.hint)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    """Characters that mean something in a URI, and bytes that are no text, are just parts of a name."""
    folder = os.path.join(tmp_path, name)
    os.mkdir(folder)
    path = os.path.join(folder, name)
    staging = Staging(None)
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f")], utc_s=START_S))
        staging.attach(path)
        stage(staging, entry("f"))
        assert staging.states() == {"pending": 1}
    staging.close()
    assert [row.path for row in exported(path)] == ["f"]
    assert sorted(os.listdir(folder)) == sorted([name, f"{name}.lock"])


async def test_relative_and_doubled_slashes_name_the_same_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is good, and so is one that begins with two slashes."""
    monkeypatch.chdir(tmp_path)
    async with opened("a"):
        pass
    assert exported("a") == exported(f"/{tmp_path / 'a'}") == []
    async with opened(f"/{tmp_path}//a"):
        pass


def older(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of this version, seen by a program two versions on."""
    with stored(path) as store:
        store.tried(store.known(entry("f"))[0], accepted("id-1"))
    monkeypatch.setattr(opening, "SCHEMA_VERSION", SCHEMA_VERSION + 2)
    monkeypatch.setitem(MIGRATIONS, SCHEMA_VERSION, "ALTER TABLE job ADD COLUMN one TEXT;")
    monkeypatch.setitem(
        MIGRATIONS, SCHEMA_VERSION + 1, "ALTER TABLE job ADD COLUMN two TEXT; UPDATE job SET two = 'x';"
    )


def test_an_older_ledger_is_migrated_after_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Migrations run one after the other, keep every row, and the old ledger stays beside the new one."""
    path = tmp_path / "a"
    older(path, monkeypatch)
    before = exported_by_hand(path)
    with pytest.raises(LedgerUnusable, match=f"older schema version {SCHEMA_VERSION}"):
        LedgerReader(os.fspath(path))
    open_for_writing(os.fspath(path)).close()
    assert query(path, "SELECT one, two FROM job") == [(None, "x")]
    assert query(path, "PRAGMA user_version") == [(SCHEMA_VERSION + 2,)]
    assert exported_by_hand(path) == before
    assert query(tmp_path / f"a.v{SCHEMA_VERSION}.backup", "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert exported_by_hand(tmp_path / f"a.v{SCHEMA_VERSION}.backup") == before


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is whole or not at all; once it works, the next run goes on from there."""
    path = tmp_path / "a"
    older(path, monkeypatch)
    good = MIGRATIONS[SCHEMA_VERSION + 1]
    monkeypatch.setitem(
        MIGRATIONS, SCHEMA_VERSION + 1, "ALTER TABLE job ADD COLUMN two TEXT; UPDATE absent SET two = 'x';"
    )
    with pytest.raises(LedgerUnusable, match="no such table"):
        open_for_writing(os.fspath(path))
    assert query(path, "PRAGMA user_version") == [(SCHEMA_VERSION + 1,)]
    assert query(path, "SELECT count(*) FROM pragma_table_info('job') WHERE name = 'two'") == [(0,)]
    monkeypatch.setitem(MIGRATIONS, SCHEMA_VERSION + 1, good)
    open_for_writing(os.fspath(path)).close()
    assert query(path, "SELECT two FROM job") == [("x",)]


def exported_by_hand(path: Path) -> list[tuple[object, ...]]:
    return query(path, "SELECT e.*, r.* FROM entries e JOIN receipts r USING (receipt_id)")


def test_every_older_version_has_its_migration() -> None:
    """There is a way from each released version to this one."""
    assert set(MIGRATIONS) == set(range(1, SCHEMA_VERSION))


def test_a_ledger_in_a_folder_of_others_is_readable(open_folder: Path) -> None:
    """Whoever may only read gets the rows of a closed ledger; writing is refused with a remedy."""
    path = open_folder / "a"
    with stored(path) as store:
        store.known(entry("f"))
    os.chmod(path, 0o644)
    os.chmod(open_folder, 0o555)
    before = files(open_folder)
    with as_nobody():
        assert [row.path for row in exported(path)] == ["f"]
        staging = Staging(os.fspath(path))
        stage(staging, entry("f"))
        assert staging.states() == {"pending": 1}
        staging.close()
        with pytest.raises(LedgerUnusable, match="cannot lock") as caught:
            open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
        assert "--ledger" in str(caught.value.hint)
        with pytest.raises(LedgerUnusable, match="readonly") as caught:
            open_for_writing(os.fspath(path))
        assert "write permission" in str(caught.value.hint)
    assert files(open_folder) == before


def test_no_new_ledger_in_a_folder_of_others(open_folder: Path) -> None:
    """A folder that cannot be written is named before anything is sent."""
    os.chmod(open_folder, 0o555)
    with as_nobody():
        with pytest.raises(LedgerUnusable, match="cannot lock"):
            open_ledger(os.fspath(open_folder / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
        with pytest.raises(LedgerUnusable, match="Permission denied") as caught:
            open_for_writing(os.fspath(open_folder / "a"))
        assert "write permission" in str(caught.value.hint)
    assert not list(open_folder.iterdir())


def test_a_database_that_another_program_holds_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell with an open transaction does not hang a run for ever."""
    path = tmp_path / "a"
    with stored(path):
        pass
    monkeypatch.setattr(opening, "BUSY_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerUnusable, match="locked") as caught:
            open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
    assert "another program" in str(caught.value.hint)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder is never made on the way: a typing error must not start a job anew."""
    with pytest.raises(LedgerUnusable, match="does not exist"):
        open_ledger(os.fspath(tmp_path / "no" / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
    assert not list(tmp_path.iterdir())
