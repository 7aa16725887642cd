"""A run in progress: its caller can await, iterate, drain or cancel it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.events import EntrySettled
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import FAILED_STATES, Tally
from bulk_upload.core.run.fault_scope import RERUN_HINT, Stop
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import LedgerReader
from bulk_upload.errors import (
    CredentialsRefused,
    EntriesFailed,
    EntriesInDoubt,
    JobIncomplete,
    LedgerUnusable,
    RunUnfinished,
    UsageError,
)
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Generator
    from typing import Self

    from bulk_upload.core.events import BodyNow, Event, Snapshot
    from bulk_upload.core.report.export import ExportRow
    from bulk_upload.engine.run import Run

    OnEvent = Callable[[Event], None]
    Execute = Callable[[OnEvent, Callable[[Run], None]], Coroutine[Any, Any, "Result"]]

_INTERRUPTED = "interrupted"
_INTERRUPTS = 3
_REASONS_SHOWN_MAX = 3


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended.

    `status` is the verdict, as the exit code of the command. `states` counts all entries of the manifest; `stop` says
    why the run ended early, None when it did not. `ledger` is the path of the ledger, which has a row for each entry:
    what returns rows reads them there, and raises LedgerUnusable where it cannot.
    `dropped_count` entries of the ledger are not in the manifest: of earlier versions of it, or of others.
    `uncompared_count` touched files were not compared with their receipts before the run ended.
    `left_out` says, in words, which files of a folder are missing for want of a purpose, or could not be read: then the job
    is not `ok`. `only` is the path of the one file that was to be uploaded as a part of its folder's job: rows are those of
    that file. None for a whole job.
    """

    status: ExitStatus
    states: dict[EntryState, int]
    stop: Stop | None
    ledger: str
    dropped_count: int = 0
    uncompared_count: int = 0
    left_out: tuple[str, ...] = ()
    only: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every entry of the job is accepted."""
        return self.status is ExitStatus.DONE

    @property
    def accepted(self) -> list[ExportRow]:
        """The rows of the accepted entries, those of earlier runs included."""
        return self.rows(EntryState.ACCEPTED)

    @property
    def failures(self) -> list[ExportRow]:
        """The rows of entries that were rejected, invalid, failed here or withdrawn, each with its `reason`."""
        return self.rows(*FAILED_STATES)

    @property
    def in_doubt(self) -> list[ExportRow]:
        """The rows of entries that the server may have: `JobLedger.resolving` or another run settles them."""
        return self.rows(EntryState.IN_DOUBT)

    @property
    def pending(self) -> list[ExportRow]:
        """The rows of entries that this run did not come to, or gave up: the next run sends them."""
        return self.rows(EntryState.PENDING)

    def rows(self, *states: EntryState) -> list[ExportRow]:
        """Return the rows of the entries in any of these states, of all entries without one."""
        if states and not any(self.states.get(state) for state in states):
            return []
        with LedgerReader(self.ledger) as reader:
            rows = reader.rows(states=frozenset(states or EntryState))
            return [one for one in rows if self.only in (None, one.path)]

    @property
    def file_id(self) -> str:
        """The id of the file, for a job of one entry.

        Raises what `raise_for_status` raises where it is not accepted, UsageError where there are several entries.
        """
        self.raise_for_status()
        accepted = [one.file_id for one in self.accepted]
        if len(accepted) != 1 or accepted[0] is None:
            raise UsageError(
                f"the job has {len(accepted):,} entries, so it has no single file id",
                hint="use `result.accepted`: each row has its path and file_id",
            )
        return accepted[0]

    def raise_for_status(self) -> Self:
        """Return the result where every entry is accepted.

        Raises EntriesFailed, EntriesInDoubt or RunUnfinished (all of them JobIncomplete), CredentialsRefused, or
        LedgerUnusable, as `status` says.
        """
        if self.ok:
            return self
        hint = None if self.stop is None else self.stop.hint
        message = self.summary()
        if self.status is ExitStatus.CREDENTIALS_REFUSED:
            raise CredentialsRefused(message, hint=hint)
        if self.status is ExitStatus.LEDGER_UNUSABLE:
            raise LedgerUnusable(message, hint=hint)
        kind, usual_hint = _INCOMPLETE.get(self.status, (RunUnfinished, RERUN_HINT))
        counts = {state.value: count for state, count in self.states.items() if count}
        raise kind(message, hint=hint or usual_hint, status=self.status, states=counts, ledger=self.ledger)

    def summary(self) -> str:
        """Return one line for people: how many entries are in which state, and the first reasons."""
        total = sum(self.states.values())
        parts = [f"{self.states.get(EntryState.ACCEPTED, 0):,} of {total:,} entries accepted"]
        parts += [
            f"{count:,} {state.value}"
            for state, count in self.states.items()
            if count and state is not EntryState.ACCEPTED
        ]
        text = ", ".join(parts)
        if self.stop is not None:
            return f"{text}: {self.stop.reason}"
        left = self.failures or self.in_doubt or self.pending
        reasons = [f"{printable(row.path)}: {printable(row.reason or row.status)}" for row in left]
        reasons += [printable(one) for one in self.left_out]
        shown = "; ".join(reasons[:_REASONS_SHOWN_MAX])
        more = (
            f"; and {len(reasons) - _REASONS_SHOWN_MAX:,} more" if len(reasons) > _REASONS_SHOWN_MAX else ""
        )
        return f"{text}: {shown}{more}" if shown else text


_INCOMPLETE: dict[ExitStatus, tuple[type[JobIncomplete], str]] = {
    ExitStatus.SOME_FAILED: (
        EntriesFailed,
        "fix what `result.failures` and `result.left_out` name, and upload again",
    ),
    ExitStatus.IN_DOUBT: (
        EntriesInDoubt,
        "upload again to look them up, or settle them with `bulk-upload resolve`",
    ),
}


class JobRun:
    """A run of one job. It starts when it is first awaited or iterated.

    `await run` gives the Result. `async for entry in run` gives every entry that the run comes to, with its state, as
    soon as it is recorded: accepted, rejected, in doubt, or left pending. Entries that were settled by an earlier run
    and are left alone are not among them. The iteration ends with the run; `result` is set then. Leaving it early
    cancels the run.
    """

    def __init__(self, execute: Execute, on_event: OnEvent | None) -> None:
        self._execute = execute
        self._on_event = on_event
        self._task: asyncio.Task[Result] | None = None
        self._run: Run | None = None
        self._asked: list[Callable[[Run], None]] = []
        self._asked_stop: Stop | None = None
        self._asked_stop_at = 0.0
        self._given_up = False
        self._settled: deque[EntrySettled] = deque()
        self._news = asyncio.Event()
        self._collects = False
        self.result: Result | None = None

    def __await__(self) -> Generator[Any, None, Result]:
        return self._finish().__await__()

    async def __aiter__(self) -> AsyncIterator[EntrySettled]:
        self._collects = True
        task = self._start()
        task.add_done_callback(lambda _: self._news.set())
        try:
            while self._settled or not task.done():
                if self._settled:
                    yield self._settled.popleft()
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
    def tally(self) -> Tally:
        """The numbers of the run, which keep changing; zeros until its plan is made. Count before a listener is called."""
        return Tally() if self._run is None else self._run.tally

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
        self._ask_to_end(Stop(status=status, reason=reason, hint=RERUN_HINT), at_once=False)

    def cancel(self, *, status: ExitStatus = ExitStatus.UNFINISHED, reason: str = "asked to stop") -> None:
        """Abort what is in flight as well; each entry is recorded with what is known of it."""
        self._ask_to_end(Stop(status=status, reason=reason, hint=RERUN_HINT), at_once=True)

    def interrupt(self, count: int) -> None:
        """End the run as Ctrl-C ends a command; `count` says which interrupt this is, 1 for the first.

        The first one drains, the second one cancels, the third one cancels whoever waits for the run. While the plan is
        made nothing is in flight, and the first one does what the third does.
        """
        if count >= _INTERRUPTS or self._run is None:
            self._given_up = True
            self.cancel(status=ExitStatus.INTERRUPTED, reason=_INTERRUPTED)
            if self._task is not None:
                self._task.cancel()
        elif count == 1:
            self.drain(status=ExitStatus.INTERRUPTED, reason=_INTERRUPTED)
        else:
            self.cancel(status=ExitStatus.INTERRUPTED, reason=_INTERRUPTED)

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
            if self._given_up:
                self._task.cancel()
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
        if self._collects and isinstance(event, EntrySettled):
            self._settled.append(event)
            self._news.set()
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except asyncio.CancelledError as error:
            # Nobody cancelled the task that emits: it would end in silence, and the run without the rest of its entries.
            raise RuntimeError(f"the listener raised CancelledError for {type(event).__name__}") from error
