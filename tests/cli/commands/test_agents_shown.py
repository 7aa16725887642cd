"""What `control`, `status`, `watch` and the live page say about agents."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from bulk_upload.cli.output.live_state import LiveState
from bulk_upload.cli.output.watched_run import WatchedLedger
from bulk_upload.core.run.control import AgentState, AgentStatus, ControlAnswer
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.report.live.terminal import LiveProgress
from tests.cli.commands.live.test_watch import ANSWER
from tests.cli.commands.test_control import STATUS, answering
from tests.cli.commands.test_control import ledger as ledger  # noqa: PLC0414 - a fixture
from tests.cli.stage import run_here
from tests.report.scripted_run import ScriptedRun

AGENTS = (
    AgentStatus(
        agent="n1:7", attempt_count=9, in_flight=4, wire_bytes=12_000_000, accepted_count=5, accepted_bytes=5_000_000
    ),
    AgentStatus(agent="n2:8", state=AgentState.SILENT, attempt_count=2, in_flight=2, wire_bytes=3_000_000),
    AgentStatus(
        agent="n3:9", state=AgentState.LOST, reason="gone", attempt_count=4, accepted_count=1,
        lost_count=3, found_count=2, again_count=1,
    ),
)  # fmt: skip
ANSWERED = replace(ANSWER, status=replace(STATUS, agents=AGENTS))


def test_control_shows_each_agent(ledger: str) -> None:
    """How many there are, what each does and sent, and what became of the files of a lost one."""
    with answering(ledger, ControlAnswer(status=replace(STATUS, agents=AGENTS, agents_left_out=30))):
        lines = run_here("control", ledger).stdout.decode().splitlines()
    assert lines[-4:] == [
        "agents        2 agents at work (1 silent), 1 lost; 30 more",
        "              n1:7: 4 in flight, 12.0 MB sent, 5 files accepted",
        "              n2:8: silent, 3.0 MB sent, 0 files accepted",
        "              n3:9: lost, 0 B sent, 1 file accepted: gone; 3 files in flight: 2 at the server, 1 sent again",
    ]


def test_control_in_json_has_every_field_of_an_agent(ledger: str) -> None:
    """Also those that are zero."""
    with answering(ledger, ControlAnswer(status=replace(STATUS, agents=AGENTS))):
        status = json.loads(run_here("control", ledger, "--json").stdout)
    assert [one["agent"] for one in status["agents"]] == ["n1:7", "n2:8", "n3:9"]
    assert status["agents"][0]["state"] == "live"
    assert status["agents"][0]["lost_count"] == 0


def test_control_of_a_run_without_agents_says_nothing_of_them(ledger: str) -> None:
    """No line, and an empty list."""
    with answering(ledger, ControlAnswer(status=STATUS)):
        assert b"agent" not in run_here("control", ledger).stdout
        assert json.loads(run_here("control", ledger, "--json").stdout)["agents"] == []


def test_who_watches_sees_the_agents(ledger: str) -> None:
    """As the display of the run itself shows them."""
    run = ScriptedRun()
    watched = WatchedLedger(ledger, run.now)
    with answering(ledger, ANSWERED):
        look = watched.look()
    console = Console(file=io.StringIO(), width=100, height=30, color_system=None)
    display = LiveProgress(console, lambda: watched.latest.snapshot, run.now, lambda: watched.latest.bodies)
    assert look.tally is not None
    display.take(look.tally, look.running, running_s=look.running_s, draining=look.draining)
    with console.capture() as capture:
        console.print(display._draw())
    lines = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert "2 agents at work (1 silent), 1 lost" in lines
    assert "n1:7 4 in flight 12.0 MB sent 5 accepted" in lines
    assert "n2:8 silent 3.0 MB sent 0 accepted" in lines


@pytest.mark.parametrize("answer", [ANSWER, ANSWERED])
def test_the_live_page_gets_the_agents(ledger: str, answer: ControlAnswer) -> None:
    """Of a run without agents: none, and no words about them."""
    run = ScriptedRun()
    live = LiveState(ledger, WatchedLedger(ledger, run.now), run.now, may_change=False)
    lock = RunLock.acquire(ledger)
    try:
        with answering(ledger, answer):
            state: dict[str, Any] = json.loads(live.state())
    finally:
        lock.release()
    if answer is ANSWER:
        assert (state["agents"], state["agents_text"]) == ([], "")
        return
    assert state["agents_text"] == "2 agents at work (1 silent), 1 lost"
    assert state["agents"] == [
        ["n1:7", "live", "4 in flight", 12_000_000, 5, ""],
        ["n2:8", "silent", "silent", 3_000_000, 0, ""],
        [
            "n3:9",
            "lost",
            "lost",
            0,
            1,
            "gone; 3 files in flight: 2 at the server, 1 sent again",
        ],
    ]


def note_attempts(ledger: str, agents: list[tuple[str, str]]) -> None:
    """Record attempts of the last run by agents, with how they ended."""
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("UPDATE runs SET agents_ttl_s = 21")
        connection.execute(
            "INSERT INTO entries (key, path, purpose, fields, state, first_seen_utc) VALUES (x'01', x'61', 'p', '{}', 'pending', 'x')"
        )
        connection.executemany(
            "INSERT INTO attempts (entry_id, run_id, attempt_no, sent_name, size, mtime_ns, inode, intent_utc, agent, outcome,"
            " resolution) VALUES (1, 1, 1, 'a', 1000, 1, 1, '', ?, ?, 'over')",
            agents,
        )


def test_status_says_who_sent_what_in_the_last_run(ledger: str) -> None:
    """By bytes; of many the first."""
    accepted = [("n1:7", "accepted")] * 2 + [("n2:8", "accepted"), ("n2:8", "in_doubt")]
    note_attempts(ledger, accepted)
    lines = run_here("status", ledger).stdout.decode().splitlines()
    at = lines.index("Agents of the last run: 2")
    assert lines[at + 1 : at + 3] == [
        "  n1:7: 2 files accepted (2.0 kB)",
        "  n2:8: 1 file accepted (1.0 kB), 1 answer lost",
    ]
    assert json.loads(run_here("status", ledger, "--json").stdout)["agents"][1] == {
        "agent": "n2:8",
        "attempt_count": 2,
        "accepted_count": 1,
        "accepted_bytes": 1000,
        "in_doubt_count": 1,
    }


def test_status_of_a_job_without_agents_says_nothing_of_them(ledger: str) -> None:
    """No line, and an empty list."""
    assert b"gent" not in run_here("status", ledger).stdout
    assert json.loads(run_here("status", ledger, "--json").stdout)["agents"] == []
