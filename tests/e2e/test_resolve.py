"""`resolve` shows what is in doubt, and each way out of it is recorded with who took it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.e2e.callers import ids_at
from tests.e2e.servers import upload_as_stranger
from tests.e2e.stage import Ended, Stage, staged
from tests.e2e.trees import written
from tests.e2e.witness import row_by_path, states_in, stored_of, uploads_of

STREAMED_BYTES = 300_000
"""More than is read in one piece: the hash is known only once all of it was sent."""


@contextmanager
def doubtful(folder: Path, faults: str = "drop-stored*2", *, keep: bool = False) -> Iterator[Stage]:
    """A job with two entries in doubt; with `keep` the server returns what it was sent."""
    with staged(folder, faults, keep=keep) as stage:
        stage.use(written(folder / "tree", {b"a.txt": b"aaa", b"b.txt": b"bbbb"}))
        stage.run("--in-doubt", "hold", expect=4)
        yield stage


def resolved(stage: Stage, *arguments: str, expect: int) -> Ended:
    """Run `resolve`."""
    ended = stage.call("resolve", str(stage.ledger), *arguments)
    assert ended.code == expect, ended.stderr
    return ended


def decisions(stage: Stage) -> list[tuple[str, str]]:
    """What the ledger says was decided, and by whom."""
    with closing(sqlite3.connect(f"file:{stage.ledger}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT decided_by, decision FROM decisions ORDER BY 1, 2").fetchall()


def receipts(stage: Stage) -> dict[str, tuple[str, str | None]]:
    """Return how each receipt was obtained, and its hash, by the name that was sent."""
    with closing(sqlite3.connect(f"file:{stage.ledger}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT sent_name, obtained, sha256 FROM receipts").fetchall()
    return {name: (obtained, sha256) for name, obtained, sha256 in rows}


@contextmanager
def crashed(folder: Path) -> Iterator[tuple[Stage, dict[bytes, bytes]]]:
    """A job whose run was killed before it had recorded the hashes of what the server has."""
    contents = {name: name[:1] * STREAMED_BYTES for name in (b"same.txt", b"changed.txt")}
    with staged(folder, "delay:600*2") as stage:
        stage.use(written(folder / "tree", contents))
        process = stage.start_run()
        process.until(lambda: len(stored_of(stage)) == 2, "two uploads that wait for their answer")
        process.kill()
        stage.use_faults("")
        (folder / "tree" / "changed.txt").write_bytes(b"!" * STREAMED_BYTES)
        yield stage, contents


def id_of(stage: Stage, name: str) -> str:
    (file_id,) = [one for one, filename in ids_at(stage.url).items() if filename == name]
    return file_id


def test_what_is_in_doubt_is_shown(tmp_path: Path) -> None:
    """Without a command it lists the entries, ends with 4, needs no key and changes nothing."""
    with doubtful(tmp_path) as stage:
        before = stage.ledger.read_bytes()
        shown = resolved(stage, expect=4)
        assert "tree/a.txt\n" in shown.stdout
        assert "tree/b.txt\n" in shown.stdout
        assert "resolve LEDGER adopt PATH ID" in shown.stderr
        assert stage.ledger.read_bytes() == before


def test_a_dry_run_settles_nothing(tmp_path: Path) -> None:
    """Each way out can be tried: the entries are named, the look-up is made, and nothing is recorded."""
    with doubtful(tmp_path) as stage:
        for command, verb in (("reconcile", "look up"), ("resend", "send again"), ("abandon", "give up")):
            chosen = () if command == "reconcile" else ("--all",)
            shown = resolved(stage, command, *chosen, "--dry-run", expect=0)
            assert f"Would {verb} 2 entries." in shown.stderr
            assert shown.stdout.split()[::2] == ["tree/a.txt", "tree/b.txt"]
        shown = resolved(stage, "abandon", "tree/b.txt", "--dry-run", expect=0)
        assert shown.stdout.split()[0] == "tree/b.txt"
        shown = resolved(stage, "adopt", "tree/a.txt", id_of(stage, "a.txt"), "--dry-run", expect=0)
        assert "Would adopt" in shown.stderr
        assert decisions(stage) == []
        assert states_in(row_by_path(stage)) == {"in_doubt": 2}


def test_reconciling_by_hand_adopts_and_releases(tmp_path: Path) -> None:
    """What the list has is adopted, what it has not may be sent again; nothing is sent meanwhile."""
    with doubtful(tmp_path, "drop-stored,500") as stage:
        resolved(stage, "reconcile", "--settle", "100ms", "--yes", expect=0)
        assert states_in(row_by_path(stage)) == {"accepted": 1, "pending": 1}
        assert all("@" in who for who, _ in decisions(stage))
        assert len(uploads_of(stage)) == 2
        stage.run(expect=0)
        assert len(uploads_of(stage)) == 3
        assert resolved(stage, expect=0).stdout == ""


def test_reconciling_by_hand_records_who_decided_and_the_hash(tmp_path: Path) -> None:
    """A file that is still the one that was sent is hashed; of a changed one nobody knows any more what was sent."""
    with crashed(tmp_path) as (stage, contents):
        resolved(stage, "reconcile", "--settle", "100ms", "--yes", expect=0)
        assert receipts(stage) == {
            "same.txt": ("reconciled", hashlib.sha256(contents[b"same.txt"]).hexdigest()),
            "changed.txt": ("reconciled", None),
        }
        assert [what.split()[0] for _, what in decisions(stage)] == ["adopted", "adopted"]
        assert all("@" in who for who, _ in decisions(stage))


def test_reconciling_by_hand_needs_no_files(tmp_path: Path) -> None:
    """Where the job's folder is not there any more, receipts have no hash."""
    with crashed(tmp_path) as (stage, _):
        (tmp_path / "tree").rename(tmp_path / "gone")
        resolved(stage, "reconcile", "--settle", "100ms", "--yes", expect=0)
        assert set(receipts(stage).values()) == {("reconciled", None)}


