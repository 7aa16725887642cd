from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest

from bulk_upload.core.events import Draining, EntrySettled, Event, Snapshot
from bulk_upload.core.model import EntryState, Receipt, ReceiptOrigin
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_run import JobRun, Result
from tests.fakes.virtual_time import on_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.run.fault_scope import Stop
    from bulk_upload.engine.run import Run


class PlayedRun:
    """A run that accepts a file a second and obeys; `prepares_s` is how long its plan takes."""

    def __init__(self, *, file_count: int = 3, prepares_s: float = 1.0, fails: bool = False) -> None:
        self.file_count = file_count
        self.prepares_s = prepares_s
        self.fails = fails
        self.stops: list[tuple[str, Stop]] = []
        self.ended_at: float | None = None
        self.aborted = False
        self._stopped = asyncio.Event()

    def drain(self, stop: Stop) -> None:
        """Stop soon."""
        self.stops.append(("drain", stop))
        self._stopped.set()

    def cancel(self, stop: Stop) -> None:
        """Stop now."""
        self.stops.append(("cancel", stop))
        self._stopped.set()

    def snapshot(self) -> Snapshot:
        """Return something to look at."""
        return Snapshot(
            in_flight=1,
            limit=8,
            limit_reason="as asked",
            pause_s=0.0,
            parked_count=0,
            wire_bytes=0,
            partial_bytes=0,
        )

    async def execute(self, hear: Callable[[Event], None], started: Callable[[Run], None]) -> Result:
        """Play the run."""
        try:
            await asyncio.sleep(self.prepares_s)
            started(cast("Run", self))
            if self.fails:
                raise ValueError("a bug")
            for number in range(self.file_count):
                if self._stopped.is_set():
                    break
                await asyncio.sleep(1)
                hear(_settled(number))
            hear(Draining(reason="over"))
            status = ExitStatus.UNFINISHED if self._stopped.is_set() else ExitStatus.DONE
            return Result(status=status, states={}, stop=None, ledger="l.db")
        except asyncio.CancelledError:
            self.aborted = True
            await asyncio.sleep(0.1)
            raise
        finally:
            self.ended_at = asyncio.get_running_loop().time()


def _settled(number: int) -> EntrySettled:
    receipt = Receipt(
        path=f"{number}.jsonl",
        purpose="fine-tune",
        file_id=f"file-{number}",
        file_bytes=1,
        content_hash=None,
        sent_name=f"{number}.jsonl",
        obtained=ReceiptOrigin.ANSWERED,
        size_confirmed=True,
        settled_utc="2026-06-18T09:30:00.000000Z",
    )
    return EntrySettled(
        path=receipt.path, purpose="fine-tune", state=EntryState.ACCEPTED, file_bytes=1, receipt=receipt
    )


@on_virtual_time
async def test_awaiting_a_run_gives_its_result() -> None:
    """The result comes when the run is over, is kept, and listeners heard every event."""
    heard: list[Event] = []
    played = PlayedRun()
    run = JobRun(played.execute, heard.append)
    result = await run
    assert result.status is ExitStatus.DONE
    assert run.result is result is await run
    assert len(heard) == 4


@on_virtual_time
async def test_nothing_starts_before_it_is_awaited() -> None:
    """A run that nobody awaits or iterates does nothing, and closing it is harmless."""
    played = PlayedRun()
    run = JobRun(played.execute, None)
    await asyncio.sleep(10)
    await run.aclose()
    assert played.ended_at is None


@on_virtual_time
async def test_iterating_gives_each_receipt_as_it_comes() -> None:
    """Receipts come in order and at once; after the last one the result is set."""
    loop = asyncio.get_running_loop()
    run = JobRun(PlayedRun().execute, None)
    got = [(receipt.file_id, round(loop.time())) async for receipt in run]
    assert got == [("file-0", 2), ("file-1", 3), ("file-2", 4)]
    assert run.result is not None


@on_virtual_time
async def test_a_slow_reader_misses_nothing() -> None:
    """Receipts wait for a reader that takes longer than the run."""
    run = JobRun(PlayedRun(file_count=5).execute, None)
    got = []
    async for receipt in run:
        got.append(receipt.file_id)
        await asyncio.sleep(10)
    assert len(got) == 5


@on_virtual_time
async def test_leaving_the_iteration_cancels_the_run() -> None:
    """A reader that breaks off ends the run, and closing waits until its ledger is closed."""
    played = PlayedRun(file_count=1000)
    run = JobRun(played.execute, None)
    async for _ in run:
        break
    await run.aclose()
    assert played.ended_at is not None
    assert played.ended_at < 5
    assert ("cancel", "the caller left") in [(how, stop.reason) for how, stop in played.stops]


