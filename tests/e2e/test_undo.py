"""`undo` deletes exactly what the job made, whatever happens to it meanwhile."""

from __future__ import annotations

import signal
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from bulk_upload.exit_status import ExitStatus
from tests.e2e.callers import call, ids_at
from tests.e2e.servers import upload_as_stranger
from tests.e2e.stage import Stage, staged
from tests.e2e.trees import plain_tree, written
from tests.e2e.witness import row_by_path, stored_of, uploads_of


def undone(stage: Stage, *options: str, expect: int = 0) -> Counter[str]:
    """Undo, and return how many files met which fate."""
    ended = stage.call("undo", str(stage.ledger), "--yes", *options)
    assert ended.code == expect, ended.stderr
    return Counter(line.split()[0] for line in ended.stdout.splitlines())


def test_exactly_the_jobs_files_go(tmp_path: Path) -> None:
    """Files of others stay, also those that look the same; the entries are pending, and a run uploads them again."""
    with staged(tmp_path, keep=True) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=12, size=100))
        stage.run(expect=0)
        ours = {str(row.file_id) for row in row_by_path(stage).values()}
        first = min(row_by_path(stage)).decode()
        upload_as_stranger(
            stage.url, filename=first.rpartition("/")[2], content=(tmp_path / first).read_bytes()
        )
        strangers = set(ids_at(stage.url)) - ours
        call(stage.url, "DELETE", f"/{min(ours)}")

        shown = stage.call("undo", str(stage.ledger), "--dry-run")
        assert {line.split()[0] for line in shown.stdout.splitlines()} == ours
        assert len(ids_at(stage.url)) == 12

        assert undone(stage) == {"deleted": 11, "gone": 1}
        assert set(ids_at(stage.url)) == strangers
        assert {row.status for row in row_by_path(stage).values()} == {"pending"}
        assert undone(stage) == {}
        stage.run(expect=0)
        assert not {str(row.file_id) for row in row_by_path(stage).values()} & ours


def test_nothing_is_deleted_without_a_yes(tmp_path: Path) -> None:
    """Where nobody can answer, the command refuses and says how to say yes beforehand."""
    with staged(tmp_path) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=2, size=10))
        stage.run(expect=0)
        ended = stage.call("undo", str(stage.ledger))
        assert ended.code == ExitStatus.USAGE
        assert "--yes" in ended.stderr
        assert len(ids_at(stage.url)) == 2


def test_only_superseded_versions_go(tmp_path: Path) -> None:
    """After a file was changed and uploaded anew, its older version can be removed alone."""
    tree = written(tmp_path / "tree", {b"a.txt": b"old", b"b.txt": b"same"})
    with staged(tmp_path) as stage:
        stage.use(tree)
        stage.run(expect=0)
        old = str(row_by_path(stage)[b"tree/a.txt"].file_id)
        (tmp_path / "tree" / "a.txt").write_bytes(b"newer")
        stage.run(expect=0)
        assert undone(stage, "--only", "superseded") == {"deleted": 1}
        current = {str(row.file_id) for row in row_by_path(stage).values()}
        assert set(ids_at(stage.url)) == current
        assert old not in current
        stage.run(expect=0)
        assert len(uploads_of(stage)) == 3


def test_what_the_manifest_dropped_is_taken_back_alone(tmp_path: Path) -> None:
    """A line that was taken out can be undone without the rest; where several manifests ran, which one counts is asked."""
    with staged(tmp_path) as stage:
        stage.use(written(tmp_path / "tree", {b"a.txt": b"kept", b"b.txt": b"dropped"}))
        stage.run(expect=0)
        assert undone(stage, "--only", "dropped") == {}
        stage.use(written(tmp_path / "tree", {b"a.txt": b"kept"}))
        assert "1 entry of the ledger is not in this manifest (dropped)" in stage.run(expect=0).stderr
        shown = stage.call("undo", str(stage.ledger), "--only", "dropped", "--dry-run")
        assert [line.split()[1] for line in shown.stdout.splitlines()] == ["tree/b.txt"]
        with closing(sqlite3.connect(stage.ledger)) as connection, connection:
            connection.execute(
                "INSERT INTO runs (version, pid, started_utc, manifest) SELECT version, pid, started_utc,"
                " CAST('/other.jsonl' AS BLOB) FROM runs WHERE run_id = 1"
            )
            connection.execute("UPDATE runs SET run_id = -1 WHERE manifest = CAST('/other.jsonl' AS BLOB)")
        refused = stage.call("undo", str(stage.ledger), "--only", "dropped", "--yes")
        assert (refused.code, "/other.jsonl" in refused.stderr) == (ExitStatus.USAGE, True)
        wrong = stage.call(
            "undo", str(stage.ledger), "--only", "dropped", "--manifest", "/other.jsonl", "--yes"
        )
        assert (wrong.code, len(ids_at(stage.url))) == (ExitStatus.USAGE, 2)
        assert undone(stage, "--only", "dropped", "--manifest", str(stage.manifest)) == {"deleted": 1}
        assert set(ids_at(stage.url)) == {str(row.file_id) for row in row_by_path(stage).values()}


