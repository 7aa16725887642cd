"""Completion as shells really do it, with the script that the command prints."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from bulk_upload.exit_status import ExitStatus
from tests.cli.stage import run_here, run_process, run_shell

COMMAND = f'#!/bin/sh\nexec {sys.executable} -m bulk_upload "$@"\n'


@pytest.fixture
def path(desk: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in PATH that has the command."""
    folder = desk / "bin"
    folder.mkdir()
    (folder / "bulk-upload").write_text(COMMAND)
    (folder / "bulk-upload").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return desk


def offered(words: str) -> list[str]:
    """What bash offers for the last of `words`: by the function that the script has registered."""
    ended = run_shell(
        f"""
eval "$(bulk-upload completion bash)"
function=$(complete -p bulk-upload | sed 's/.*-F \\([^ ]*\\).*/\\1/')
compopt() {{ printf '%s %s\\n' compopt "$2"; }}
COMP_WORDS=({words})
[[ "{words}" == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
"$function" bulk-upload "${{COMP_WORDS[COMP_CWORD]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    )
    assert (ended.status, ended.stderr) == (0, "")
    return ended.stdout.decode().split()


def test_bash_completes(path: Path) -> None:
    """Commands, options, choices and jobs are offered; files are left to the shell, folders where they are wanted."""
    (path / "bulk-upload.toml").write_text("[jobs.nightly]\nmanifest = 'm'\n[jobs.weekly]\nmanifest = 'm'\n")
    assert offered("bulk-upload und") == ["undo"]
    assert offered("bulk-upload ./da")[:2] == ["compopt", "default"]
    assert offered("bulk-upload run --max-a") == ["--max-attempts"]
    assert offered("bulk-upload run --in-doubt re") == ["reconcile", "resend"]
    assert offered("bulk-upload run --job ") == ["nightly", "weekly"]
    assert offered("bulk-upload run --profile f") == ["flow"]
    assert offered("bulk-upload run go")[:2] == ["compopt", "default"]
    assert offered("bulk-upload run --root da")[:2] == ["compopt", "dirnames"]


def test_a_broken_file_does_not_disturb_completion(path: Path) -> None:
    """While a word is completed nothing is complained about."""
    (path / "bulk-upload.toml").write_text("[jobs\n")
    assert offered("bulk-upload run --job n") == []
    assert offered("bulk-upload run --max-a") == ["--max-attempts"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_take_the_script(shell: str, path: Path) -> None:
    """The script of zsh and fish asks this command; where the shell is installed it reads it without complaint."""
    script = run_here("completion", shell).stdout.decode()
    assert f"_BULK_UPLOAD_COMPLETE={shell}_complete" in script
    assert "bulk-upload" in script
    if shutil.which(shell) is not None:
        (path / "script").write_text(script)
        assert run_shell(f"{shell} -n script").status == 0


@pytest.mark.parametrize(
    ("shell", "env", "answer"),
    [
        ("zsh", {"COMP_WORDS": "bulk-upload und", "COMP_CWORD": "1"}, "plain\nundo\n"),
        ("fish", {"COMP_WORDS": "bulk-upload und", "COMP_CWORD": "und"}, "plain,undo"),
    ],
)
def test_their_questions_are_answered(shell: str, env: dict[str, str], answer: str, desk: Path) -> None:
    """What the scripts of zsh and fish ask in the environment gets an answer and exit code 0."""
    ended = run_process(**env, _BULK_UPLOAD_COMPLETE=f"{shell}_complete")
    assert (ended.status, ended.stderr) == (0, "")
    assert ended.stdout.decode().replace("\r", "").startswith(answer)


def test_another_shell(desk: Path) -> None:
    """A shell that is not supported is told which ones are."""
    ended = run_here("completion", "tcsh")
    assert (ended.status, "'bash', 'zsh', 'fish'" in ended.stderr) == (ExitStatus.USAGE, True)
