"""`--hash blake3` from the command line: what users see, and what they are told where its package is missing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.core.content_hash import BLAKE3_PREFIX, HashFunction, hash_of
from bulk_upload.sandbox import Sandbox, SandboxConfig, sandbox_in_thread
from tests.cli.stage import Ended, lay_out, run_here


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """A server, and a folder with a job."""
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path)
    with sandbox_in_thread(SandboxConfig(directory=str(tmp_path / "kept"))) as running:
        yield running


def ran(sandbox: Sandbox, *arguments: str, status: int = 0) -> Ended:
    """Run a command on the server."""
    ended = run_here(*arguments, SEEKR_BASE_URL=sandbox.url)
    assert ended.status == status, ended.text
    return ended


def run_job(sandbox: Sandbox, *options: str) -> Ended:
    """Run the job with these options."""
    return ran(sandbox, "run", "good.jsonl", "--ledger", "l.db", "--results", "none", *options)


def exported() -> list[dict[str, str | None]]:
    """Return the rows of the ledger."""
    return [
        json.loads(line)
        for line in run_here("ledger", "export", "l.db", "--format", "jsonl").stdout.splitlines()
    ]


def test_a_column_never_holds_the_hash_of_another_function(sandbox: Sandbox) -> None:
    """Exports, results and the page have a BLAKE3 as such, and `sha256` stays empty."""
    pytest.importorskip("blake3")
    printed = ran(sandbox, "run", "good.jsonl", "--ledger", "l.db", "--hash", "blake3", "--json").stdout
    rows = exported()
    assert rows
    for row in rows + [json.loads(line) for line in printed.splitlines()]:
        expected = hash_of(Path(str(row["path"])).read_bytes(), HashFunction.BLAKE3)
        assert (row["sha256"], row["blake3"]) == (None, expected.removeprefix(BLAKE3_PREFIX))
    run_here("report", "l.db", "-o", "page.html")
    assert f"blake3:{rows[0]['blake3']}" in Path("page.html").read_text("utf-8")


def test_a_later_run_with_another_function_sends_nothing_again(sandbox: Sandbox) -> None:
    """Touched files are compared with their receipts, which keep their hashes; new files get the new ones."""
    pytest.importorskip("blake3")
    run_job(sandbox, "--hash", "blake3")
    before = exported()
    for row in before:
        os.utime(str(row["path"]), (1, 1))
    count = len(sandbox.files)
    run_job(sandbox)
    assert (exported(), len(sandbox.files)) == (before, count)
    ran(sandbox, "verify", "l.db", "--content")


def test_what_is_fetched_is_compared_with_its_receipt(sandbox: Sandbox) -> None:
    """Also by a BLAKE3; what is printed is the SHA-256, as ever."""
    pytest.importorskip("blake3")
    run_job(sandbox, "--hash", "blake3")
    row = exported()[0]
    got = ran(sandbox, "files", "get", str(row["file_id"]), "--ledger", "l.db", "-o", "got", "--json")
    content = Path("got").read_bytes()
    assert json.loads(got.stdout)["sha256"] == hashlib.sha256(content).hexdigest()
    assert content == Path(str(row["path"])).read_bytes()


def test_a_fetched_file_that_is_another_one_is_named_by_the_hash_of_its_receipt(sandbox: Sandbox) -> None:
    """The message has both hashes, of one function."""
    pytest.importorskip("blake3")
    run_job(sandbox, "--hash", "blake3")
    row = exported()[0]
    sandbox.replace_content(str(row["file_id"]), b"x" * int(str(row["bytes"])))
    said = ran(sandbox, "files", "get", str(row["file_id"]), "--ledger", "l.db", "-o", "got", status=5).stderr
    assert re.search(
        rf"its blake3 [0-9a-f]{{64}}, the receipt's blake3 {row['blake3']}", " ".join(said.split())
    )


@pytest.mark.parametrize(
    "command",
    [
        ("run", "good.jsonl", "--ledger", "new.db", "--hash", "blake3"),
        ("verify", "l.db", "--content"),
        ("files", "get", "FILE", "--ledger", "l.db", "-o", "got"),
    ],
    ids=lambda command: command[0],
)
def test_without_the_package_commands_name_the_extra(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Where a BLAKE3 must be made and cannot be: exit code 2, nothing is sent or written."""
    if command[0] != "run":
        pytest.importorskip("blake3")
        run_job(sandbox, "--hash", "blake3")
        file_id = str(exported()[0]["file_id"])
        command = tuple(file_id if one == "FILE" else one for one in command)
    count = len(sandbox.files)
    monkeypatch.setitem(sys.modules, "blake3", None)
    said = ran(sandbox, *command, status=2).stderr
    assert "pip install 'bulk-upload[blake3]'" in said
    assert (len(sandbox.files), Path("new.db").exists(), Path("got").exists()) == (count, False, False)
