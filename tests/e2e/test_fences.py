"""Agents that are cut off: nothing of theirs is completed once the coordinator counts on it, and nothing is doubled."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulk_upload import agent_runner
from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.events import AgentLost, AttemptEnded, AttemptStarted
from bulk_upload.core.fleet.session import AgentSession
from bulk_upload.core.limits.timetable import Timetable
from bulk_upload.core.model import EntryState, InDoubt, Throttled
from bulk_upload.core.run.records import NOBODY_YET, Intent
from bulk_upload.core.run.retry import RetryPolicy
from bulk_upload.edge.ledger import LedgerStore
from bulk_upload.edge.transport.body import UploadBody
from bulk_upload.exit_status import ExitStatus
from tests.e2e.fleets import answered_late, fleet_run
from tests.waiting import until

TTL_S = 1.0
BODY_BYTES = 1_500_000
"""Takes far longer than the TTL and the settle time together, under the cap."""

CAP = Timetable.always(300_000.0)


@pytest.mark.parametrize("fenced", [True, False], ids=["with the fence", "without it"])
async def test_an_agent_that_is_cut_off_completes_no_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fenced: bool
) -> None:
    """What it had in flight is sent by another agent, and is at the server once. Without the fence it is there twice."""
    if not fenced:
        monkeypatch.setattr(AgentSession, "is_open", lambda *_: True)
    async with fleet_run(tmp_path, [BODY_BYTES], ttl_s=TTL_S, bandwidth=CAP) as fleet:
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
        assert 1 in [one.dispatch_count for one in fleet.seen(AgentLost)]
        assert (len(fleet.sandbox.files) == 1) == fenced
        assert fleet.result is not None
        assert fleet.result.states[EntryState.ACCEPTED] == 1


async def test_an_answer_that_comes_after_the_loss_is_kept_as_a_candidate(tmp_path: Path) -> None:
    """It is no outcome any more: the entry was looked up meanwhile, and is not sent again."""
    async with fleet_run(
        tmp_path, [1000] * 8, faults="answer-delay=0.6", ttl_s=TTL_S, concurrency=1
    ) as fleet:
        result = await answered_late(fleet)
        assert result.status is ExitStatus.DONE
        assert len(fleet.sandbox.files) == 8
        with sqlite3.connect(result.ledger) as ledger:
            (candidate,) = ledger.execute(
                "SELECT candidate_id FROM attempts WHERE outcome = 'in_doubt' ORDER BY attempt_id"
            ).fetchone()
        ledger.close()
        assert candidate in {one.file_id for one in fleet.sandbox.files}


async def test_a_connection_that_breaks_is_resumed(tmp_path: Path) -> None:
    """Reports and dispatches that were on their way arrive once, no agent is lost, and each file is sent once."""
    async with fleet_run(tmp_path, [2000] * 150, faults="answer-delay=0.05", concurrency=4) as fleet:
        async with fleet.running() as running:
            proxy = await fleet.proxied()
            async with proxy.running() as port:
                await fleet.join(port=port)
                for count in range(10, 141, 26):
                    await until(partial(fleet.has_ended, count))
                    proxy.break_off()
                result = await running
        assert result.status is ExitStatus.DONE
        assert fleet.seen(AgentLost) == []
        assert len(fleet.sandbox.files) == len(fleet.sandbox.uploads) == 150
        assert Counter(one.path for one in fleet.seen(AttemptStarted)).most_common(1)[0][1] == 1


async def test_a_lost_agent_is_neither_an_outage_nor_an_attempt_of_what_it_only_read(tmp_path: Path) -> None:
    """What was read ahead by it is read by another; only what it was sending counts as an attempt, in doubt."""
    sizes = [2000] * 60
    async with fleet_run(
        tmp_path,
        sizes,
        faults="answer-delay=0.1",
        ttl_s=3.0,
        concurrency=3,
        retry_policy=RetryPolicy(attempts_max=2),
    ) as fleet:
        async with fleet.running() as running:
            first = await fleet.join()
            await until(lambda: len(fleet.seen(AttemptEnded)) >= 6)
            first.cancel()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        outcomes = Counter(type(one.outcome).__name__ for one in fleet.seen(AttemptEnded))
        assert outcomes["InDoubt"] == sum(one.dispatch_count for one in fleet.seen(AgentLost))
        assert set(outcomes) <= {"Accepted", "InDoubt"}
        assert all(
            one.outcome.agent_lost for one in fleet.seen(AttemptEnded) if isinstance(one.outcome, InDoubt)
        )
        assert len(fleet.sandbox.files) == 60
        assert fleet.sandbox.peak_in_flight <= 3
        with sqlite3.connect(result.ledger) as ledger:
            agents = {
                row[0] for row in ledger.execute("SELECT agent FROM attempts WHERE outcome = 'accepted'")
            }
        ledger.close()
        assert len(agents) >= 2


async def test_a_command_that_sends_itself_is_one_of_its_agents(tmp_path: Path) -> None:
    """One limit for both; a file lost with an agent goes on here, and what the command sent has no agent."""
    async with fleet_run(
        tmp_path, [2000] * 60, faults="answer-delay=0.1", ttl_s=3.0, concurrency=3, processes=1
    ) as fleet:
        async with fleet.running() as running:
            agent = await fleet.join()
            await until(lambda: any(one.agent for one in fleet.seen(AttemptStarted)))
            agent.cancel()
            result = await running
        assert result.status is ExitStatus.DONE
        assert len(fleet.sandbox.files) == 60
        assert fleet.sandbox.peak_in_flight <= 3
        with sqlite3.connect(result.ledger) as ledger:
            senders = Counter(
                row[0] for row in ledger.execute("SELECT agent FROM attempts WHERE outcome = 'accepted'")
            )
        ledger.close()
        assert senders[None] > 0


async def test_an_intent_names_no_sender_while_nobody_holds_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of large files are recorded before it is known who gets them: if the run dies then, an agent may have one."""
    recorded: list[Intent] = []
    intend = LedgerStore.intend

    def noting(store: LedgerStore, intents: Sequence[Intent]) -> list[int]:
        recorded.extend(intents)
        return intend(store, intents)

    monkeypatch.setattr(LedgerStore, "intend", noting)
    async with fleet_run(tmp_path, [1000, 400_000], processes=1) as fleet, fleet.running() as running:
        result = await running
    assert {one.fingerprint.size: one.agent for one in recorded} == {1000: None, 400_000: NOBODY_YET}
    with sqlite3.connect(result.ledger) as ledger:
        assert ledger.execute("SELECT agent FROM attempts").fetchall() == [(None,), (None,)]
    ledger.close()


