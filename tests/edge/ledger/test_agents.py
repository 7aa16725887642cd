"""What the ledger keeps of agents: who sent what, and until when those of a dead run may have sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import Rejected
from bulk_upload.core.report.history import AgentFacts
from bulk_upload.core.run.records import NOBODY_YET
from bulk_upload.edge.ledger import ALIVE_EVERY_S, LedgerReader, expect_agents, keep_candidate
from tests.edge.ledger.stage import (
    LOST,
    START_S,
    Store,
    accepted,
    attempt,
    attempt_over,
    doubt,
    entry,
    exported,
    intent,
    query,
    stored,
)

TTL_S = 21.0
SETTLE_S = 30.0


def with_agents(store: Store) -> int:
    """Begin a run that has agents, and return an entry."""
    store.begin_run(version="1.0", utc_s=START_S)
    expect_agents(store, ttl_s=TTL_S)
    (one,) = store.known(entry("a"))
    return one


@pytest.mark.parametrize("restart_s", [0.5, 4.0, 12.0, 5_000.0])
def test_a_dead_runs_agents_may_send_until_their_fence(store: Store, restart_s: float) -> None:
    """Absence counts from the fence of the last agent, however early the next run begins: an agent outlives its run."""
    one = with_agents(store)
    sent_by(store, one, "node1:7", at_utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + restart_s)
    assert doubt(store).settles_at_utc_s == START_S + ALIVE_EVERY_S + TTL_S + SETTLE_S


@pytest.mark.parametrize("restart_s", [0.5, 4.0])
def test_what_a_run_sent_itself_ended_with_its_process(store: Store, restart_s: float) -> None:
    """Beside its agents, whose requests may go on: absence of its own counts as in a run of one process."""
    one = with_agents(store)
    (two,) = store.known(entry("b"))
    store.intended(one, utc_s=START_S)
    sent_by(store, two, "node1:7", at_utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + restart_s)
    own, agents = store.doubts(settle_answered_s=SETTLE_S, settle_lost_s=SETTLE_S)
    assert (own.settles_at_utc_s, own.settle_s) == (START_S + restart_s + SETTLE_S, SETTLE_S)
    assert agents.settles_at_utc_s == START_S + ALIVE_EVERY_S + TTL_S + SETTLE_S
    assert agents.settle_s == SETTLE_S + TTL_S + ALIVE_EVERY_S


def test_what_nobody_held_yet_may_be_an_agents(store: Store) -> None:
    """Its intent was recorded before it was known who makes the request; readers see no agent."""
    one = with_agents(store)
    sent_by(store, one, NOBODY_YET, at_utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + 1)
    assert doubt(store).settles_at_utc_s == START_S + ALIVE_EVERY_S + TTL_S + SETTLE_S


def test_all_of_that_time_is_waited(store: Store) -> None:
    """Whether the server's time is known or not: a wait that ends with the settle time would double what agents still send."""
    one = with_agents(store)
    sent_by(store, one, "node1:7", at_utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + 1)
    whole_s = ALIVE_EVERY_S + TTL_S + SETTLE_S
    assert doubt(store).left_s(utc_s=START_S + 1, clock_offset_s=None) == whole_s
    known = replace(doubt(store), clock_offset_s=0.0)
    assert known.left_s(utc_s=START_S + 1, clock_offset_s=0.0) == whole_s - 1


@pytest.mark.parametrize("restart_s", [0.5, 4.0])
def test_a_run_without_agents_ends_with_its_process(store: Store, restart_s: float) -> None:
    """The control: without agents an early restart proves that nothing is sent any more."""
    (one,) = store.known(entry("a"))
    store.intended(one, utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + restart_s)
    assert doubt(store).settles_at_utc_s == START_S + restart_s + SETTLE_S


def test_only_the_agents_of_the_run_that_died_count(store: Store) -> None:
    """A run without agents that died after one with agents is dated as such."""
    one = with_agents(store)
    store.end_run(exit_status=0, utc_s=START_S + 1)
    store.begin_run(version="2", utc_s=START_S + 2)
    store.intended(one, utc_s=START_S + 3)
    store.begin_run(version="3", utc_s=START_S + 4)
    assert doubt(store).settles_at_utc_s == START_S + 4 + SETTLE_S


def test_a_second_restart_does_not_date_it_anew(store: Store) -> None:
    """What is in doubt keeps its time: a run that dies while it waits makes nobody wait longer."""
    one = with_agents(store)
    sent_by(store, one, "node1:7", at_utc_s=START_S)
    for restart_s in (1, 2, 3):
        store.begin_run(version="2", utc_s=START_S + restart_s)
    assert doubt(store).settles_at_utc_s == START_S + ALIVE_EVERY_S + TTL_S + SETTLE_S


