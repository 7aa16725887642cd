"""Agents as a person sees them during a run and at its end."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from bulk_upload.core.events import Event
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import Tally, exit_status
from bulk_upload.core.run.control import AgentState, AgentStatus
from bulk_upload.report.agents import agents_words, summary_lines
from bulk_upload.report.live.notable_events import NOTICES_SHOWN_MAX, EventLines
from bulk_upload.report.live.plain_lines import LineProgress
from bulk_upload.report.live.run_summary import closing_lines
from bulk_upload.report.live.terminal import LiveProgress
from bulk_upload.report.live.verbose import verbose_line
from tests.report import fleet_run
from tests.report.scripted_run import ScriptedRun, plan, settled, started

DOUBTS = "4 uploads in flight in doubt, looked up at the server"


def frame(events: list[Event], *, width: int, height: int) -> list[str]:
    """The display after these events, 12 s into the run."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now, fleet_run.bodies)
    for one in events:
        display.on_event(one)
    run.state = fleet_run.state_of(run.state)
    run.at += 12.0
    with console.capture() as capture:
        console.print(display._draw(), no_wrap=True)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_a_terminal_shows_who_is_at_work_and_who_is_not(width: int, height: int) -> None:
    """How many, then each with its requests and bytes: one that is silent first, for it needs a look."""
    lines = frame(fleet_run.until_the_loss() + fleet_run.what_became_of_them(), width=width, height=height)
    at = lines.index("2 agents at work (1 silent), 1 lost")
    assert [" ".join(line.split()) for line in lines[at + 1 : at + 3]] == [
        "node2:4712 silent 10.0 MB sent 10 accepted",
        "node1:4711 2 in flight 11.0 MB sent 10 accepted",
    ]
    assert all(len(line) <= width for line in lines)
    assert len(lines) <= height - height // 4


def test_a_wide_terminal_shows_which_agent_sends_what() -> None:
    """Beside each upload, where there is room for it."""
    wide = frame(fleet_run.until_the_loss(), width=120, height=40)
    (large,) = [line for line in wide if line.startswith("large/two.jsonl")]
    assert large.endswith("node2:4712")
    assert not any(
        line.endswith("node2:4712") for line in frame(fleet_run.until_the_loss(), width=80, height=24)
    )


def test_a_low_terminal_counts_agents_only() -> None:
    """The uploads need the rows."""
    lines = frame(fleet_run.until_the_loss(), width=80, height=12)
    assert "2 agents at work (1 silent), 1 lost" in lines
    assert not any(line.startswith("  ") for line in lines)


def test_a_run_without_agents_does_not_speak_of_them() -> None:
    """Neither the display, the plain lines nor the summary has a word about agents."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=120, height=40, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now)
    told: list[str] = []
    plain = LineProgress(told.append, run.snapshot, run.now, every_s=1.0)
    for one in (plan(2), started("a"), settled("a"), started("b")):
        display.on_event(one)
        plain.on_event(one)
    run.moves(seconds=5.0, in_flight=1)
    plain.tick()
    with console.capture() as capture:
        console.print(display._draw())
    assert "agent" not in capture.get() + "".join(told)
    assert summary_lines(Tally().agents.all()) == []
    assert agents_words(()) == ""


def test_the_summary_says_what_the_command_sent_itself() -> None:
    """Beside its agents; a run without them says nothing about it."""
    one = AgentStatus(agent="n1:7", accepted_count=2, accepted_bytes=2_000)
    assert summary_lines((one,), own_count=3, own_bytes=3_000) == [
        "Sent by 1 agent: n1:7 2 files (2.0 kB).",
        "Sent by the command itself: 3 files (3.0 kB).",
    ]
    assert summary_lines((), own_count=3, own_bytes=3_000) == []


def lines_of(events: list[Event]) -> list[str]:
    chosen = EventLines()
    return [str(line) for event in events for line in chosen.lines_of(event)]


def test_who_comes_and_goes_is_told_at_once() -> None:
    """A lost agent is named, with how many uploads are in doubt because of it."""
    assert lines_of(
        [fleet_run.joined("n1:7", 1), fleet_run.lost(), fleet_run.left("n1:7", agent_count=0)]
    ) == [
        "agent joined: n1:7, 8 processors; 1 agent at work now",
        f"agent lost: {fleet_run.LOST_AGENT}: no sign of life for 21 s; {DOUBTS}; 2 agents at work now",
        "agent left: n1:7: received SIGTERM; 0 agents at work now",
    ]
    assert "nothing was in flight" in lines_of([fleet_run.lost(dispatch_count=0)])[0]


def test_a_large_fleet_is_told_in_a_few_lines() -> None:
    """Of hundreds that join the first are told; one that is lost always is."""
    lines = lines_of(
        [*(fleet_run.joined(f"n{number}:1", number) for number in range(1, 301)), fleet_run.lost()]
    )
    assert len(lines) == NOTICES_SHOWN_MAX + 2
    assert lines[-2].startswith("more agents")
    assert lines[-1].startswith("agent lost")


def test_plain_lines_count_agents() -> None:
    """One piece of the line that a log gets every half minute."""
    run = ScriptedRun()
    told: list[str] = []
    plain = LineProgress(told.append, run.snapshot, run.now, every_s=1.0)
    for one in fleet_run.until_the_loss():
        plain.on_event(one)
    run.state = fleet_run.state_of(run.state)
    run.at += 30.0
    plain.tick()
    assert "2 agents at work (1 silent), 1 lost" in told[-1]


def test_a_very_verbose_run_says_who_sends() -> None:
    """The line at the start of a request names its agent."""
    assert verbose_line(fleet_run.sent("a", "n1:7"), 2) == "attempt 1: a: sending 1.0 MB by n1:7"
    assert verbose_line(started("a"), 2) == "attempt 1: a: sending 1.0 MB"


def test_the_summary_says_who_sent_what_and_what_became_of_a_lost_ones_files() -> None:
    """Each agent's share, and of the lost one every file that was in flight."""
    tally = Tally()
    for one in [
        *fleet_run.until_the_loss(),
        *fleet_run.what_became_of_them(),
        settled("lost/c.jsonl"),
        settled("lost/d.jsonl", EntryState.IN_DOUBT, reason="not in the list yet"),
    ]:
        tally.add(one)
    states = {EntryState.ACCEPTED: 33, EntryState.IN_DOUBT: 1, EntryState.PENDING: 26}
    lines = closing_lines(
        tally, states, stop=None, status=exit_status(states, None), elapsed_s=12.0, ledger_path="m.ledger.db",
        results_path=None, rerun_command="bulk-upload run m.jsonl",
    )  # fmt: skip
    text = " ".join(lines)
    assert (
        "Sent by 3 agents: node3.cluster.example:4713 12 files (12.0 MB), node1:4711 11 files (11.0 MB), "
        "node2:4712 10 files (10.0 MB)."
    ) in text
    assert (
        "Lost node3.cluster.example:4713: no sign of life for 21 s; 4 files in flight: 2 at the server, 1 sent again, "
        "1 in doubt."
    ) in text


def test_the_summary_of_a_large_fleet_is_short() -> None:
    """The first are named, the others counted."""
    agents = [
        AgentStatus(agent=f"n{number}:1", accepted_count=number, accepted_bytes=number * 1000, state=state)
        for state in (AgentState.LIVE, AgentState.LOST)
        for number in range(1, 101)
    ]
    lines = summary_lines(agents)
    assert len(lines) == 6
    assert "196 others" in lines[0]
    assert lines[-1] == "96 more agents lost."
