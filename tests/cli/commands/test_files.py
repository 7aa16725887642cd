"""`files ls`, `get` and `rm`: the files of a server, whoever sent them."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread
from tests.cli.stage import Ended, lay_out, run_here
from tests.e2e.callers import call, ids_at
from tests.e2e.servers import upload_as_stranger


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A server that keeps what it takes, and a folder with a job that was run on it."""
    desk = tmp_path / "desk"
    desk.mkdir()
    monkeypatch.chdir(desk)
    lay_out(desk)
    with sandbox_in_thread(SandboxConfig(directory=str(tmp_path / "kept"))) as running:
        yield running


def files(sandbox: Sandbox, *arguments: str, expect: int = 0) -> Ended:
    """Run `files` on the server."""
    ended = run_here("files", *arguments, SEEKR_BASE_URL=sandbox.url)
    assert ended.status == expect, ended.text
    return ended


def listed(sandbox: Sandbox, *options: str) -> list[dict[str, object]]:
    """Return what `files ls --json` prints."""
    return [json.loads(line) for line in files(sandbox, "ls", "--json", *options).stdout.splitlines()]


def store(sandbox: Sandbox, name: str, content: bytes, *, purpose: str = "pre-train") -> str:
    """Upload a file that no ledger knows; return its id."""
    before = set(ids_at(sandbox.url))
    upload_as_stranger(sandbox.url, filename=name, content=content, purpose=purpose)
    (file_id,) = set(ids_at(sandbox.url)) - before
    return file_id


def run_job(sandbox: Sandbox) -> dict[str, str]:
    """Run the job of the folder; return its ids by path."""
    assert (
        run_here("run", "good.jsonl", "--quiet", "--ledger", "l.db", SEEKR_BASE_URL=sandbox.url).status == 0
    )
    return ids_in_ledger()


def ids_in_ledger() -> dict[str, str]:
    """Return the id of each accepted entry by its path."""
    exported = run_here("ledger", "export", "l.db", "--format", "jsonl").stdout
    rows = [json.loads(line) for line in exported.splitlines()]
    return {row["path"]: row["file_id"] for row in rows if row["status"] == "accepted"}


def test_the_newest_files_come_first(sandbox: Sandbox) -> None:
    """All of them over any number of pages, each once; --limit stops early; the text has a line for each."""
    ids = [store(sandbox, f"f-{number:03}.txt", b"x" * (number + 1)) for number in range(230)]
    assert [one["file_id"] for one in listed(sandbox)] == ids[::-1]
    assert [one["file_id"] for one in listed(sandbox, "--limit", "3")] == ids[:-4:-1]
    newest = listed(sandbox, "--limit", "1")[0]
    assert (newest["filename"], newest["bytes"], newest["purpose"]) == ("f-229.txt", 230, "pre-train")
    lines = files(sandbox, "ls", "--limit", "2").stdout.decode().splitlines()
    assert [line.split("  ")[0] for line in lines] == ids[:-3:-1]
    assert lines[0].endswith("f-229.txt")
    assert files(sandbox, "ls", "--limit", "2", "--format", "json").stdout.count(b"{") == 2


def test_files_are_chosen_by_purpose_and_name(sandbox: Sandbox) -> None:
    """Both must fit; a pattern is of the whole name."""
    store(sandbox, "a.jsonl", b"1")
    chat = store(sandbox, "chat.jsonl", b"2", purpose="fine-tune")
    store(sandbox, "chat.jsonl", b"3")
    assert [one["file_id"] for one in listed(sandbox, "--name", "chat*", "--purpose", "fine-tune")] == [chat]
    assert len(listed(sandbox, "--name", "*.jsonl")) == 3
    assert listed(sandbox, "--name", "hat") == []


def test_a_file_is_fetched_under_its_name(sandbox: Sandbox) -> None:
    """Its content is what was sent; a file that is there is replaced only when that is asked for."""
    content = os.urandom(700_000)
    file_id = store(sandbox, "big.bin", content)
    printed = json.loads(files(sandbox, "get", file_id, "--json").stdout)
    sha256 = hashlib.sha256(content).hexdigest()
    assert printed == {"file_id": file_id, "path": "big.bin", "bytes": len(content), "sha256": sha256}
    assert Path("big.bin").read_bytes() == content
    Path("big.bin").write_bytes(b"mine")
    assert "--force" in files(sandbox, "get", file_id, expect=2).stderr
    assert Path("big.bin").read_bytes() == b"mine"
    files(sandbox, "get", file_id, "--force")
    assert Path("big.bin").read_bytes() == content
    assert files(sandbox, "get", file_id, "-o", "-").stdout == content
    files(sandbox, "get", file_id, "-o", "data/other.bin")
    assert Path("data/other.bin").read_bytes() == content


def test_a_servers_name_leads_nowhere_else(sandbox: Sandbox) -> None:
    """Without -o the file is written in the current folder, whatever the server calls it."""
    file_id = store(sandbox, "x.txt", b"x")
    call(sandbox.url, "PUT", f"/{file_id}/rename", {"new_filename": "../../out.txt"})
    before = set(os.listdir("."))
    files(sandbox, "get", file_id)
    (name,) = set(os.listdir(".")) - before
    assert name.endswith("out.txt")


