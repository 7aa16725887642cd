"""A run in progress: its caller can await, iterate, drain or cancel it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.events import EntrySettled
from bulk_upload.core.model import EntryState  # noqa: TC001 - `help` evaluates the annotations of a Struct
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator

    from bulk_upload.core.events import BodyNow, Event, Snapshot
    from bulk_upload.core.model import Receipt
    from bulk_upload.engine.run import Run

    OnEvent = Callable[[Event], None]
    Execute = Callable[[OnEvent, Callable[[Run], None]], Coroutine[Any, Any, "Result"]]

_HINT = "run the same command again to resume"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    `states` counts all entries of the manifest; `stop` says why the run ended early, None when it did not.
    `dropped_count` entries of the ledger are not in the manifest: of earlier versions of it, or of others.
    `uncompared_count` touched files were not compared with their receipts before the run ended.
    """

    status: ExitStatus
    states: dict[EntryState, int]
    stop: Stop | None
    ledger: str
    dropped_count: int = 0
    uncompared_count: int = 0


class JobRun:
    """A run of one job. It starts when it is first awaited or iterated.

    `await run` gives the Result. `async for receipt in run` gives each receipt as soon as it is recorded and
    ends with the run; `result` is set then. Leaving the iteration early cancels the run.
    """

    def __init__(self, execute: Execute, on_event: OnEvent | None) -> None:
        self._execute = execute
        self._on_event = on_event
        self._task: asyncio.Task[Result] | None = None
        self._run: Run | None = None
        self._asked: list[Callable[[Run], None]] = []
        self._asked_stop: Stop | None = None
        self._asked_stop_at = 0.0
        self._receipts: deque[Receipt] = deque()
        self._news = asyncio.Event()
        self._collects = False
        self.result: Result | None = None

    def __await__(self) -> Generator[Any, None, Result]:
        return self._finish().__await__()

    async def __aiter__(self) -> AsyncIterator[Receipt]:
        self._collects = True
        task = self._start()
        task.add_done_callback(lambda _: self._news.set())
        try:
            while self._receipts or not task.done():
                if self._receipts:
                    yield self._receipts.popleft()
                else:
                    self._news.clear()
                    await self._news.wait()
            await self._finish()
        finally:
            await self.aclose()

    @property
    def snapshot(self) -> Snapshot | None:
        """A snapshot of the run; None until its plan is made."""
        return None if self._run is None else self._run.snapshot()

    @property
    def stop(self) -> Stop | None:
        """Why the run ends early; None while it does not."""
        return self._asked_stop if self._run is None else self._run.stop

    @property
    def recording_s(self) -> float | None:
        """How long nothing is left but to record what became of requests; None while any may go on.

        While the plan is made there are none: the time since the run was asked to end.
        """
        if self._run is not None:
            return self._run.recording_s
        if self._asked_stop is None or self._task is None:
            return None
        return asyncio.get_running_loop().time() - self._asked_stop_at

    @property
    def waits(self) -> list[str]:
        """What the run waits for outside of itself, in words: a disk, the ledger, the server, …"""
        return ["the plan"] if self._run is None else self._run.waits()

    @property
    def bodies(self) -> list[BodyNow]:
        """The state of each request in flight; for a display that shows single uploads."""
        return [] if self._run is None else self._run.bodies()

    def drain(self, *, status: ExitStatus = ExitStatus.UNFINISHED, reason: str = "asked to drain") -> None:
        """Start nothing new and finish what is in flight. `status` is the verdict when entries are left."""
        self._ask_to_end(Stop(status=status, reason=reason, hint=_HINT), at_once=False)

    def cancel(self, *, status: ExitStatus = ExitStatus.UNFINISHED, reason: str = "asked to stop") -> None:
        """Abort what is in flight as well; each entry is recorded with what is known of it."""
        self._ask_to_end(Stop(status=status, reason=reason, hint=_HINT), at_once=True)

    def fail(self, error: BaseException) -> None:
        """End the run with an error from outside it, such as a signal handler's: `await` raises it."""
        self._ask(lambda run: run.fail(error))

    async def aclose(self) -> None:
        """Cancel the run if it has not ended, and wait until its ledger is closed."""
        if self._task is None or self._task.done():
            return
        self.cancel(reason="the caller left")
        await asyncio.wait([self._task])

    def _start(self) -> asyncio.Task[Result]:
        if self._task is None:
            work = self._execute(self._take_event, self._on_started)
            self._task = asyncio.get_running_loop().create_task(work)
        return self._task

    async def _finish(self) -> Result:
        task = self._start()
        try:
            self.result = await asyncio.shield(task)
        except asyncio.CancelledError:
            # The caller was cancelled: the run must not outlive it, and its requests must be recorded. A
            # second cancellation while we wait cancels the run as well.
            while not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            raise
        return self.result

    def _ask_to_end(self, stop: Stop, *, at_once: bool) -> None:
        if self._asked_stop is None and self._task is not None:
            self._asked_stop = stop
            self._asked_stop_at = asyncio.get_running_loop().time()
        self._ask(lambda run: run.cancel(stop) if at_once else run.drain(stop))

    def _ask(self, request: Callable[[Run], None]) -> None:
        """Call `request` with the run now, or as soon as its plan is made."""
        if self._run is None:
            self._asked.append(request)
        else:
            request(self._run)

    def _on_started(self, run: Run) -> None:
        self._run = run
        for request in self._asked:
            request(run)

    def _take_event(self, event: Event) -> None:
        if self._collects and isinstance(event, EntrySettled) and event.receipt is not None:
            self._receipts.append(event.receipt)
            self._news.set()
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except asyncio.CancelledError as error:
            # Nobody cancelled the task that emits: it would end in silence, and the run without the rest of its entries.
            raise RuntimeError(f"the listener raised CancelledError for {type(event).__name__}") from error
