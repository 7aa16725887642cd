"""Opening a ledger: what is made, what is refused, and that what is refused stays as it was."""

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
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, InDoubt, Outcome, Rejected, Unavailable
from bulk_upload.edge.ledger import JobIdentity, LedgerReader, Staging, open_ledger
from bulk_upload.edge.ledger.file import opening
from bulk_upload.edge.ledger.file.opening import open_for_writing
from bulk_upload.edge.ledger.file.schema import APPLICATION_ID, CREATE, MIGRATIONS, SCHEMA_VERSION
from bulk_upload.errors import LedgerMismatch, LedgerNewer, LedgerUnusable
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
OURS = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};"
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


def test_a_creation_that_is_killed_is_made_again(tmp_path: Path) -> None:
    """Wherever kill -9 hits, there is no ledger or a whole one, and the next run goes ahead."""
    killed = subprocess.run(
        [sys.executable, CREATION_CHILD, os.fspath(tmp_path)], stdout=subprocess.PIPE, check=True, timeout=300
    )
    made = 0
    for number in range(1, int(killed.stdout) + 1):
        path = tmp_path / str(number) / "a"
        if path.exists():
            made += 1
            assert exported(path) == []
        with stored(path) as store:
            assert store.known(entry("f")) == [1]
        left = {name for name in os.listdir(path.parent) if not name.startswith(".")}
        assert left <= {"a", "a.lock"}
    assert 5 < made < number - 50


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


def _sent_one(path: Path) -> None:
    with stored(path) as store:
        (one,) = store.known(entry("a"))
        store.tried(one, accepted("file-1"))


@pytest.mark.parametrize(
    "outcome",
    [accepted("file-1"), InDoubt(reason="lost", answered=False), None],
    ids=["receipt", "doubt", "open"],
)
async def test_a_ledger_stays_with_an_endpoint_that_may_have_files(
    tmp_path: Path, outcome: Outcome | None
) -> None:
    """A receipt, a doubt or an attempt that was left open keeps the ledger where it is."""
    with stored(tmp_path / "a") as store:
        (one,) = store.known(entry("a"))
        if outcome is None:
            store.intended(one)
        else:
            store.tried(one, outcome)
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert reader.may_have_sent()
    other = replace(JOB, endpoint="https://b")
    with pytest.raises(LedgerMismatch, match="https://b"):
        open_ledger(os.fspath(tmp_path / "a"), other, version="1", moved_root=False, utc_s=START_S)


async def test_a_ledger_that_sent_nothing_follows_a_corrected_address(tmp_path: Path) -> None:
    """The endpoint is replaced, which is said and recorded, and what the wrong one rejected is pending again."""
    with stored(tmp_path / "a") as store:
        one, two = store.known(entry("a"), entry("b"))
        store.tried(one, Rejected(http_status=404, reason="HTTP 404: Not Found"))
        store.tried(two, Unavailable(reason="refused"))
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert not reader.may_have_sent()
    other = replace(JOB, endpoint="https://b")
    for team in ("team-2", None):
        with pytest.raises(LedgerMismatch, match="team"):
            open_ledger(
                os.fspath(tmp_path / "a"),
                replace(other, team=team),
                version="1",
                moved_root=False,
                utc_s=START_S,
            )
    async with opened(tmp_path / "a", job=other) as ledger:
        assert (
            ledger.notice
            == f"the ledger now belongs to endpoint https://b: nothing was sent to {JOB.endpoint}"
        )
    async with opened(tmp_path / "a", job=other) as ledger:
        assert ledger.notice is None
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        facts = reader.job()
        assert facts is not None
        assert facts.endpoint == "https://b"
        assert reader.states() == {EntryState.PENDING: 2}
    with closing(sqlite3.connect(tmp_path / "a")) as connection:
        ((by, decision),) = connection.execute("SELECT decided_by, decision FROM decisions")
    assert (by, "https://b" in decision) == ("bulk-upload", True)


async def test_a_job_is_known_by_profile_endpoint_and_team(tmp_path: Path) -> None:
    """A ledger serves one job; another one's is refused with both named, and unchanged."""
    _sent_one(tmp_path / "a")
    async with opened(tmp_path / "a"):
        pass
    before = files(tmp_path)["a"]
    for others, words in (
        (JobIdentity(profile="x", endpoint=JOB.endpoint, team="team-1", root="/data"), "profile flow"),
        (JobIdentity(profile="flow", endpoint="https://b", team="team-1", root="/data"), "https://b"),
        (
            JobIdentity(profile="flow", endpoint=JOB.endpoint, team=None, root="/data"),
            "this run is for no team",
        ),
    ):
        with pytest.raises(LedgerMismatch, match=words):
            open_ledger(os.fspath(tmp_path / "a"), others, version="1", moved_root=False, utc_s=START_S)
    assert files(tmp_path)["a"] == before
    async with opened(tmp_path / "a"):
        pass


async def test_a_moved_tree_must_be_announced(tmp_path: Path) -> None:
    """Another root is refused unless the person says that the tree moved; then the ledger follows."""
    moved = JobIdentity(profile=JOB.profile, endpoint=JOB.endpoint, team=JOB.team, root="/else\udcff")
    async with opened(tmp_path / "a"):
        pass
    with pytest.raises(LedgerMismatch, match=r"/data.*/else\\xff") as caught:
        open_ledger(os.fspath(tmp_path / "a"), moved, version="1", moved_root=False, utc_s=START_S)
    assert "--moved-root" in str(caught.value.hint)
    async with opened(tmp_path / "a", job=moved, moved_root=True):
        pass
    async with opened(tmp_path / "a", job=moved):
        pass
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        job = reader.job()
    assert job is not None
    assert job.root == "/else\udcff"


@pytest.mark.parametrize(
    ("ledger_root", "root", "hint"),
    [
        ("data", ".", "--ledger FILE"),
        (".", "data", "--ledger FILE"),
        ("data", "copy", "still there"),
        ("gone", "data", "if the same tree moved there, run again with --moved-root"),
    ],
)
async def test_a_tree_that_is_in_its_place_has_not_moved(
    tmp_path: Path, ledger_root: str, root: str, hint: str
) -> None:
    """A folder and a manifest beside it may share a ledger's name: that is another job, not a moved tree."""
    (tmp_path / "data").mkdir()

    def identity(name: str) -> JobIdentity:
        found = os.path.normpath(tmp_path / name)
        return JobIdentity(profile=JOB.profile, endpoint=JOB.endpoint, team=JOB.team, root=found)

    async with opened(tmp_path / "a", job=identity(ledger_root)):
        pass
    with pytest.raises(LedgerMismatch) as caught:
        open_ledger(os.fspath(tmp_path / "a"), identity(root), version="1", moved_root=False, utc_s=START_S)
    assert hint in str(caught.value.hint)
    is_nested = "." in (ledger_root, root)
    assert ("--moved-root" in str(caught.value.hint)) is not is_nested


async def test_a_team_that_is_no_text_is_still_one_team(tmp_path: Path) -> None:
    """A team from an environment that is not UTF-8 is recorded, and recognised again."""
    job = JobIdentity(profile="flow", endpoint=JOB.endpoint, team="t\udcff", root="/data")
    for _ in range(2):
        async with opened(tmp_path / "a", job=job) as ledger:
            assert ledger.writer.failure is None
    ((team,),) = query(tmp_path / "a", "SELECT team FROM job")
    assert team == "t\\udcff"


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
