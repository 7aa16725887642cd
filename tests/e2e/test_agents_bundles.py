"""Agents that send several files in one request: one slot and one fence for all, an outcome for each, and none is doubled."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.events import AgentLost, AttemptEnded, AttemptStarted
from bulk_upload.core.fleet.session import AgentSession
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import EntryState, InDoubt, Throttled
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.exit_status import ExitStatus
from tests.e2e.fleets import FleetRun, answered_late, fleet_run
from tests.waiting import until

TTL_S = 1.0
SIZES = [190_000] * 8
"""One bundle, which takes far longer than the TTL and the settle time together, under the cap."""

CAP = Timetable.always(300_000.0)


def rows(ledger: str, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute(query).fetchall()


def bundles_of(fleet: FleetRun) -> list[int]:
    """How many files each request had that named several."""
    started = fleet.seen(AttemptStarted)
    return sorted(Counter(one.bundle_id for one in started if one.bundle_id is not None).values())


async def test_whole_batches_go_to_one_agent(tmp_path: Path) -> None:
    """As few requests as a run of one process makes; each file has its own intent, outcome and receipt, and its agent."""
    async with fleet_run(tmp_path, [1000] * 100, bundle=16, concurrency=3) as fleet:
        async with fleet.running() as running:
            await fleet.join()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        assert len(fleet.sandbox.files) == 100
        assert bundles_of(fleet) == [4, 16, 16, 16, 16, 16, 16]
        assert fleet.sandbox.peak_in_flight <= 3
    found = rows(
        str(result.ledger),
        "SELECT bundle_id, outcome, count(*), count(DISTINCT agent) FROM attempts GROUP BY 1, 2",
    )
    assert all(outcome == "accepted" and agents == 1 for _, outcome, _, agents in found)
    assert len(rows(str(result.ledger), "SELECT receipt_id FROM receipts")) == 100


async def test_again_together_after_a_wait(tmp_path: Path) -> None:
    """Where the server asks to wait, the same files go in as many requests as before: one agent reads them again."""
    async with fleet_run(tmp_path, [1000] * 32, faults="ok,429:1", bundle=16, concurrency=2) as fleet:
        async with fleet.running() as running:
            await fleet.join()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        assert len(fleet.sandbox.files) == 32
        assert bundles_of(fleet) == [16, 16, 16]
        assert Counter(type(one.outcome) for one in fleet.seen(AttemptEnded))[Throttled] == 16


@pytest.mark.parametrize("fenced", [True, False], ids=["with the fence", "without it"])
async def test_an_agent_that_is_cut_off_completes_no_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    """All its files are in doubt, and sent by another agent. Without the fence they are there twice."""
    if not fenced:
        monkeypatch.setattr(AgentSession, "is_open", lambda *_: True)
    async with fleet_run(tmp_path, SIZES, ttl_s=TTL_S, bandwidth=CAP, bundle=8) as fleet:
        async with fleet.running() as running:
            proxy = await fleet.proxied()
            async with proxy.running() as port:
                await fleet.join(port=port)
                await until(lambda: fleet.sandbox.in_flight)
                proxy.cut()
                await fleet.join()
                result = await running
                await until(lambda: not fleet.sandbox.in_flight)
        assert result.status is ExitStatus.DONE
        assert bundles_of(fleet)[0] == 8
        assert 1 in [one.dispatch_count for one in fleet.seen(AgentLost)]
        lost = [one.outcome for one in fleet.seen(AttemptEnded) if isinstance(one.outcome, InDoubt)]
        assert len(lost) == 8
        assert all(one.agent_lost for one in lost)
        assert (len(fleet.sandbox.files) == 8) == fenced
        assert result.states[EntryState.ACCEPTED] == 8


async def test_answers_that_come_after_the_loss_are_kept_as_candidates(tmp_path: Path) -> None:
    """Each file of the bundle has the id that its late answer names; none is sent again."""
    async with fleet_run(
        tmp_path, [1000] * 8, faults="answer-delay=0.6", ttl_s=TTL_S, concurrency=1, bundle=8
    ) as fleet:
        result = await answered_late(fleet)
        assert result.status is ExitStatus.DONE
        ids = {one.file_id for one in fleet.sandbox.files}
        assert len(ids) == 8
    kept = rows(str(result.ledger), "SELECT candidate_id FROM attempts WHERE outcome = 'in_doubt'")
    assert {one for (one,) in kept} == ids


async def test_a_lost_agent_costs_only_what_it_was_sending(tmp_path: Path) -> None:
    """What it had only read goes in a bundle of another agent: no attempt, no outage, and bundles go on."""
    async with fleet_run(
        tmp_path,
        [2000] * 90,
        faults="answer-delay=0.1",
        ttl_s=3.0,
        concurrency=2,
        bundle=6,
        retry_policy=RetryPolicy(attempts_max=2),
    ) as fleet:
        async with fleet.running() as running:
            first = await fleet.join()
            await until(lambda: len(fleet.seen(AttemptEnded)) >= 12)
            first.cancel()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        assert len(fleet.sandbox.files) == 90
        outcomes = Counter(type(one.outcome).__name__ for one in fleet.seen(AttemptEnded))
        assert set(outcomes) <= {"Accepted", "InDoubt"}
        assert outcomes["InDoubt"] == 6 * sum(one.dispatch_count for one in fleet.seen(AgentLost))
        tries = Counter(one.path for one in fleet.seen(AttemptStarted))
        alone = {one.path for one in fleet.seen(AttemptStarted) if one.bundle_id is None}
        assert all(tries[path] == 2 for path in alone)
        assert fleet.sandbox.peak_in_flight <= 2