def test_only_duplicates_with_the_same_content_go(tmp_path: Path) -> None:
    """A second copy that a resent upload left is removed; a stranger's file of the same name and size is kept."""
    tree = written(tmp_path / "tree", {b"a.txt": b"ours!"})
    with staged(tmp_path, "drop-stored,ok", keep=True) as stage:
        stage.use(tree)
        stage.run("--in-doubt", "hold", expect=4)
        upload_as_stranger(stage.url, filename="a.txt", content=b"other")
        assert stage.call("resolve", str(stage.ledger), "resend", "tree/a.txt", "--yes").code == 0
        stage.run(expect=0)
        kept = str(row_by_path(stage)[b"tree/a.txt"].file_id)
        assert len(ids_at(stage.url)) == 3
        assert undone(stage, "--only", "duplicates", expect=3) == {"deleted": 1, "kept": 1}
        left = stored_of(stage)
        assert {left[one].sha256 for one in ids_at(stage.url) if one != kept} != {left[kept].sha256}
        assert kept in ids_at(stage.url)
        assert len(ids_at(stage.url)) == 2


def test_two_ledgers_of_one_job_leave_each_others_files_alone(tmp_path: Path) -> None:
    """The same job ran on two hosts: `verify` says whose the copies may be, `undo` keeps them, a person can name one."""
    tree = plain_tree(tmp_path / "tree", count=2, size=10)
    with staged(tmp_path, keep=True) as stage:
        stage.use(tree)
        ledgers = [str(tmp_path / "one.ledger.db"), str(tmp_path / "two.ledger.db")]
        for ledger in ledgers:
            stage.run("--ledger", ledger, expect=0)
        for ledger in ledgers:
            verified = stage.call("verify", ledger)
            assert verified.code == ExitStatus.DIFFERENCES
            assert verified.stdout.count("may belong to another job") == 2
            assert "--only duplicates" not in verified.stderr
            ended = stage.call("undo", ledger, "--only", "duplicates", "--yes")
            assert ended.code == ExitStatus.SOME_FAILED, ended.stderr
            assert ended.stdout.count("may belong to another job") == 2
            assert len(ids_at(stage.url)) == 4
        copy = stage.call("verify", ledgers[1]).stdout.split()[1]
        assert stage.call("undo", ledgers[1], copy, "--yes").code == ExitStatus.USAGE
        assert stage.call("undo", ledgers[0], "--only", "duplicates", copy, "--yes").code == ExitStatus.USAGE
        assert stage.call("undo", ledgers[1], "--only", "duplicates", copy, "--yes").code == ExitStatus.DONE
        assert copy not in ids_at(stage.url)
        assert len(ids_at(stage.url)) == 3


def test_a_killed_undo_goes_on_where_it_was(tmp_path: Path) -> None:
    """After kill -9 no entry claims a file that is gone, and the same command finishes the job."""
    with staged(tmp_path) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=120, size=10))
        stage.run(expect=0)
        for left in (100, 60, 20):
            process = stage.start("undo", str(stage.ledger), "--yes")
            # mypy infers no type for a parameter that has a default alone; it binds the number of this round.
            process.until(lambda left=left: len(ids_at(stage.url)) <= left, "deletions")  # type: ignore[misc]
            process.kill()
            there = ids_at(stage.url)
            claimed = {str(row.file_id) for row in row_by_path(stage).values() if row.status == "accepted"}
            assert claimed <= set(there)
        undone(stage)
        assert ids_at(stage.url) == {}
        assert {row.status for row in row_by_path(stage).values()} == {"pending"}


def test_one_signal_finishes_what_was_begun(tmp_path: Path) -> None:
    """After SIGINT nothing is left open, and the exit code says that it was stopped."""
    with staged(tmp_path) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=120, size=10))
        stage.run(expect=0)
        process = stage.start("undo", str(stage.ledger), "--yes")
        process.until(lambda: len(ids_at(stage.url)) < 110, "deletions")
        process.signal(signal.SIGINT)
        ended = process.wait()
        there = ids_at(stage.url)
        rows = row_by_path(stage).values()
        assert ended.code == (130 if there else 0), ended.stderr
        assert {str(row.file_id) for row in rows if row.status == "accepted"} == set(there)
        assert not any(row.status == "in_doubt" for row in rows)


def test_an_adopted_file_goes_only_when_asked_for(tmp_path: Path) -> None:
    """A file found in the list after a lost answer is kept and named; with --adopted it is listed first, and deleted."""
    with staged(tmp_path, "drop-stored,ok*9", keep=True) as stage:
        stage.use(plain_tree(tmp_path / "tree", count=3, size=10))
        stage.run("--settle", "1s", expect=0)
        shown = stage.call("undo", str(stage.ledger), "--dry-run")
        assert "Would keep 1 file whose ID was adopted" in shown.stderr
        assert len(shown.stdout.splitlines()) == 2
        assert undone(stage, expect=3) == {"deleted": 2, "kept": 1}
        (left,) = ids_at(stage.url)
        again = stage.call("undo", str(stage.ledger), "--yes")
        assert (again.code, len(ids_at(stage.url))) == (ExitStatus.SOME_FAILED, 1)
        ended = stage.call("undo", str(stage.ledger), "--adopted", "--yes")
        assert ended.code == 0
        assert f"  {left}  " in ended.stderr
        assert not ids_at(stage.url)