def test_adopting_by_hand_records_the_hash(tmp_path: Path) -> None:
    """The hash is that of the file on disk, where it is still the one that was sent."""
    with crashed(tmp_path) as (stage, contents):
        resolved(stage, "adopt", "tree/same.txt", id_of(stage, "same.txt"), "--yes", expect=4)
        assert receipts(stage) == {"same.txt": ("adopted", hashlib.sha256(contents[b"same.txt"]).hexdigest())}


def test_a_person_may_adopt_a_file(tmp_path: Path) -> None:
    """The file is looked up first; one of another name, an unknown one and another entry's are refused."""
    with doubtful(tmp_path) as stage:
        ours, other = id_of(stage, "a.txt"), id_of(stage, "b.txt")
        assert (
            "is not what was sent" in resolved(stage, "adopt", "tree/a.txt", other, "--yes", expect=2).stderr
        )
        assert "has no file" in resolved(stage, "adopt", "tree/a.txt", "file-0", "--yes", expect=2).stderr
        assert "not in doubt" in resolved(stage, "adopt", "tree/c.txt", ours, "--yes", expect=2).stderr
        resolved(stage, "adopt", "tree/a.txt", ours, "--yes", expect=4)
        resolved(stage, "adopt", "tree/b.txt", other, "--yes", expect=0)
        assert row_by_path(stage)[b"tree/a.txt"].file_id == ours
        who, what = decisions(stage)[0]
        assert "@" in who
        assert what == f"adopted {min(ours, other)}"
        stage.run(expect=0)
        assert len(uploads_of(stage)) == 2


