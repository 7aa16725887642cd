"""The writer: each caller waits for its own durability, commits are shared, the first failure is final."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from bulk_upload.core.model import Accepted, Outcome, Refused, Rejected, Unavailable
from bulk_upload.core.run.records import state_after
from bulk_upload.edge.ledger import Ledger, LedgerReader, LedgerStore, LedgerWriter, open_ledger
from bulk_upload.edge.ledger import writer as writer_module
from bulk_upload.errors import LedgerBroken, LedgerLocked, LedgerUnusable
from tests.edge.ledger.stage import (
    JOB,
    START_S,
    accepted,
    attempt_over,
    entry,
    exported,
    files,
    intent,
    opened,
    query,
)
from tests.waiting import HeldCall, until


class Watched:
    """A connection that tells of every statement before it runs it."""

    def __init__(self, connection: sqlite3.Connection, hear: Callable[[str], None]) -> None:
        self._connection = connection
        self._hear = hear

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        self._hear(sql)
        return self._connection.execute(sql, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def watch(ledger: Ledger, hear: Callable[[str], None]) -> None:
    """Have `hear` told of every statement from the next commit on."""

    def wrap(store: LedgerStore) -> None:
        store.connection = cast("sqlite3.Connection", Watched(store.connection, hear))

    await ledger.writer.run(wrap)


def register(path: str) -> Callable[[LedgerStore], None]:
    return lambda store: store.register([entry(path)], utc_s=START_S)


async def test_callers_share_commits_and_keep_their_order(tmp_path: Path) -> None:
    """While a commit reaches the disk the next steps gather: many callers, few commits, first come first served."""
    commits: list[str] = []
    commit = HeldCall()

    def hear(sql: str) -> None:
        if sql == "COMMIT":
            commits.append(sql)
            commit()

    async with opened(tmp_path / "a") as ledger:
        await watch(ledger, hear)
        first = asyncio.ensure_future(ledger.writer.run(register("f-first")))
        await until(commit.begun.is_set)
        others = [asyncio.ensure_future(ledger.writer.run(register(f"f{n}"))) for n in range(300)]
        await asyncio.sleep(0)
        assert not first.done()
        commit.released.set()
        await asyncio.wait([first, *others])
        assert len(commits) == 2
    assert [row.path for row in exported(tmp_path / "a")] == ["f-first", *(f"f{n}" for n in range(300))]


async def test_a_commit_takes_no_more_steps_than_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood of steps is several commits, so that the first callers do not wait for the last."""
    monkeypatch.setattr(writer_module, "STEPS_PER_COMMIT_MAX", 10)
    commits: list[str] = []
    async with opened(tmp_path / "a") as ledger:
        await watch(ledger, lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        tasks = [asyncio.ensure_future(ledger.writer.run(register(f"f{n}"))) for n in range(95)]
        await asyncio.wait(tasks)
        assert 10 <= len(commits) <= 95
    assert len(exported(tmp_path / "a")) == 95


async def test_a_caller_hears_of_it_once_everybody_can_see_it(tmp_path: Path) -> None:
    """When a step returns, its commit is in the file: another process sees it."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        for number in range(5):
            await ledger.writer.run(register(f"f{number}"))
            assert len(exported(path)) == number + 1


async def test_a_step_returns_its_result(tmp_path: Path) -> None:
    """Whatever a step returns is the caller's."""
    async with opened(tmp_path / "a") as ledger:
        assert await ledger.writer.run(lambda store: store.claimed(["x"])) == set()


async def test_the_first_failure_is_final(tmp_path: Path) -> None:
    """After one step that raises, its commit is undone and nothing more is written, however good."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(register("before"))

        def wrong(store: LedgerStore) -> None:
            store.register([entry("half")], utc_s=START_S)
            raise ValueError("wrong step")

        for act in (wrong, register("after")):
            with pytest.raises(LedgerUnusable, match=r"cannot record \(ValueError: wrong step") as caught:
                await ledger.writer.run(act)
            assert "report" in str(caught.value.hint)
        assert ledger.writer.failure is not None
    assert [row.path for row in exported(path)] == ["before"]
    async with opened(path) as ledger:
        assert ledger.writer.failure is None


async def test_who_waits_with_a_failing_step_fails_too(tmp_path: Path) -> None:
    """A commit is whole: no step of a group that failed is acknowledged."""
    wait = HeldCall()
    async with opened(tmp_path / "a") as ledger:
        first = asyncio.ensure_future(ledger.writer.run(wait))
        await until(wait.begun.is_set)
        tasks = [
            asyncio.ensure_future(ledger.writer.run(act))
            for act in (register("good"), lambda store: store.explain(77, "nobody"), register("late"))
        ]
        await asyncio.sleep(0)
        wait.released.set()
        await asyncio.wait([first, *tasks])
        assert first.exception() is None
        assert [type(one.exception()) for one in tasks] == [LedgerBroken] * 3
        assert len({id(one.exception()) for one in tasks}) == 3
    assert exported(tmp_path / "a") == []


async def test_a_full_disk_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """When no page fits any more the run is told to free space; all that was acknowledged is there."""
    path = tmp_path / "a"
    acknowledged: list[str] = []
    async with opened(path) as ledger:
        await ledger.writer.run(
            lambda store: store.connection.execute("PRAGMA max_page_count = 100").fetchall()
        )

        async def fill() -> None:
            for number in range(10_000):
                await ledger.writer.run(register(f"{number}" * 800))
                acknowledged.append(f"{number}" * 800)

        with pytest.raises(LedgerUnusable, match="full") as caught:
            await fill()
        assert "free some space" in str(caught.value.hint)
    assert len(acknowledged) > 10
    assert [row.path for row in exported(path)] == acknowledged


@pytest.mark.parametrize("suffix", ["", "-wal"])
@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
async def test_a_ledger_that_loses_its_place_is_a_failure(tmp_path: Path, suffix: str, how: str) -> None:
    """What is written to a file without its name would be lost to the next run: nothing more is acknowledged."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(register("before"))
        if how == "deleted":
            os.remove(f"{path}{suffix}")
        else:
            os.rename(f"{path}{suffix}", tmp_path / "elsewhere")
        if how == "replaced":
            Path(f"{path}{suffix}").touch()
        with pytest.raises(LedgerUnusable, match="moved, replaced or deleted") as caught:
            await ledger.writer.run(register("after"))
        assert "restore the ledger" in str(caught.value.hint)


async def test_a_lost_log_is_made_good_at_the_end(tmp_path: Path) -> None:
    """Who deletes the log of a run that works loses nothing, if that run ends by itself."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(register("before"))
        os.remove(f"{path}-wal")
    assert [row.path for row in exported(path)] == ["before"]


async def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    """Steps that were asked for before the close are durable after it, the file is closed, the lock is free."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        tasks = [asyncio.ensure_future(ledger.writer.run(register(f"f{n}"))) for n in range(50)]
        await asyncio.sleep(0)
    assert all(one.done() for one in tasks)
    assert len(exported(path)) == 50
    assert sorted(files(tmp_path)) == ["a", "a.lock"]


async def test_closing_twice_and_after_a_failure_is_harmless(tmp_path: Path) -> None:
    """Whoever cleans up need not know what happened before."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        with pytest.raises(LedgerUnusable):
            await ledger.writer.run(lambda store: store.explain(1, "nobody"))
        await asyncio.gather(ledger.close(), ledger.close())
        await ledger.close()
    async with opened(path) as again:
        assert again.writer.failure is None


async def test_a_closed_ledger_says_so(tmp_path: Path) -> None:
    """A step that comes too late is refused; it does not wait for ever."""
    async with opened(tmp_path / "a") as ledger:
        pass
    with pytest.raises(LedgerUnusable, match="closed"):
        await ledger.writer.run(register("late"))


async def test_the_lock_is_held_until_the_last_commit(tmp_path: Path) -> None:
    """A close that is cancelled goes on by itself; until its end no other run gets in."""
    path = tmp_path / "a"
    held = HeldCall()

    def slow(store: LedgerStore) -> None:
        held()
        store.register([entry("f")], utc_s=START_S)

    ledger = open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
    step = asyncio.ensure_future(ledger.writer.run(slow))
    await until(held.begun.is_set)
    closing = asyncio.ensure_future(ledger.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait([closing])
    assert closing.cancelled()
    with pytest.raises(LedgerLocked):
        open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
    held.released.set()
    await ledger.close()
    assert step.done()
    async with opened(path):
        assert [row.path for row in exported(path)] == ["f"]


async def test_a_cancelled_caller_does_not_take_its_step_back(tmp_path: Path) -> None:
    """What was asked for is recorded; other callers are not disturbed."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        task = asyncio.ensure_future(ledger.writer.run(register("cancelled")))
        await asyncio.sleep(0)
        task.cancel()
        await ledger.writer.run(register("other"))
        assert task.cancelled()
    assert [row.path for row in exported(path)] == ["cancelled", "other"]


def test_steps_outlive_the_event_loop(tmp_path: Path) -> None:
    """A loop that is gone before its answers come costs nothing: the steps are written and the lock is let go."""
    path = tmp_path / "a"
    held = HeldCall()

    def slow(store: LedgerStore) -> None:
        held()
        store.register([entry("slow")], utc_s=START_S)

    async def leave() -> threading.Thread:
        ledger = open_ledger(os.fspath(path), JOB, version="1", moved_root=False, utc_s=START_S)
        for act in (slow, register("queued")):
            task = asyncio.ensure_future(ledger.writer.run(act))
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await until(held.begun.is_set)
        return ledger.writer._thread

    thread = asyncio.run(leave())
    held.released.set()
    thread.join(10)
    assert not thread.is_alive()
    assert [row.path for row in exported(path)] == ["slow", "queued"]

    async def again() -> None:
        async with opened(path):
            pass

    asyncio.run(again())


async def test_an_open_iterator_does_not_keep_the_writer(tmp_path: Path) -> None:
    """A reader that stops in the midst of its rows neither blocks commits nor the end of a run."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(
            lambda store: store.register([entry(f"f{n}") for n in range(3000)], utc_s=START_S)
        )
        with LedgerReader(os.fspath(path)) as reader:
            rows = reader.rows()
            next(rows)
            await ledger.writer.run(register("more"))
            await ledger.close()
            assert sum(1 for _ in rows) == 2999
    assert len(exported(path)) == 3001


async def test_the_thread_ends_with_the_run(tmp_path: Path) -> None:
    """No thread and no open file is left behind."""
    before, open_files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        async with opened(tmp_path / "a"):
            assert threading.active_count() == before + 1
    gc.collect()
    assert threading.active_count() == before
    assert len(os.listdir("/proc/self/fd")) == open_files


async def test_every_run_is_on_record(tmp_path: Path) -> None:
    """Who worked when, and how it ended; a run that died has no end."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.end_run(exit_status=3, utc_s=START_S + 5))
    async with opened(path, utc_s=START_S + 10):
        pass
    assert query(path, "SELECT version, pid, started_utc, ended_utc, exit_status FROM runs") == [
        ("1.0", os.getpid(), "2026-05-28T20:26:40.000000Z", "2026-05-28T20:26:45.000000Z", 3),
        ("1.0", os.getpid(), "2026-05-28T20:26:50.000000Z", None, None),
    ]
    assert query(path, "SELECT last_alive_utc FROM job") == [("2026-05-28T20:26:50.000000Z",)]


async def test_a_thread_that_cannot_start_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever fails while a ledger is opened, the next run gets in."""

    def refuse(self: LedgerWriter, *_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(LedgerWriter, "__init__", refuse)
        with pytest.raises(RuntimeError):
            open_ledger(os.fspath(tmp_path / "a"), JOB, version="1", moved_root=False, utc_s=START_S)
    async with opened(tmp_path / "a"):
        pass


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
