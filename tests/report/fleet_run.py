"""A run with three agents, one of which is lost with uploads in flight: its events and its state."""

from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.core.events import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    AgentNow,
    AttemptStarted,
    BodyNow,
    Event,
    Snapshot,
)
from bulk_upload.core.model import ReceiptOrigin
from tests.report.scripted_run import FILE_BYTES, LOST, ended, plan, receipt, settled

AGENTS = ("node1:4711", "node2:4712", "node3.cluster.example:4713")
LOST_AGENT = AGENTS[2]


def sent(path: str, agent: str, attempt_no: int = 1) -> AttemptStarted:
    """Return the start of an attempt by an agent."""
    return AttemptStarted(path=path, attempt_no=attempt_no, file_bytes=FILE_BYTES, agent=agent)


def joined(agent: str, agent_count: int) -> AgentJoined:
    """Return that an agent joined."""
    host, _, pid = agent.rpartition(":")
    return AgentJoined(agent=agent, host=host, pid=int(pid), cpu_count=8, agent_count=agent_count)


def lost(agent: str = LOST_AGENT, *, dispatch_count: int = 4, agent_count: int = 2) -> AgentLost:
    """Return that an agent was lost."""
    return AgentLost(
        agent=agent,
        host=agent.rpartition(":")[0],
        reason="no sign of life for 21 s",
        dispatch_count=dispatch_count,
        agent_count=agent_count,
    )


def left(agent: str, *, agent_count: int = 1) -> AgentLeft:
    """Return that an agent left."""
    return AgentLeft(
        agent=agent, host=agent.rpartition(":")[0], reason="received SIGTERM", agent_count=agent_count
    )


def now(agent: str, *, in_flight: int = 4, wire_bytes: int = 0, connected: bool = True) -> AgentNow:
    """Return the state of an agent at work."""
    host, _, pid = agent.rpartition(":")
    return AgentNow(
        agent=agent, host=host, pid=int(pid), connected=connected, in_flight=in_flight, wire_bytes=wire_bytes
    )


def until_the_loss() -> list[Event]:
    """Return the events until the third agent is lost with four uploads in flight; two of the others' go on."""
    events: list[Event] = [plan(60), *(joined(one, number) for number, one in enumerate(AGENTS, 1))]
    for number in range(30):
        path = f"shards/{number:03}.jsonl"
        events += [sent(path, AGENTS[number % 3]), ended(path), settled(path)]
    events += [sent(f"lost/{name}.jsonl", LOST_AGENT) for name in "abcd"]
    events += [sent("large/one.jsonl", AGENTS[0]), sent("large/two.jsonl", AGENTS[1]), lost()]
    return [*events, *(ended(f"lost/{name}.jsonl", LOST) for name in "abcd")]


def what_became_of_them() -> list[Event]:
    """Return the events about the files of the lost agent: two were at the server, one is sent again, one in doubt."""
    events: list[Event] = []
    for name in "ab":
        found = receipt(f"lost/{name}.jsonl", obtained=ReceiptOrigin.RECONCILED)
        events.append(settled(f"lost/{name}.jsonl", receipt=found))
    return [*events, sent("lost/c.jsonl", AGENTS[0], 2)]


def state_of(snapshot: Snapshot) -> Snapshot:
    """Return the state with two agents at work, one of them silent."""
    agents = (
        now(AGENTS[0], in_flight=2, wire_bytes=11 * FILE_BYTES),
        now(AGENTS[1], in_flight=1, wire_bytes=10 * FILE_BYTES, connected=False),
    )
    return replace(snapshot, agents=agents, in_flight=3, wire_bytes=35 * FILE_BYTES)


def bodies() -> list[BodyNow]:
    """Return the uploads in flight."""
    return [
        BodyNow(path="large/one.jsonl", body_bytes=100, left_bytes=60, waiting=False, agent=AGENTS[0]),
        BodyNow(path="large/two.jsonl", body_bytes=100, left_bytes=30, waiting=False, agent=AGENTS[1]),
        BodyNow(path="lost/c.jsonl", body_bytes=100, left_bytes=10, waiting=False, agent=AGENTS[0]),
    ]