def sent_by(store: Store, entry_id: int, agent: str | None, **more: object) -> int:
    (attempt_id,) = store.intend([replace(intent(entry_id), agent=agent, **more)])
    return attempt_id


def test_an_attempt_knows_its_agent_from_the_intent_on(store: Store) -> None:
    """Also where the run dies before the answer; who made the request in the end is what counts."""
    one, two, three = store.known(entry("a"), entry("b"), entry("c"))
    first, second, third = (sent_by(store, one_entry, "node1:7") for one_entry in (one, two, three))
    store.conclude(replace(attempt_over(second, two, LOST), agent="node2:8"))
    store.conclude_all([replace(attempt_over(third, three, accepted("id-3")), agent="node2:8")])
    assert [attempt(store, one)["agent"] for one in (first, second, third)] == [
        "node1:7",
        "node2:8",
        "node2:8",
    ]


def of_a_fleet(path: Path) -> None:
    """A run with two agents, one of which died with a file in flight; the process itself sent one file, too."""
    with stored(path) as store:
        one = with_agents(store)
        two, three, four, five = store.known(*(entry(name) for name in ("b", "c", "d", "e")))
        for entry_id, agent, outcome in (
            (one, "node1:7", accepted("id-1")),
            (two, "node2:8", accepted("id-2")),
            (three, None, accepted("id-3")),
            (four, "node2:8", LOST),
        ):
            attempt_id = sent_by(store, entry_id, agent)
            store.conclude(replace(attempt_over(attempt_id, entry_id, outcome), agent=agent))
        sent_by(store, five, "node1:7")
        (six,) = store.known(entry("f"))
        sent_by(store, six, NOBODY_YET)


def test_an_export_says_who_sent_each_file(tmp_path: Path) -> None:
    """By receipt, by the attempt in doubt and by the attempt that a dead run left open."""
    of_a_fleet(tmp_path / "a")
    rows = exported(tmp_path / "a")
    assert {row.path: (row.status, row.agent) for row in rows} == {
        "a": ("accepted", "node1:7"),
        "b": ("accepted", "node2:8"),
        "c": ("accepted", None),
        "d": ("in_doubt", "node2:8"),
        "e": ("in_doubt", "node1:7"),
        "f": ("in_doubt", None),
    }


def test_an_older_receipt_keeps_its_agent(tmp_path: Path) -> None:
    """A newer version in flight at another agent does not change who sent the older one."""
    with stored(tmp_path / "a") as store:
        one = with_agents(store)
        attempt_id = sent_by(store, one, "node1:7")
        store.conclude(replace(attempt_over(attempt_id, one, accepted("id-1")), agent="node1:7"))
        sent_by(store, one, "node2:8")
    rows = exported(tmp_path / "a", all_receipts=True)
    assert [(row.status, row.agent) for row in rows] == [("in_doubt", "node2:8"), ("superseded", "node1:7")]


def test_the_agents_of_a_run_are_counted(tmp_path: Path) -> None:
    """Attempts, accepted files with their bytes, and lost answers of each."""
    of_a_fleet(tmp_path / "a")
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert reader.agents(2) == [
            AgentFacts("node1:7", 2, 1, 100, 0),
            AgentFacts("node2:8", 2, 1, 100, 1),
        ]
        assert reader.agents(1) == []
        assert [one.agent for one in reader.attempts()] == [
            "node1:7",
            "node2:8",
            None,
            "node2:8",
            "node1:7",
            None,
        ]
        assert reader.itself(2) == AgentFacts("", 1, 1, 100, 0)


def test_a_run_without_agents_records_none(tmp_path: Path) -> None:
    """Its rows are as those of before, and say nothing about agents."""
    with stored(tmp_path / "a") as store:
        one, two = store.known(entry("a"), entry("b"))
        store.tried(one, accepted("id-1"))
        store.tried(two, Rejected(http_status=422, reason="no"))
    assert [row.agent for row in exported(tmp_path / "a")] == [None, None]
    assert query(tmp_path / "a", "SELECT agents_ttl_s FROM runs") == [(0.0,)]
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        assert reader.agents(1) == []


def test_an_answer_that_comes_too_late_leaves_its_id(store: Store) -> None:
    """A lost agent may come back with an answer: its id is a candidate, and replaces none."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, LOST)
    store.tried(two, replace(LOST, candidate_id="id-2"))
    keep_candidate(store, attempt_id=1, file_id="id-1")
    keep_candidate(store, attempt_id=2, file_id="id-3")
    assert [attempt(store, number)["candidate_id"] for number in (1, 2)] == ["id-1", "id-2"]
    assert [one.candidate_id for one in store.open_doubts()] == ["id-1", "id-2"]
