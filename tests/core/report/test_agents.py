"""What each agent of a run did, and what became of the files of the lost ones."""

from __future__ import annotations

from bulk_upload.core.events import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    AgentNow,
    AttemptEnded,
    AttemptStarted,
    EntrySettled,
    Event,
)
from bulk_upload.core.model import Accepted, EntryState, InDoubt, Outcome, Receipt, ReceiptOrigin
from bulk_upload.core.report.tally import Tally
from bulk_upload.core.run.control import AgentState, AgentStatus

LOST = InDoubt(reason="the agent that sent it was lost", answered=False)
OK = Accepted(file_id="id", http_status=200, size_confirmed=True)


def joined(agent: str) -> AgentJoined:
    host, _, pid = agent.partition(":")
    return AgentJoined(agent=agent, host=host, pid=int(pid), cpu_count=8, agent_count=1)


def lost(agent: str, dispatch_count: int = 1) -> AgentLost:
    host = agent.partition(":")[0]
    return AgentLost(
        agent=agent, host=host, reason="no sign of life", dispatch_count=dispatch_count, agent_count=0
    )


def start(path: str, agent: str | None, attempt_no: int = 1) -> AttemptStarted:
    return AttemptStarted(path=path, attempt_no=attempt_no, file_bytes=10, agent=agent)


def end(path: str, outcome: Outcome = OK, attempt_no: int = 1) -> AttemptEnded:
    return AttemptEnded(path=path, attempt_no=attempt_no, outcome=outcome, duration_s=1.0)


def settled(path: str, state: EntryState = EntryState.ACCEPTED, origin: ReceiptOrigin | None = None) -> Event:
    receipt = Receipt(
        path=path, purpose="p", file_id="id", file_bytes=10, content_hash=None, sent_name=path,
        obtained=origin or ReceiptOrigin.ANSWERED, size_confirmed=True, settled_utc="",
    )  # fmt: skip
    is_accepted = state is EntryState.ACCEPTED
    return EntrySettled(
        path=path, purpose="p", state=state, file_bytes=10, receipt=receipt if is_accepted else None
    )


def tally(*events: Event) -> Tally:
    found = Tally()
    for one in events:
        found.add(one)
    return found


def test_each_agent_is_credited_with_what_it_sent() -> None:
    """Attempts, those in flight, and the files that the server accepted from it."""
    found = tally(
        joined("a:1"), joined("b:2"),
        start("one", "a:1"), start("two", "b:2"), start("three", "a:1"),
        end("one"), settled("one"), end("two"), settled("two"), start("four", None), end("four"), settled("four"),
    )  # fmt: skip
    assert found.agents.all() == (
        AgentStatus(agent="a:1", attempt_count=2, in_flight=1, accepted_count=1, accepted_bytes=10),
        AgentStatus(agent="b:2", attempt_count=1, accepted_count=1, accepted_bytes=10),
    )
    assert list(found.agents.carried) == ["three"]
    assert (found.own_count, found.own_bytes) == (1, 10)


def test_what_the_command_sent_before_any_agent_joined_counts_as_its_own() -> None:
    """Not what an earlier run sent, which was found at the server."""
    found = tally(
        start("one", None), end("one"), settled("one"), joined("a:1"),
        settled("old", origin=ReceiptOrigin.RECONCILED), start("two", "a:1"), end("two"), settled("two"),
    )  # fmt: skip
    assert (found.own_count, found.own_bytes) == (1, 10)


def test_what_becomes_of_a_lost_agents_files_is_followed() -> None:
    """Found at the server, sent again by another, failed, or still in doubt."""
    paths = ("found", "again", "failed", "doubt")
    found = tally(
        joined("a:1"), joined("b:2"), start("done", "a:1"), end("done"), *(start(one, "a:1") for one in paths),
        start("other", "b:2"), lost("a:1", 4), *(end(one, LOST) for one in paths),
        settled("done"), settled("found", origin=ReceiptOrigin.RECONCILED),
        start("again", "b:2", 2), end("again", attempt_no=2), settled("again"),
        settled("failed", EntryState.FAILED_LOCAL), settled("doubt", EntryState.IN_DOUBT),
    )  # fmt: skip
    other, gone = found.agents.all()
    assert (other.agent, other.state, other.in_flight, other.accepted_count) == ("b:2", AgentState.LIVE, 1, 1)
    assert (gone.agent, gone.state, gone.reason, gone.in_flight) == (
        "a:1",
        AgentState.LOST,
        "no sign of life",
        0,
    )
    assert (gone.lost_count, gone.found_count, gone.again_count, gone.failed_count, gone.doubt_count) == (
        4,
        1,
        1,
        1,
        1,
    )
    assert gone.accepted_count == 2


def test_a_file_lost_twice_counts_for_both() -> None:
    """The second agent is lost with it, too: each loss is followed by itself."""
    found = tally(
        joined("a:1"), joined("b:2"), start("x", "a:1"), lost("a:1"), end("x", LOST),
        start("x", "b:2", 2), lost("b:2"), end("x", LOST, 2), settled("x", origin=ReceiptOrigin.RECONCILED),
    )  # fmt: skip
    first, second = found.agents.all()
    assert (first.again_count, first.found_count, first.doubt_count) == (1, 0, 0)
    assert (second.again_count, second.found_count, second.doubt_count) == (0, 1, 0)


def test_agents_at_work_come_first_and_those_that_left_last() -> None:
    """What they hand over only they know; one that is gone keeps what was seen last."""
    found = tally(joined("a:1"), joined("b:2"), joined("c:3"))
    agents = found.agents
    agents.see(
        [AgentNow(agent=one, host="", pid=1, connected=one != "c:3", in_flight=0, wire_bytes=7) for one in ("a:1", "c:3")]
    )  # fmt: skip
    found.add(AgentLeft(agent="a:1", host="a", reason="SIGTERM", agent_count=2))
    found.add(lost("b:2", 0))
    agents.see([AgentNow(agent="a:1", host="", pid=1, connected=True, in_flight=0, wire_bytes=9)])
    assert [(one.agent, one.state, one.wire_bytes) for one in agents.all()] == [
        ("c:3", AgentState.SILENT, 7),
        ("b:2", AgentState.LOST, 0),
        ("a:1", AgentState.LEFT, 7),
    ]


def test_a_run_without_agents_keeps_nothing() -> None:
    """Nothing is noted by path, and no agent is listed."""
    found = tally(start("one", None), end("one"), settled("one"), start("two", None))
    assert found.agents == Tally().agents
    assert found.agents.all() == ()
