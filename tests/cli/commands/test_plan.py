"""`bulk-upload plan`, as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a manifest of two files that are there and one that is not."""
    monkeypatch.chdir(tmp_path)
    names = ("a.jsonl", "gone.jsonl", "b.jsonl")
    (tmp_path / "m.jsonl").write_text(
        "".join(f'{{"path": "{name}", "purpose": "pre-train"}}\n' for name in names)
    )
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": "x"}\n')
    return tmp_path


def test_files_that_are_missing_are_counted_and_named(folder: Path) -> None:
    """A plan shows what would be sent, and beside it what is not there and why."""
    ended = run_here("plan", "m.jsonl")
    assert ended.status == ExitStatus.DONE
    lines = ended.stdout.decode().splitlines()
    assert "  2 to send (28 B)" in lines
    missing = lines.index("  1 file missing or unreadable, not sent; the next run looks again")
    assert lines[missing + 1] == '      1 x there is no file "gone.jsonl"'


def test_the_list_says_what_is_missing(folder: Path) -> None:
    """Each entry has its step and reason, those without a file, too."""
    ended = run_here("plan", "m.jsonl", "--list")
    steps = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [(one["path"], one["step"]) for one in steps] == [
        ("a.jsonl", "send"),
        ("gone.jsonl", "missing"),
        ("b.jsonl", "send"),
    ]
    assert steps[1]["reason"] == 'there is no file "gone.jsonl"'


def test_strict_paths_refuse_the_manifest(folder: Path) -> None:
    """One bad path is enough, and its finding says what to do."""
    ended = run_here("plan", "m.jsonl", "--strict-paths")
    assert ended.status == ExitStatus.INVALID_INPUT
    assert ended.stderr.startswith('m.jsonl:2 [path]: there is no file "gone.jsonl" (missing-file). ')
    assert run_here("plan", "m.jsonl", BULK_UPLOAD_STRICT_PATHS="1") == ended


def test_a_mount_that_is_not_there(folder: Path) -> None:
    """Where most files are missing the plan ends like the run would, before anything is sent."""
    (folder / "a.jsonl").unlink()
    ended = run_here("plan", "m.jsonl")
    assert ended.status == ExitStatus.INVALID_INPUT
    assert "2 of 3 files are missing or unreadable; nothing was sent" in ended.stderr
    assert "mounted" in ended.stderr
    assert ended.stderr.count("(missing-file)") == 2
