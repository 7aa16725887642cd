"""`bulk-upload validate ./datasets`: the files of a folder with the purposes that a run gives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here
from tests.core.folder.test_likeness import CHAT, EXAMPLES, lines

DONE, SHORT, USAGE, INVALID = (
    ExitStatus.DONE,
    ExitStatus.SOME_FAILED,
    ExitStatus.USAGE,
    ExitStatus.INVALID_INPUT,
)
BAD = {"messages": [{"role": "human", "content": "Why?"}, {"role": "assistant", "content": "So."}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder `datasets` in the current one, with good files of two purposes."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "datasets"
    (root / "corpus").mkdir(parents=True)
    (root / "chat.jsonl").write_bytes(lines(CHAT))
    (root / "corpus" / "sea.jsonl").write_bytes(lines(EXAMPLES["pre-train"]))
    return root


def test_every_file_is_validated_for_its_own_purpose(folder: Path) -> None:
    """No purpose has to be given; nothing is sent, and nothing is made."""
    before = sorted(folder.parent.rglob("*"))
    ended = run_here("validate", "datasets", SEEKR_API_KEY=None)
    assert (ended.status, ended.stdout) == (DONE, b"")
    assert ended.stderr.splitlines() == [
        "datasets: 2 files to validate, 115 B",
        "  fine-tune  1 file, 93 B",
        "  pre-train  1 file, 22 B",
        "2 files, 2 lines, 115 B: 0 errors, 0 warnings",
    ]
    assert sorted(folder.parent.rglob("*")) == before
    assert run_here("validate", "datasets", "--quiet").text == ""


def test_findings_name_the_file_and_a_command_that_works_from_here(folder: Path) -> None:
    """Errors end it with 10, also where files are left out; paths are relative to the folder, commands are not."""
    (folder / "chat.jsonl").write_bytes(lines(CHAT, BAD))
    (folder / "README.md").write_text("# Tides\n")
    ended = run_here("validate", "./datasets")
    assert ended.status == INVALID
    out = ended.stdout.decode()
    assert "error: wrong-role on 1 of 2 lines in 1 file, first in chat.jsonl:2\n" in out
    assert "bulk-upload convert datasets/chat.jsonl --purpose fine-tune\n" in out
    assert "add --map '*.md=alignment', or --exclude '*.md'" in ended.stderr
    (finding,) = run_here("validate", "./datasets", "--json", "--exclude", "*.md").stdout.splitlines()
    assert (json.loads(finding)["rule"], json.loads(finding)["line"]) == ("wrong-role", 2)


def test_what_is_left_out_ends_with_3_until_the_named_option_is_added(folder: Path) -> None:
    """A check that skipped files must not look like one of all."""
    (folder / "README.md").write_text("# Tides\n")
    ended = run_here("validate", "datasets")
    assert ended.status == SHORT
    assert "add --map '*.md=alignment', or --exclude '*.md'" in ended.stderr
    assert run_here("validate", "datasets", "--exclude", "*.md").status == DONE
    assert run_here("validate", "datasets", "--map", "*.md=alignment").status == DONE


def test_purposes_of_the_ledger_count(folder: Path, server: str) -> None:
    """A file that was sent under a purpose is validated for it, without the option."""
    (folder / "README.md").write_text("# Tides\n")
    assert run_here("./datasets", "--map", "*.md=alignment", SEEKR_BASE_URL=server).status == DONE
    assert run_here("validate", "datasets").status == SHORT
    assert run_here("validate", "datasets", SEEKR_BASE_URL=server).status == DONE
    assert run_here("validate", "datasets", "--base-url", server).status == DONE
    (ledger,) = folder.parent.glob("*.ledger.db")
    assert run_here("validate", "datasets", "--ledger", ledger.name).status == DONE


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("datasets/chat.jsonl", "--exclude", "*.md"), "--exclude chooses among the files of a folder"),
        (("datasets", "--root", "x"), "--root is for manifests"),
        (("datasets", "--map", "*=fine-toon"), 'Did you mean "fine-tune"?'),
        (("empty",), 'there is no file to validate in "empty"'),
    ],
)
def test_misuse_ends_with_2(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be meant is said."""
    (folder.parent / "empty").mkdir()
    ended = run_here("validate", *arguments)
    assert ended.status == USAGE
    assert says in ended.stderr