@on_virtual_time
async def test_a_drain_before_the_start_is_obeyed_when_there_is_a_run() -> None:
    """What is asked before the plan is made is asked again of the run itself, in order."""
    played = PlayedRun()
    run = JobRun(played.execute, None)
    run.drain(reason="too early")
    run.cancel(status=ExitStatus.INTERRUPTED)
    assert run.snapshot is None
    result = await run
    assert result.status is ExitStatus.UNFINISHED
    assert [(how, stop.reason) for how, stop in played.stops] == [
        ("drain", "too early"),
        ("cancel", "asked to stop"),
    ]
    assert played.ended_at == pytest.approx(1.0, abs=0.01)


@on_virtual_time
async def test_a_drain_during_the_run_is_obeyed_at_once() -> None:
    """The run hears of it, and a snapshot can be taken meanwhile."""
    played = PlayedRun(file_count=100)
    run = JobRun(played.execute, None)
    asyncio.get_running_loop().call_later(3.5, run.drain)
    asyncio.get_running_loop().call_later(3.5, lambda: seen.append(run.snapshot))
    seen: list[Snapshot | None] = []
    await run
    assert played.ended_at == pytest.approx(4.0, abs=0.01)
    assert seen[0] is not None


@on_virtual_time
async def test_a_run_that_is_asked_to_end_while_it_plans_says_so() -> None:
    """Whoever watches it sees why it ends, for how long it has been asked, and what it waits for."""
    run = JobRun(PlayedRun(prepares_s=100.0).execute, None)
    waiting = asyncio.ensure_future(_await(run))
    await asyncio.sleep(5)
    assert (run.stop, run.recording_s) == (None, None)
    run.drain(reason="first")
    run.cancel(reason="second")
    await asyncio.sleep(35)
    stop = run.stop
    assert stop is not None
    assert stop.reason == "first"
    assert run.recording_s == pytest.approx(35.0, abs=0.01)
    assert run.waits == ["the plan"]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@on_virtual_time
async def test_a_listener_that_raises_a_cancellation_ends_the_run_with_an_error() -> None:
    """Nobody cancelled the task that emits: its end would pass for one that somebody asked for."""

    def listen(event: Event) -> None:
        raise asyncio.CancelledError

    with pytest.raises(RuntimeError, match="listener raised CancelledError for EntrySettled"):
        await JobRun(PlayedRun().execute, listen)


@pytest.mark.parametrize("at_s", [0.5, 1.5])
def test_a_cancelled_caller_takes_the_run_with_it(at_s: float) -> None:
    """The run does not outlive the task that awaits it, and that task waits until the run is over."""

    @on_virtual_time
    async def scenario() -> None:
        played = PlayedRun(file_count=100)
        run = JobRun(played.execute, None)

        async def caller() -> Result:
            return await run

        task = asyncio.create_task(caller())
        await asyncio.sleep(at_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert played.aborted
        assert played.ended_at == pytest.approx(at_s + 0.1, abs=0.01)

    scenario()


@on_virtual_time
async def test_a_caller_cancelled_twice_still_waits_for_the_run() -> None:
    """A second cancellation does not leave a run behind that nobody waits for."""
    played = PlayedRun(file_count=100)
    run = JobRun(played.execute, None)

    async def caller() -> Result:
        return await run

    task = asyncio.create_task(caller())
    await asyncio.sleep(1.5)
    task.cancel()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert played.ended_at is not None


@pytest.mark.parametrize("iterates", [False, True])
def test_a_run_that_fails_raises(iterates: bool) -> None:
    """A bug in a run reaches whoever awaits or iterates it."""

    @on_virtual_time
    async def scenario() -> None:
        run = JobRun(PlayedRun(fails=True).execute, None)
        with pytest.raises(ValueError, match="a bug"):
            await (_read(run) if iterates else _await(run))
        await run.aclose()

    scenario()


@on_virtual_time
async def test_closing_a_run_ends_it_before_it_returns() -> None:
    """Closing cancels a run that goes on and waits for its end; once more does nothing."""
    played = PlayedRun(file_count=1000)
    run = JobRun(played.execute, None)
    waiting = asyncio.ensure_future(_await(run))
    await asyncio.sleep(2.5)
    await run.aclose()
    assert played.ended_at is not None
    await run.aclose()
    assert (await waiting).status is ExitStatus.UNFINISHED


async def _await(run: JobRun) -> Result:
    return await run


async def _read(run: JobRun) -> list[EntrySettled]:
    return [entry async for entry in run]
