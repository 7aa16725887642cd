"""A run seen from another process: the same display, and at its end how it ended."""

from __future__ import annotations

import io
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bulk_upload.cli.output.watched_run import NO_NUMBERS, WatchedLedger
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.control import ControlAnswer, ControlRequest, RunNumbers, UploadNow
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.terminal import LiveProgress
from tests.cli.commands.test_control import STATUS, answering
from tests.cli.commands.test_control import ledger as ledger  # noqa: PLC0414 - a fixture
from tests.cli.stage import run_here
from tests.report.scripted_run import ScriptedRun

NUMBERS = RunNumbers(
    running_s=100.0, entry_count=200, total_bytes=200_000_000, settled_before_count=50, settled_before_bytes=50_000_000,
    ended={"accepted": 90, "invalid": 2, "moved to the moon": 1}, accepted_bytes=90_000_000, failed_bytes=2_000_000,
    unchanged_count=0, unchanged_bytes=0, retry_count=3, lost_count=2, wire_bytes=100_000_000, partial_bytes=500_000,
    validating_count=0, validated_count=0, validated_bytes=0,
)  # fmt: skip
UPLOAD = UploadNow(
    path="shards/1.jsonl", since_s=65.0, body_bytes=1_000_000, left_bytes=500_000, waiting=False, reading=False, held=False
)  # fmt: skip
ANSWER = ControlAnswer(status=STATUS, numbers=NUMBERS, uploads=(UPLOAD,))


def test_a_run_in_another_process_is_shown_as_by_itself(ledger: str) -> None:
    """Its bars, counters, speeds, and what each upload is doing and since when; nothing of it is changed."""
    run = ScriptedRun()
    watched = WatchedLedger(ledger, run.now)
    with answering(ledger, ANSWER) as heard:
        look = watched.look()
    assert heard == [ControlRequest(uploads=64)]
    console = Console(file=io.StringIO(), width=100, height=30, color_system=None)
    display = LiveProgress(console, lambda: watched.latest.snapshot, run.now, lambda: watched.latest.bodies)
    assert look.tally is not None
    display.take(look.tally, look.running, running_s=look.running_s, draining=look.draining)
    with console.capture() as capture:
        console.print(display._draw())
    text = capture.get()
    for words in (
        "142 of 200", "142.5 MB of 200.0 MB", "elapsed 1 min 40 s", "ETA ", "\u2713 90 accepted", "\u21bb 3 retried", "? 2 in doubt",
        "! 2 invalid", "50 settled before", "in flight 7/8", "90.0 MB accepted, 100.0 MB sent", "the server's pause: waiting 12 s",
        "shards/1.jsonl", "1.0 MB", "sending", "1 min 05 s",
    ):  # fmt: skip
        assert words in text, text


def test_a_run_that_turns_a_watcher_away_once_is_shown_as_it_was(ledger: str) -> None:
    """Many may ask it in one moment; after some seconds without an answer its ledger is counted."""
    run = ScriptedRun()
    watched = WatchedLedger(ledger, run.now)
    with answering(ledger, ANSWER):
        told = watched.look()
    run.moves(seconds=1.0)
    assert watched.look() is told
    run.moves(seconds=5.0)
    assert watched.look().tally is None


def test_a_run_that_tells_no_numbers_is_counted_by_its_ledger(ledger: str) -> None:
    """One of another version, of another user, or one that is about to end: files, but no bytes."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.executemany(
            "INSERT INTO entries (key, path, purpose, fields, state, attempt_count, first_seen_utc) VALUES (?, ?, 'p', '{}', 'pending', 0, 'x')",
            [(bytes([number]) * 16, b"%d" % number) for number in range(3)],
        )
    run = ScriptedRun()
    watched = WatchedLedger(ledger, run.now)
    with answering(ledger, msgspec.structs.replace(ANSWER, numbers=None, uploads=())):
        look = watched.look()
    assert look.tally is not None
    assert (look.tally.entry_count, look.tally.ended) == (3, {EntryState.PENDING: 3})
    assert look.snapshot.in_flight == 7
    assert watched.look().snapshot.limit_reason == NO_NUMBERS


def test_a_run_that_reads_its_manifest_has_no_numbers_yet(ledger: str) -> None:
    """Neither it nor its ledger knows any."""
    assert WatchedLedger(ledger, ScriptedRun().now).look().tally is None


def test_the_watched_run_s_end_is_told_with_its_exit_code(desk: Path, server: str) -> None:
    """Where no run is active, how the last one ended; the exit code is its own."""
    assert run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server).status == 0
    ended = run_here("watch", "l.db")
    assert ended.status == 0
    assert ended.stdout == b""
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("The last run began 20")
    assert lines[1:] == ["2 accepted", "Exit code 0: every entry of the job is accepted."]
    with closing(sqlite3.connect("l.db")) as connection, connection:
        connection.execute("UPDATE runs SET exit_status = NULL, ended_utc = NULL")
    died = run_here("watch", "l.db")
    assert died.status == ExitStatus.UNFINISHED
    assert died.stderr.splitlines()[-1] == "Exit code 5: the run did not end by itself."
    assert "  bulk-upload status l.db" in died.stderr.splitlines()


def test_the_end_of_another_command_is_not_that_of_the_run(desk: Path, server: str) -> None:
    """`undo` and others write to the ledger, too, and end well whatever became of the files."""
    run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    with closing(sqlite3.connect("l.db")) as connection, connection:
        connection.execute("UPDATE runs SET exit_status = 3")
    assert run_here("undo", "l.db", "--yes", SEEKR_BASE_URL=server).status == 0
    with closing(sqlite3.connect("l.db")) as connection:
        assert connection.execute("SELECT exit_status, manifest FROM runs ORDER BY run_id").fetchall()[1] == (
            0,
            None,
        )
    assert run_here("watch", "l.db").status == 3


def test_a_ledger_that_no_run_has_used(ledger: str) -> None:
    """Exit code 7, as `control` has it."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM runs")
    ended = run_here("watch", ledger)
    assert ended.status == ExitStatus.NO_RUN
    assert "No run has worked on this ledger yet." in ended.stderr


def test_watching_follows_a_run_until_its_end(ledger: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks again and again while the lock is held, and neither takes the lock nor writes."""
    from bulk_upload.cli.commands.live import watch as module  # noqa: PLC0415 - its clock is replaced

    lock = RunLock.acquire(ledger)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            lock.release()

    monkeypatch.setattr("bulk_upload.cli.commands.live.watch.time.sleep", sleep)
    before = Path(ledger).read_bytes()
    run_here("watch", ledger)
    assert slept == [module.LOOK_EVERY_S] * 3
    assert Path(ledger).read_bytes() == before
    assert os.path.exists(f"{ledger}.lock")
