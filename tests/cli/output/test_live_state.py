"""The state that the live page shows, and the changes that it asks for."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import msgspec
import pytest

from bulk_upload.cli.output.live_state import POINTS_MAX, LiveState, change
from bulk_upload.cli.output.watched_run import WatchedLedger
from bulk_upload.core.run.control import ControlAnswer, ControlRequest
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.edge.live_server import Refused
from tests.cli.commands.live.test_watch import ANSWER
from tests.cli.commands.test_control import answering
from tests.cli.commands.test_control import ledger as ledger  # noqa: PLC0414 - a fixture
from tests.cli.stage import run_here, run_process
from tests.report.scripted_run import ScriptedRun


def test_the_state_of_a_run_is_that_of_its_display(ledger: str) -> None:
    """Counts by state, figures as text, each upload; one look a second adds a point, and old points thin out."""
    run = ScriptedRun()
    live = LiveState(ledger, WatchedLedger(ledger, run.now), run.now, may_change=True)
    lock = RunLock.acquire(ledger)
    try:
        with answering(ledger, ANSWER):
            state: dict[str, Any] = json.loads(live.state())
            assert (state["phase"], state["may_change"]) == ("paused", True)
            assert (state["files"], state["files_text"]) == ([142, 200], "142 of 200")
            assert state["title"] == "Paused: 142 of 200 files"
            assert state["bytes"] == [140_000_000, 142_500_000, 200_000_000]
            assert ["accepted", "accepted", 90] in state["states"]
            assert sum(count for *_, count in state["states"]) == 200
            assert state["uploads"] == [["shards/1.jsonl", "1.0 MB", 0.5, "sending", "1 min 05 s", ""]]
            assert {name: value for name, value, _ in state["numbers"]}["Elapsed"] == "1 min 40 s"
            for _ in range(POINTS_MAX // 100):
                run.moves(seconds=1.0)
                state = json.loads(live.state())
            assert len(state["points"]) == POINTS_MAX // 100 + 1
    finally:
        lock.release()
    over = json.loads(live.state())
    assert (over["phase"], over["may_change"], over["uploads"]) == ("ended", False, [])


def test_points_of_a_long_run_thin_out(ledger: str) -> None:
    """The page gets the same number of them after a second and after three days."""
    run = ScriptedRun()
    watched = WatchedLedger(ledger, run.now)
    live = LiveState(ledger, watched, run.now, may_change=False)
    with answering(ledger, ANSWER):
        look = watched.look()
    for _ in range(4 * POINTS_MAX):
        run.moves(seconds=1.0)
        live._active(look)
    assert POINTS_MAX / 3 < len(live._points) <= POINTS_MAX


def test_an_ended_job_shows_how_it_ended(desk: object, server: str) -> None:
    """With its verdict and what needs attention."""
    run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    run = ScriptedRun()
    state = json.loads(LiveState("l.db", WatchedLedger("l.db", run.now), run.now, may_change=True).state())
    assert (state["phase"], state["good"], state["failures"]) == ("ended", True, [])
    assert state["why"] == "Exit code 0: every entry of the job is accepted."
    assert state["states"] == [["accepted", "accepted", 2]]
    assert state["title"] == "Ended: 2 of 2 files accepted"
    assert [name for name, *_ in state["numbers"]] == ["Began", "Ended", "Took", "Accepted"]


def test_a_killed_run_has_no_exit_code_to_show(desk: object, server: str) -> None:
    """It did not end by itself, and is not good."""
    run_here("run", "good.jsonl", "--ledger", "l.db", SEEKR_BASE_URL=server)
    with closing(sqlite3.connect("l.db")) as connection, connection:
        connection.execute("UPDATE runs SET exit_status = NULL, ended_utc = NULL")
    run = ScriptedRun()
    state = json.loads(LiveState("l.db", WatchedLedger("l.db", run.now), run.now, may_change=True).state())
    assert (state["phase"], state["good"]) == ("ended", False)
    assert state["why"] == "The last run did not end by itself; run the same command to resume."
    assert [name for name, *_ in state["numbers"]] == ["Began", "Accepted"]


def test_what_a_run_looks_up_itself_needs_no_attention(ledger: str) -> None:
    """Entries in doubt do once the run has ended; those that it left do at once."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.executemany(
            "INSERT INTO entries (key, path, purpose, fields, state, attempt_count, first_seen_utc, settled_utc)"
            " VALUES (?, ?, 'p', '{}', ?, 1, 'x', ?)",
            [(b"1" * 16, b"lost", "in_doubt", None), (b"2" * 16, b"bad", "failed_local", "x")],
        )
    run = ScriptedRun()
    live = LiveState(ledger, WatchedLedger(ledger, run.now), run.now, may_change=True)
    lock = RunLock.acquire(ledger)
    try:
        with answering(ledger, msgspec.structs.replace(ANSWER, numbers=None, uploads=())):
            state = json.loads(live.state())
    finally:
        lock.release()
    assert [(one["path"], one["word"]) for one in state["failures"]] == [("bad", "failed")]
    assert state["failure_count"] == 1
    over = json.loads(live.state())
    assert sorted(one["path"] for one in over["failures"]) == ["bad", "lost"]
    assert over["failure_count"] == 2


def test_a_change_is_what_control_would_ask(ledger: str) -> None:
    """The same words for the same limits; what is not one is refused with a reason."""
    with answering(ledger, ControlAnswer(changes=("paused",))) as heard:
        assert change(ledger, {"paused": True}) == ["paused"]
        change(ledger, {"max_concurrency": "8", "bandwidth": "1MB/s", "rate": "30/min"})
        change(ledger, {"max_concurrency": "off", "bandwidth": "off", "rate": "off"})
    assert heard == [
        ControlRequest(paused=True),
        ControlRequest(concurrency_max=8, bandwidth=((0, 1e6),), starts_per_s=0.5),
        ControlRequest(concurrency_max=None, bandwidth=None, starts_per_s=None),
    ]
    refused: tuple[dict[str, object], ...] = (
        {"bandwidth": "fast"}, {"paused": "yes"}, {"concurrency": "9"}, {"rate": 5},
    )  # fmt: skip
    for wrong in refused:
        with pytest.raises(Refused):
            change(ledger, wrong)
    with pytest.raises(Refused, match="no run is active"):
        change(ledger, {"paused": True})


def test_a_run_may_serve_its_page_and_is_not_changed_by_it(desk: object, server: str) -> None:
    """Its exit code and its output are the same; also where the page cannot be served at all."""
    ended = run_here("run", "good.jsonl", "--ledger", "l.db", "--serve", "--control", SEEKR_BASE_URL=server)
    assert (ended.status, ended.stdout) == (0, b"")
    assert "Accepted 2 of 2 entries" in ended.stderr
    wrong = run_here("run", "--serve", "good.jsonl", SEEKR_BASE_URL=server)
    assert wrong.status == 2
    assert "--serve=ADDRESS" in wrong.stderr or "MANIFEST" in wrong.stderr


def test_serve_prints_an_address_on_this_machine(ledger: str) -> None:
    """With a token that is new each time; it ends with its standard input where a run has started it."""
    first, second = (run_process("serve", ledger, "--with-run") for _ in range(2))
    assert first.status == second.status == 0
    assert first.stdout.startswith(b"live page: http://127.0.0.1:")
    assert first.stdout.partition(b"#")[2] != second.stdout.partition(b"#")[2]
    taken = run_here("serve", ledger, "--address", "192.0.2.1:0", "--with-run")
    assert taken.status == 2
    assert "cannot listen at 192.0.2.1:0" in taken.stderr
