"""`verify` names whatever is not as the ledger says, and nothing else."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from tests.e2e.callers import call, ids_at
from tests.e2e.servers import upload_as_stranger
from tests.e2e.stage import Ended, Stage, staged
from tests.e2e.trees import plain_tree, written
from tests.e2e.witness import row_by_path, uploads_of

COUNT = 12


def verified(stage: Stage, *options: str, expect: int, url: str | None = None) -> list[dict[str, str]]:
    """Verify, and return the differences."""
    ended = stage.start("verify", str(stage.ledger), "--json", *options, url=url).wait()
    assert ended.code == expect, ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def settled_job(stage: Stage, folder: Path) -> list[str]:
    """Run a job to its end and return the ids in the order of its paths."""
    stage.use(plain_tree(folder / "tree", count=COUNT, size=100))
    stage.run(expect=0)
    rows = row_by_path(stage)
    return [str(rows[path].file_id) for path in sorted(rows)]


def test_a_whole_job_verifies(tmp_path: Path) -> None:
    """Where nothing happened there is no difference, by the list and by the content, and nothing is changed."""
    with staged(tmp_path, keep=True) as stage:
        settled_job(stage, tmp_path)
        before = stage.ledger.read_bytes()
        assert verified(stage, expect=0) == []
        assert verified(stage, "--content", expect=0) == []
        assert stage.ledger.read_bytes() == before
        assert len(uploads_of(stage)) == COUNT


def test_each_difference_is_named(tmp_path: Path) -> None:
    """One deleted, one renamed, one of another size, three copies by somebody else: each is told, with its path."""
    with staged(tmp_path, keep=True) as stage:
        ids = settled_job(stage, tmp_path)
        assert call(stage.url, "DELETE", f"/{ids[0]}")[0] == 200
        assert call(stage.url, "PUT", f"/{ids[1]}/rename", {"new_filename": "other.txt"})[0] == 200
        stage.sandbox.replace_content(ids[2], b"short")
        rows = row_by_path(stage)
        for path in sorted(rows)[3:6]:
            content = (tmp_path / path.decode()).read_bytes()
            upload_as_stranger(stage.url, filename=path.decode().rpartition("/")[2], content=content)
        upload_as_stranger(stage.url, filename="unrelated.txt", content=b"x")
        found = verified(stage, expect=6)
        assert Counter(one["kind"] for one in found) == {
            "missing": 1,
            "renamed": 1,
            "resized": 1,
            "duplicate": 3,
        }
        paths = [path.decode() for path in sorted(rows)]
        # Receipts come in the order they were made, which requests in flight at once decide.
        told = {one["kind"]: (one["path"], one["file_id"]) for one in found[:3]}
        kinds = ("missing", "renamed", "resized")
        assert told == dict(zip(kinds, zip(paths, ids, strict=True), strict=False))
        assert {one["path"] for one in found[3:]} == set(paths[3:6])
        assert not {one["file_id"] for one in found[3:]} & set(ids)
        with_content = verified(stage, "--content", expect=6)
        assert Counter(one["kind"] for one in with_content)["content"] == 1


def test_what_an_abandoned_entry_left_is_an_orphan(tmp_path: Path) -> None:
    """The file of a lost answer that a person gave up is still there, and no receipt is for it; before, it is in doubt."""
    tree = written(tmp_path / "tree", {b"a.txt": b"lost"})
    with staged(tmp_path, "drop-stored") as stage:
        stage.use(tree)
        stage.run("--in-doubt", "hold", expect=4)
        said = stage.call("verify", str(stage.ledger)).stderr
        assert "1 entry is in doubt" in said
        assert "which has no other file of this job" not in said
        assert stage.call("resolve", str(stage.ledger), "abandon", "--all", "--yes").code == 0
        (one,) = verified(stage, expect=6)
        assert (one["kind"], one["path"]) == ("orphan", "tree/a.txt")
        assert one["file_id"] in ids_at(stage.url)


def test_a_refused_key_is_exit_12(tmp_path: Path) -> None:
    """The verdict is about the key, not about the files."""
    with staged(tmp_path, keys=("sandbox-key",)) as stage:
        settled_job(stage, tmp_path)
        ended: Ended = stage.start("verify", str(stage.ledger), key="wrong-key").wait()
        assert ended.code == 12, ended.stderr
        assert "wrong-key" not in ended.stderr


def test_a_missing_file_is_withdrawn_and_sent_again_when_asked_for(tmp_path: Path) -> None:
    """Not while its receipt is new, nor where the server has no file of the job at all; then `--retry withdrawn` sends it."""
    with staged(tmp_path, keep=True) as stage:
        ids = settled_job(stage, tmp_path)
        first = min(row_by_path(stage))

        def withdraw() -> str:
            ended = stage.call("verify", str(stage.ledger), "--withdraw", "--yes")
            assert ended.code == 6, ended.stderr
            return ended.stderr

        assert call(stage.url, "DELETE", f"/{ids[0]}")[0] == 200
        assert "Withdrawn: 0." in withdraw()
        with closing(sqlite3.connect(stage.ledger)) as ledger, ledger:
            ledger.execute("UPDATE receipts SET settled_utc = '2026-01-01T00:00:00.000000Z'")
        assert "Withdrawn: 1." in withdraw()
        assert (row_by_path(stage)[first].status, row_by_path(stage)[first].file_id) == ("withdrawn", None)
        assert verified(stage, expect=0) == []
        stage.run(expect=3)
        assert len(uploads_of(stage)) == COUNT
        stage.run("--retry", "withdrawn", expect=0)
        assert row_by_path(stage)[first].file_id in ids_at(stage.url)
        for one in ids_at(stage.url):
            call(stage.url, "DELETE", f"/{one}")
        assert "Nothing was withdrawn" in withdraw()


def test_missing_files_are_sent_again_when_asked_for(tmp_path: Path) -> None:
    """`verify` records them, a run says so and leaves them, `--retry missing` sends them; nothing else is sent."""
    with staged(tmp_path, keep=True) as stage:
        ids = settled_job(stage, tmp_path)
        for one in ids[:2]:
            assert call(stage.url, "DELETE", f"/{one}")[0] == 200
        first, second = sorted(row_by_path(stage))[:2]
        said = stage.call("verify", str(stage.ledger)).stderr
        assert "Recorded" not in said
        with closing(sqlite3.connect(stage.ledger)) as ledger, ledger:
            ledger.execute("UPDATE receipts SET settled_utc = '2000-01-01T00:00:00.000000Z'")
        said = stage.call("verify", str(stage.ledger)).stderr
        assert "Recorded: 2 missing." in said
        assert "2 accepted files are missing from the server" in stage.run(expect=0).stderr
        assert len(uploads_of(stage)) == COUNT
        stage.run("--retry", "missing", expect=0)
        assert len(uploads_of(stage)) == COUNT + 2
        rows = row_by_path(stage)
        assert {rows[first].file_id, rows[second].file_id} <= set(ids_at(stage.url))
        assert not {rows[first].file_id, rows[second].file_id} & set(ids)
        stage.run("--retry", "missing", expect=0)
        assert len(uploads_of(stage)) == COUNT + 2


def test_a_file_that_is_there_again_is_no_longer_missing(tmp_path: Path) -> None:
    """What one `verify` recorded the next one takes back; a server without any file of the job proves nothing."""
    with staged(tmp_path, keep=True) as stage:
        settled_job(stage, tmp_path)
        with closing(sqlite3.connect(stage.ledger)) as ledger, ledger:
            ledger.execute("UPDATE receipts SET settled_utc = '2000-01-01T00:00:00.000000Z'")
            ledger.execute(
                "UPDATE receipts SET missing_utc = '2000-01-01T00:00:00.000000Z' WHERE receipt_id = 1"
            )
        assert verified(stage, expect=0) == []
        assert "missing" not in stage.run("--retry", "missing", expect=0).stderr
        assert len(uploads_of(stage)) == COUNT
        for one in ids_at(stage.url):
            call(stage.url, "DELETE", f"/{one}")
        said = stage.call("verify", str(stage.ledger)).stderr
        assert "Recorded" not in said
        stage.run("--retry", "missing", expect=0)
        assert len(uploads_of(stage)) == COUNT
