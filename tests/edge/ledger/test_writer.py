"""The writer: each caller waits for its own durability, commits are shared, the first failure is final."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from pathlib import Path

import pytest

from bulk_upload.edge.ledger import LedgerReader, LedgerStore, LedgerWriter, open_ledger
from bulk_upload.edge.ledger import writer as writer_module
from bulk_upload.errors import LedgerBroken, LedgerLocked, LedgerUnusable
from tests.edge.ledger.stage import (
    JOB,
    START_S,
    entry,
    exported,
    files,
    opened,
    query,
)
from tests.edge.ledger.watched_ledger import register, watch
from tests.waiting import HeldCall, until


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