def test_a_content_of_another_size_is_not_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """Shorter or longer than the server lists: no file is left, and the message has both sizes."""
    file_id = store(sandbox, "x.txt", b"0123456789")
    (kept,) = [one for one in (tmp_path / "kept").iterdir() if file_id in one.name]
    for content in (b"0123", b"0123456789abc"):
        kept.write_bytes(content)
        ended = files(sandbox, "get", file_id, expect=5)
        assert "10 bytes by the server's list" in ended.stderr
        assert not Path("x.txt").exists()


def test_a_content_that_is_not_the_receipts_is_not_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """With the ledger of its job a file must have the hash that was sent."""
    file_id = run_job(sandbox)["data/a.jsonl"]
    files(sandbox, "get", file_id, "--ledger", "l.db", "-o", "first")
    assert Path("first").read_bytes() == Path("data/a.jsonl").read_bytes()
    (kept,) = [one for one in (tmp_path / "kept").iterdir() if file_id in one.name]
    kept.write_bytes(b"#" * len(kept.read_bytes()))
    assert (
        "is not what was sent"
        in files(sandbox, "get", file_id, "--ledger", "l.db", "-o", "second", expect=5).stderr
    )
    assert not Path("second").exists()


def test_an_empty_list_is_told(sandbox: Sandbox) -> None:
    """To people, not to programs: no file, or none with the purpose or name that was asked for."""
    assert files(sandbox, "ls").stderr == "The server has no files.\n"
    store(sandbox, "a.txt", b"a")
    assert files(sandbox, "ls", "--purpose", "nothing").stderr == "The server has no such files.\n"
    assert files(sandbox, "ls", "--name", "*.csv", "--json").text == ""


def test_files_are_deleted_after_a_question(sandbox: Sandbox) -> None:
    """Without a terminal --yes is needed; --dry-run shows what would go; a file that is gone counts as deleted."""
    first, second = store(sandbox, "a.txt", b"a"), store(sandbox, "b.txt", b"b")
    assert "--yes" in files(sandbox, "rm", first, expect=2).stderr
    dry = files(sandbox, "rm", first, second, "--dry-run")
    assert b"a.txt" in dry.stdout
    assert "Would delete 2 files." in dry.stderr
    assert set(ids_at(sandbox.url)) == {first, second}
    ended = files(sandbox, "rm", first, first, "-y", "--json")
    assert [json.loads(line) for line in ended.stdout.splitlines()] == [
        {"file_id": first, "outcome": "deleted", "reason": None}
    ]
    assert list(ids_at(sandbox.url)) == [second]
    ended = files(sandbox, "rm", first, second, "--yes")
    assert "Not on the server: 1 of 2 files." in ended.stderr
    assert ended.stderr.splitlines()[-1] == "Deleted: 1. Already gone: 1."
    assert ended.stdout.decode().split() == ["gone", first, "deleted", second]


def test_a_deletion_is_recorded_in_the_ledger(sandbox: Sandbox) -> None:
    """The entry is pending and the next run sends it again; of a file without a receipt it is recorded who deleted it."""
    stranger = store(sandbox, "x.txt", b"x")
    ids = run_job(sandbox)
    files(sandbox, "rm", ids["data/a.jsonl"], stranger, "--yes", "--ledger", "good.jsonl", expect=11)
    files(sandbox, "rm", ids["data/a.jsonl"], stranger, "--yes", "--ledger", "l.db")
    assert set(ids_at(sandbox.url)) == {ids["data/b.jsonl"]}
    assert set(ids_in_ledger()) == {"data/b.jsonl"}
    with closing(sqlite3.connect("l.db")) as ledger:
        deletions = ledger.execute("SELECT file_id, outcome FROM deletions").fetchall()
        decisions = ledger.execute("SELECT decision FROM decisions WHERE entry_id IS NULL").fetchall()
    exported = run_here("ledger", "export", "l.db", "--all-receipts").text
    assert f"{ids['data/a.jsonl']} was deleted from the server by files rm" in exported
    assert ",deleted from the server by files rm," in exported
    assert deletions == [(ids["data/a.jsonl"], "deleted")]
    assert decisions == [(f"deleted {stranger} from the server",)]
    assert set(run_job(sandbox)) == {"data/a.jsonl", "data/b.jsonl"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "file/../x"), "cannot be the id of a file"),
        (("rm", "..", "--yes"), "cannot be the id of a file"),
        (("get", "file-none"), "the server has no file file-none"),
        (("ls", "--ledger", "l.db", "--base-url", "http://127.0.0.1:9"), "the ledger says which server"),
        (("rm",), "ID"),
    ],
)
def test_what_cannot_be_meant_is_refused(sandbox: Sandbox, arguments: tuple[str, ...], says: str) -> None:
    """Nothing is deleted and no file is written."""
    run_job(sandbox)
    before = set(os.listdir("."))
    assert says in files(sandbox, *arguments, expect=2).stderr
    assert set(os.listdir(".")) == before