@pytest.mark.parametrize("processes", [0, 1], ids=["agents alone", "beside the command"])
async def test_agents_share_one_bandwidth_cap(tmp_path: Path, processes: int) -> None:
    """Two agents together, and the command where it sends itself, send no faster than the cap allows one."""
    rate, sizes = 400_000.0, [250_000] * 4
    async with fleet_run(
        tmp_path, sizes, bandwidth=Timetable.always(rate), concurrency=4, processes=processes
    ) as fleet:
        async with fleet.running() as running:
            await fleet.join()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        times = [at for at, one in fleet.timed if isinstance(one, AttemptStarted | AttemptEnded)]
        # Each of them may begin with a burst of a tenth of a second.
        assert times[-1] - times[0] >= (sum(sizes) - 3 * 0.1 * rate) / rate


async def test_agents_share_one_pause(tmp_path: Path) -> None:
    """After a 429 to one agent, no other one starts within the wait that the server named."""
    async with fleet_run(tmp_path, [1000] * 30, faults="ok*8,429:3", concurrency=4) as fleet:
        async with fleet.running() as running:
            await fleet.join()
            await fleet.join()
            result = await running
        assert result.status is ExitStatus.DONE
        refused_at = next(
            at
            for at, one in fleet.timed
            if isinstance(one, AttemptEnded) and isinstance(one.outcome, Throttled)
        )
        next_at = next(at for at, one in fleet.timed if at > refused_at and isinstance(one, AttemptStarted))
        # The event comes once the answer is recorded, which may take a while.
        assert next_at - refused_at >= 1.0


async def test_without_an_agent_nothing_starts_until_patience_ends(tmp_path: Path) -> None:
    """The run ends as unfinished; what it would have sent is pending."""
    async with fleet_run(tmp_path, [100] * 3, patience_s=1.0) as fleet:
        async with fleet.running() as running:
            result = await running
        assert result.status is ExitStatus.UNFINISHED
        assert result.stop is not None
        assert "no agent was there" in result.stop.reason
        assert result.states == {EntryState.PENDING: 3}
        assert fleet.sandbox.uploads == ()


async def test_an_agent_that_sees_other_files_is_dismissed(tmp_path: Path) -> None:
    """It says both sizes, and the run goes on with another one."""
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "f0000.txt").write_bytes(b"something else")
    async with fleet_run(tmp_path, [100] * 3) as fleet, fleet.running() as running:
        end = await (await fleet.join(root=str(other)))
        assert end.status is ExitStatus.USAGE
        assert "14 bytes" in end.reason
        assert "100" in end.reason
        await fleet.join()
        assert (await running).status is ExitStatus.DONE


async def test_an_agent_that_cannot_hash_as_the_run_does_is_dismissed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install, and the run goes on with another one, whose receipts have the run's hash."""
    pytest.importorskip("blake3")
    monkeypatch.setattr(agent_runner, "is_installed", lambda function: False)
    async with (
        fleet_run(tmp_path, [100] * 3, hashing=HashFunction.BLAKE3) as fleet,
        fleet.running() as running,
    ):
        end = await (await fleet.join())
        assert end.status is ExitStatus.USAGE
        assert "pip install 'bulk-upload[blake3]'" in end.reason
        monkeypatch.setattr(agent_runner, "is_installed", lambda function: True)
        await fleet.join()
        result = await running
        assert result.status is ExitStatus.DONE
        assert all(row.blake3 and not row.sha256 for row in result.accepted)


async def test_bodies_are_written_through_the_fence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body of an agent looks at the fence; a run without agents has none."""
    fences: list[object] = []
    make = UploadBody.__init__

    def noting(self: UploadBody, *args: Any, **options: Any) -> None:
        fences.append(options.get("fence"))
        make(self, *args, **options)

    monkeypatch.setattr(UploadBody, "__init__", noting)
    async with fleet_run(tmp_path, [10, 300_000]) as fleet, fleet.running() as running:
        await fleet.join()
        await running
    assert len(fences) == 2
    assert None not in fences