def test_an_id_is_adopted_once(tmp_path: Path) -> None:
    """Two entries that look alike cannot both have the same file."""
    with staged(tmp_path, "drop-stored*2") as stage:
        stage.use(written(tmp_path / "tree", {b"1/a.txt": b"aaa", b"2/a.txt": b"bbb"}))
        stage.run("--in-doubt", "hold", expect=4)
        (first,) = ids_at(stage.url)
        resolved(stage, "adopt", "tree/1/a.txt", first, "--yes", expect=0)
        stage.run("--in-doubt", "hold", expect=4)
        (second,) = set(ids_at(stage.url)) - {first}
        told = resolved(stage, "adopt", "tree/2/a.txt", first, "--yes", expect=2)
        assert "another entry's" in told.stderr
        resolved(stage, "adopt", "tree/2/a.txt", second, "--yes", expect=0)


def test_a_person_may_resend(tmp_path: Path) -> None:
    """The next run sends it once more; the copy that the server has is then a duplicate."""
    with doubtful(tmp_path) as stage:
        resolved(stage, "resend", "tree/a.txt", "--yes", expect=4)
        resolved(stage, "resend", "--all", "--yes", expect=0)
        assert all("to be sent again, as" in what and "@" in who for who, what in decisions(stage))
        stage.run(expect=0)
        assert len(uploads_of(stage)) == 4


def test_a_person_may_abandon(tmp_path: Path) -> None:
    """The entry is rejected, and stays so until --retry rejected."""
    with doubtful(tmp_path) as stage:
        resolved(stage, "abandon", "tree/a.txt", "tree/b.txt", "--yes", expect=0)
        assert states_in(row_by_path(stage)) == {"rejected": 2}
        stage.run(expect=3)
        assert len(uploads_of(stage)) == 2


def test_nothing_is_decided_without_a_yes(tmp_path: Path) -> None:
    """Where nobody can answer, every command refuses."""
    with doubtful(tmp_path) as stage:
        for words in (("resend", "--all"), ("abandon", "--all"), ("reconcile",)):
            assert "--yes" in resolved(stage, *words, expect=2).stderr
        assert states_in(row_by_path(stage)) == {"in_doubt": 2}


def test_several_candidates_are_left_to_the_person(tmp_path: Path) -> None:
    """Reconciling names them and changes nothing; the person adopts one."""
    with doubtful(tmp_path) as stage:
        upload_as_stranger(stage.url, filename="a.txt", content=b"xxx")
        told = resolved(stage, "reconcile", "--settle", "100ms", "--yes", expect=4)
        candidates = [one for one, name in ids_at(stage.url).items() if name == "a.txt"]
        assert all(one in told.stdout for one in candidates)
        resolved(stage, "adopt", "tree/a.txt", candidates[0], "--yes", expect=0)


def test_other_content_is_never_adopted(tmp_path: Path) -> None:
    """A stranger's file of the same name, size and purpose is refused to a person, and told apart from ours."""
    with doubtful(tmp_path, keep=True) as stage:
        ours = id_of(stage, "a.txt")
        upload_as_stranger(stage.url, filename="a.txt", content=b"xxx")
        (theirs,) = {one for one, name in ids_at(stage.url).items() if name == "a.txt"} - {ours}
        told = resolved(stage, "adopt", "tree/a.txt", theirs, "--yes", expect=2)
        assert "its content differs" in told.stderr
        told = resolved(stage, "adopt", "tree/b.txt", id_of(stage, "b.txt"), "--yes", expect=4)
        assert "content compared whole" in told.stderr
        told = resolved(stage, "reconcile", "--settle", "100ms", "--yes", expect=0)
        # Another content counts only if it came twice.
        assert f"{theirs} has other content than tree/a.txt (compared whole, 6 B read back)" in told.stderr
        assert f"{ours} has the content of tree/a.txt (compared whole, 3 B read back)" in told.stderr
        assert row_by_path(stage)[b"tree/a.txt"].file_id == ours


def test_a_run_says_what_it_compared(tmp_path: Path) -> None:
    """The summary has the files and the bytes that were read back."""
    with staged(tmp_path, "drop-stored", keep=True) as stage:
        stage.use(written(tmp_path / "tree", {b"a.txt": b"aaa"}))
        ended = stage.run("--settle", "100ms", expect=0)
        assert "Compared 1 file at the server by content, 3 B read back." in ended.stderr
