"""Uploading a folder at a terminal: the plan, the questions and every answer to them."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import pytest

from bulk_upload.cli.folder.uploading import agreed
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.engine.plan import Plan
from bulk_upload.errors import LedgerOlder
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner
from tests.cli.folder.stage import DONE, SHORT, statuses, typed
from tests.cli.stage import KEY, NOWHERE, environment
from tests.processes.forked import terminal_words

WAIT_S = 60.0
CTRL_C, CTRL_C_AGAIN_S = "\x03", 2.0


def at_terminal(
    arguments: Sequence[str], answers: Sequence[tuple[str, str]], *, server: str
) -> tuple[int, str]:
    """Run a command at a terminal; each answer is typed once its question is there."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*terminal_words(), *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment({"SEEKR_BASE_URL": server, "SEEKR_API_KEY": KEY, "TERM": "dumb"}),
    )
    os.close(slave)
    shown, seen, typed = b"", 0, ""
    left = list(answers)
    ends_at = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < ends_at:
            if not select.select([master], [], [], CTRL_C_AGAIN_S)[0]:
                if typed == CTRL_C:
                    # Readline misses a signal that comes between its prompt and its wait; so does a person's first Ctrl-C.
                    os.write(master, CTRL_C.encode())
                continue
            piece = b""
            with suppress(OSError):
                # At the end Linux says EIO.
                piece = os.read(master, 65536)
            if not piece:
                break
            shown += piece
            if left and left[0][0].encode() in shown[seen:]:
                seen = len(shown)
                typed = left.pop(0)[1]
                os.write(master, typed.encode())
        return process.wait(WAIT_S), shown.decode().replace("\r", "")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_at_a_terminal_the_plan_is_confirmed(folder: Path, server: str) -> None:
    """A misspelt purpose is asked again, the plan comes before the question, and no means that nothing was sent."""
    purpose = "purpose of 1 file, perhaps alignment: "
    answers = [(purpose, "alignmen\n"), (purpose, "alignment\n"), ("[y/N]: ", "n\n")]
    status, shown = at_terminal(["./datasets"], answers, server=server)
    assert status == ExitStatus.UNFINISHED
    assert 'Did you mean "alignment"?' in shown
    assert "To be asked nothing next time, add: --map '*.md=alignment'\n" in shown
    assert shown.index("3 to send") < shown.index("Upload 3 files (") < shown.index("Nothing was sent.")
    assert not list(folder.parent.glob("*.ledger.db"))
    status, shown = at_terminal(["./datasets"], [(purpose, "\n"), ("[y/N]: ", "y\n")], server=server)
    assert status == DONE
    assert set(statuses(folder.parent)) == {"chat.jsonl", "corpus/sea.jsonl"}


def test_an_older_ledger_is_no_dead_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its plan is known once the run has brought it up to date: a person is asked about the whole folder."""
    wanted = FolderRequest(paths=("datasets",), purpose="pre-train")
    connection = Connection(endpoint=NOWHERE, profile=FLOW)
    planner = JobPlanner(connection)
    found = planner.folder_job(Job(manifest=""), wanted)

    def plan(*_: object, **__: object) -> Plan:
        raise LedgerOlder("older")

    asked: list[str] = []

    def prompt(question: str, **_: object) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr(JobPlanner, "plan", plan)
    monkeypatch.setattr(click, "prompt", prompt)
    with planner.listing(found) as listing:
        assert not agreed(planner, found, listing, connection, ValidateMode.AHEAD)
    assert "Upload 3 files (" in asked[0]
    assert "older version" in capsys.readouterr().err


PURPOSE_QUESTION, CONFIRMATION = "purpose of 1 file, perhaps alignment: ", "[y/N]: "


@pytest.mark.parametrize(
    ("answers", "status", "says"),
    [
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\n")], ExitStatus.UNFINISHED, "Nothing was sent."),
        (
            [(PURPOSE_QUESTION, "none\n"), (CONFIRMATION, "perhaps\n"), (CONFIRMATION, "No\n")],
            ExitStatus.UNFINISHED,
            "Type y for yes; n or Enter for no.",
        ),
        (
            [(PURPOSE_QUESTION, "y\n"), (PURPOSE_QUESTION, " alignment \n"), (CONFIRMATION, "YES\n")],
            DONE,
            "y is not a known purpose. Type one of those above, none, or Enter.",
        ),
        ([(PURPOSE_QUESTION, "\x03")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\x04")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\x03")], ExitStatus.INTERRUPTED, "Nothing was sent."),
        ([(PURPOSE_QUESTION, "\n"), (CONFIRMATION, "\x04")], ExitStatus.INTERRUPTED, "Nothing was sent."),
    ],
    ids=["Enter", "no", "yes", "Ctrl-C at a purpose", "Ctrl-D at a purpose", "Ctrl-C", "Ctrl-D"],
)
def test_every_answer_to_the_questions(
    folder: Path, fresh_server: str, answers: list[tuple[str, str]], status: ExitStatus, says: str
) -> None:
    """Yes, no, Enter, another word, Ctrl-C, Ctrl-D: each does what is said, and nothing is sent but after a yes."""
    ended, shown = at_terminal(["./datasets"], answers, server=fresh_server)
    assert ended == status
    assert says in shown
    assert bool(list(folder.parent.glob("*.ledger.db"))) == (status is DONE)


def test_at_a_terminal_with_nothing_left_to_send_nothing_is_confirmed(folder: Path, server: str) -> None:
    """The screen says that all is accepted, and the command ends as it does without a terminal."""
    assert typed("./datasets", "--exclude", "*.md", server=server).status == DONE
    status, shown = at_terminal(["./datasets", "--exclude", "*.md"], [], server=server)
    assert (status, CONFIRMATION in shown) == (DONE, False)
    assert "To upload: nothing; all 2 are accepted already\n" in shown


def test_at_a_terminal_yes_asks_nothing(folder: Path, server: str, desk: Path) -> None:
    """With -y there is no question, and `run MANIFEST` never asks one."""
    status, shown = at_terminal(["-y", "./datasets"], [], server=server)
    assert (status, "[y/N]" in shown) == (SHORT, False)
    status, shown = at_terminal(["run", "good.jsonl"], [], server=server)
    assert (status, "[y/N]" in shown) == (DONE, False)
