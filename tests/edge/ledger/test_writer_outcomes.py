"""Outcomes of uploads in the writer: resolved in order once they are durable, and never at the cost of others."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, Outcome, Refused, Rejected, Unavailable
from bulk_upload.core.run.records import state_after
from bulk_upload.edge.ledger import Ledger, LedgerWriter
from bulk_upload.edge.ledger import writer as writer_module
from bulk_upload.errors import LedgerBroken, LedgerUnusable
from tests.edge.ledger.stage import (
    START_S,
    accepted,
    attempt_over,
    entry,
    exported,
    intent,
    opened,
    query,
)
from tests.waiting import until


async def test_outcomes_are_resolved_once_they_are_durable_and_in_order(tmp_path: Path) -> None:
    """Whoever waits for an outcome can see it in the file then; what was submitted first is recorded first."""
    seen: list[tuple[str, int]] = []
    async with opened(tmp_path / "a") as ledger:
        count = 150
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(count)], utc_s=START_S)
        )
        ids = await ledger.writer.run(lambda store: store.intend([intent(n + 1) for n in range(count)]))

        def note(future: asyncio.Future[Outcome]) -> None:
            outcome = future.result()
            assert isinstance(outcome, Accepted)
            ((visible,),) = query(
                tmp_path / "a", f"SELECT count(*) FROM receipts WHERE file_id = '{outcome.file_id}'"
            )
            seen.append((outcome.file_id, visible))

        everyone = [f"id-{n}" for n in range(count)]
        concluding = []
        for n in range(count):
            if n == 100:
                claimed = await ledger.writer.run(lambda store: store.claimed(everyone))
                assert claimed == set(everyone[:100])
            concluding.append(ledger.writer.conclude(attempt_over(ids[n], n + 1, accepted(f"id-{n}"))))
            concluding[-1].add_done_callback(note)
        async with asyncio.timeout(20):
            for one in concluding:
                await one
    assert seen == [(f"id-{n}", 1) for n in range(count)]


async def test_an_outcome_that_reopens_others_keeps_its_turn(tmp_path: Path) -> None:
    """Outcomes before and after one that opens rejected entries again are recorded around it, in order."""
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(3)], utc_s=START_S)
        )
        ids = await ledger.writer.run(lambda store: store.intend([intent(n + 1) for n in range(3)]))
        outcomes: list[Outcome] = [
            Rejected(http_status=404, reason="no"),
            Refused(http_status=404, reason="no"),
            accepted("id"),
        ]
        concluding = [
            ledger.writer.conclude(attempt_over(ids[n], n + 1, outcome), reopen=(1,) if n == 1 else ())
            for n, outcome in enumerate(outcomes)
        ]
        async with asyncio.timeout(20):
            states = [state_after(await one).value for one in concluding]
    assert states == ["rejected", "pending", "accepted"]
    assert [row.status for row in exported(tmp_path / "a")] == ["pending", "pending", "accepted"]


async def test_the_ends_of_one_request_are_recorded_in_one_step(tmp_path: Path) -> None:
    """Each of them gets its own outcome, in order, whatever else is in the group; an id that is taken is doubtful."""
    count = 70
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(count)], utc_s=START_S)
        )
        ids = await ledger.writer.run(lambda store: store.intend([intent(n + 1) for n in range(count)]))
        overs = [attempt_over(ids[n], n + 1, accepted(f"id-{n}")) for n in range(count)]
        overs[66] = attempt_over(ids[66], 67, Unavailable(reason="HTTP 503", http_status=503))
        overs[67] = attempt_over(ids[67], 68, accepted("id-0"))
        concluding = (
            ledger.writer.conclude_together(overs[:64]),
            ledger.writer.conclude(overs[64]),
            ledger.writer.conclude_together(overs[65:]),
        )
        assert ledger.writer.pending_count == 3
        async with asyncio.timeout(60):
            first, alone, others = await concluding[0], await concluding[1], await concluding[2]
    assert first == [one.outcome for one in overs[:64]]
    assert alone == overs[64].outcome
    assert [state_after(one).value for one in others] == [
        "accepted",
        "pending",
        "in_doubt",
        "accepted",
        "accepted",
    ]
    rows = exported(tmp_path / "a")
    assert [row.status for row in rows[:66]] == ["accepted"] * 66
    assert [row.file_id for row in rows[:66]] == [f"id-{n}" for n in range(66)]
    assert [row.status for row in rows[66:]] == ["pending", "in_doubt", "accepted", "accepted"]


async def test_the_ends_of_one_request_may_reopen_others(tmp_path: Path) -> None:
    """Rejected entries are pending again, once, and all the ends are recorded."""
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(3)], utc_s=START_S)
        )
        ids = await ledger.writer.run(lambda store: store.intend([intent(n + 1) for n in range(3)]))
        refused = Refused(http_status=404, reason="no")
        async with asyncio.timeout(60):
            await ledger.writer.conclude(attempt_over(ids[0], 1, Rejected(http_status=404, reason="no")))
            ends = [attempt_over(ids[n], n + 1, refused) for n in (1, 2)]
            assert await ledger.writer.conclude_together(ends, reopen=(1,)) == [refused, refused]
    assert [row.status for row in exported(tmp_path / "a")] == ["pending"] * 3


async def test_a_failure_is_raised_to_everybody_who_waits_for_an_outcome(tmp_path: Path) -> None:
    """A ledger that cannot record says so to each, and takes nothing more."""
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f")], utc_s=START_S))
        (attempt_id,) = await ledger.writer.run(lambda store: store.intend([intent(1)]))
        concluding = [
            ledger.writer.conclude(attempt_over(attempt_id + 7, 1, accepted("id"))),
            ledger.writer.conclude(attempt_over(attempt_id, 1, accepted("id-2"))),
        ]
        async with asyncio.timeout(20):
            for one in concluding:
                with pytest.raises(LedgerUnusable):
                    await one
        with pytest.raises(LedgerUnusable):
            ledger.writer.conclude(attempt_over(attempt_id, 1, accepted("id-3")))
    assert [row.status for row in exported(tmp_path / "a")] == ["in_doubt"]


async def test_a_caller_that_left_keeps_nobody_from_being_answered(tmp_path: Path) -> None:
    """A future that was cancelled is passed over; the others of its group are resolved, and the outcome is recorded."""
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f"), entry("g")], utc_s=START_S))
        ids = await ledger.writer.run(lambda store: store.intend([intent(1), intent(2)]))
        ledger.writer.conclude(attempt_over(ids[0], 1, accepted("id-1"))).cancel()
        async with asyncio.timeout(20):
            await ledger.writer.conclude(attempt_over(ids[1], 2, accepted("id-2")))
        assert ledger.writer.pending_count == 0
    assert [row.status for row in exported(tmp_path / "a")] == ["accepted", "accepted"]


async def _use_until_it_fails(ledger: Ledger) -> None:
    # The thread may be in a call that began before the bug was put in.
    while True:
        await ledger.writer.run(lambda store: store.claimed(["id"]))


@pytest.mark.parametrize("place", ["_gather", "_commit", "_end"])
async def test_a_thread_that_dies_fails_everybody_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Whatever the writer's thread dies of, nobody waits for it for ever, and the ledger is closed."""
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f")], utc_s=START_S))
        original = getattr(LedgerWriter, place)
        calls = 0

        def dies_once(self: LedgerWriter, *given: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 1:
                if place == "_gather":
                    original(self)
                raise KeyError("a bug of ours")
            return original(self, *given)

        monkeypatch.setattr(LedgerWriter, place, dies_once)
        async with asyncio.timeout(20):
            if place != "_end":
                with pytest.raises(LedgerBroken, match="a bug of ours"):
                    await _use_until_it_fails(ledger)
            await ledger.writer.close()
    assert [row.status for row in exported(tmp_path / "a")] == ["pending"]


class _Watched(threading.Event):
    """An event that says when somebody begins to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.begun.set()
        return super().wait(timeout)


async def test_a_step_that_somebody_waits_for_is_not_kept_waiting_by_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes linger for company; a step that comes meanwhile is written at once, and they with it."""
    monkeypatch.setattr(writer_module, "LINGER_S", 60.0)
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f")], utc_s=START_S))
        (attempt_id,) = await ledger.writer.run(lambda store: store.intend([intent(1)]))
        ledger.writer._awaited = awaited = _Watched()
        first = ledger.writer.conclude(attempt_over(attempt_id, 1, accepted("id")))
        await until(awaited.begun.is_set)
        assert not first.done()
        assert await ledger.writer.run(lambda store: store.claimed(["id"])) == {"id"}
        assert first.done()
        late = ledger.writer.conclude(attempt_over(attempt_id, 1, accepted("late")))
    assert isinstance(late.exception(), LedgerUnusable)


async def test_the_last_outcomes_wait_for_no_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no more outcomes come, the one that lingers is written at once, and so is each after it."""
    monkeypatch.setattr(writer_module, "LINGER_S", 3600.0)
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("f0"), entry("f1")], utc_s=START_S))
        ids = await ledger.writer.run(lambda store: store.intend([intent(1), intent(2)]))
        ledger.writer._awaited = awaited = _Watched()
        lingering = ledger.writer.conclude(attempt_over(ids[0], 1, accepted("id-0")))
        await until(awaited.begun.is_set)
        ledger.writer.hurry()
        assert await asyncio.wait_for(lingering, 60) == accepted("id-0")
        last = ledger.writer.conclude(attempt_over(ids[1], 2, accepted("id-1")))
        assert await asyncio.wait_for(last, 60) == accepted("id-1")


async def test_a_step_behind_a_full_commit_is_not_kept_waiting_by_outcomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outcomes between a full commit and a step that somebody waits for do not linger."""
    monkeypatch.setattr(writer_module, "LINGER_S", 60.0)
    monkeypatch.setattr(writer_module, "STEPS_PER_COMMIT_MAX", 3)
    async with opened(tmp_path / "a") as ledger:
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(4)], utc_s=START_S)
        )
        ids = await ledger.writer.run(lambda store: store.intend([intent(n + 1) for n in range(4)]))
        concluding = [
            ledger.writer.conclude(attempt_over(ids[n], n + 1, accepted(f"id-{n}"))) for n in range(4)
        ]
        assert await asyncio.wait_for(ledger.writer.run(lambda store: store.claimed(["id-3"])), 20) == {
            "id-3"
        }
        assert all(one.done() for one in concluding)
