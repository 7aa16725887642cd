"""A task for an entry that takes more than one request: twins, changed files, doubts of an earlier run."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import KnownEntry, Step, plan_entry
from bulk_upload.core.run.retry import Leave, StopRun
from bulk_upload.edge.ledger import receipt_of
from bulk_upload.engine.doubt.resolution import ABSENT, Adopted, StillInDoubt
from bulk_upload.engine.limits.twins import TwinKey
from bulk_upload.engine.sending.retries import EntryResult
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.engine.upload import DRAINED, Upload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup

    from bulk_upload.core.model import Altered
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.resolution import Doubts
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.limits.twins import TwinGate
    from bulk_upload.engine.sending.retries import Retries
    from bulk_upload.engine.sending.touched import TouchedFiles
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import RecordedAttempt
    from bulk_upload.engine.validation.gate import Gate

FILE_CHANGES_MAX = 3
"""A file that is found changed more often is being written to, perhaps for ever."""


class EntryTasks:
    """Owns the tasks of entries. Each entry ends in exactly one EntrySettled event, unless the run drains while it is
    compared with its receipt.
    """

    def __init__(
        self,
        *,
        retries: Retries,
        settler: Settler,
        gate: Gate,
        touched: TouchedFiles,
        doubts: Doubts,
        twins: TwinGate,
        stop_rules: StopRules,
        occupancy: Occupancy,
        ledger: Ledger[LedgerStore],
        drain: Drain,
    ) -> None:
        self._retries = retries
        self._settler = settler
        self._gate = gate
        self._touched = touched
        self._doubts = doubts
        self._twins = twins
        self._stop_rules = stop_rules
        self._occupancy = occupancy
        self._ledger = ledger
        self._drain = drain
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Take entries while the block runs, and wait for their ends after it."""
        async with plain_task_group() as self._tasks:
            yield

    async def start(
        self, upload: Upload, *, first: RecordedAttempt | None = None, holds_twin_key: bool = False
    ) -> None:
        """Start the task of an entry; `first` is an attempt that was made and recorded, and kept the twin key.

        A coroutine, so that only tasks can start tasks. The entry counts as live from now on.
        """
        holds = holds_twin_key or first is not None
        await self._start(partial(self._run, upload, first, holds_twin_key=holds))

    async def start_doubt(self, doubt: Doubt, planned: PlannedEntry | None) -> None:
        """Start the task of an entry that an earlier run left in doubt.

        `planned` is None when the manifest no longer has the entry. No twin may start meanwhile.
        """
        key = TwinKey.of(doubt.sent_name, doubt.file_bytes, doubt.purpose)
        holds = self._twins.try_hold(key)
        await self._start(partial(self._resolve_doubt, doubt, planned, key, holds_twin_key=holds))

    async def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._tasks is None:
            raise AssertionError("entries are taken while the group is open")
        self._occupancy.enter()
        self._tasks.start_soon(self._live, work)

    async def _live(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await self._stop_rules.unless_ledger_fails(work())
        finally:
            self._occupancy.leave()

    async def _run(self, upload: Upload, first: RecordedAttempt | None, *, holds_twin_key: bool) -> None:
        """Compare a touched file, then send it while no twin of it is in flight."""
        known = upload.planned.known if upload.planned.step is Step.COMPARE else None
        if first is None and known is not None and await self._touched.settles(upload, known):
            return
        reason = ""
        for _ in range(1 + FILE_CHANGES_MAX):
            if first is None and not await self._gate.passes(upload):
                return
            if not holds_twin_key and not await self._hold_twins(upload):
                return
            with self._twins.holding(upload.twin_key) as held:
                result = await self._retries.send(upload, first)
                held.in_doubt = isinstance(result, EntryResult) and result.state is EntryState.IN_DOUBT
            await self._gate.keep_refusal(upload)
            if isinstance(result, EntryResult):
                if isinstance(result.decision, Leave | StopRun):
                    self._settler.settled(
                        upload.planned, result.state, reason=upload.reason, altered=upload.altered
                    )
                return
            was, upload.fingerprint = upload.fingerprint, result.fingerprint
            holds_twin_key, first = False, None
            reason = "the file keeps changing" if upload.checked else "the file keeps changing its size"
            if was.same_but_ctime(upload.fingerprint):
                reason = "the file's change time keeps changing; --ignore-ctime leaves it out"
        await self._settler.fail(upload.planned, upload.entry_id, reason, upload.fingerprint)

    async def _hold_twins(self, upload: Upload) -> bool:
        """Wait until no twin is in flight; end the entry where none of them may be sent in this run."""
        with self._occupancy.parked(depends=True):
            if await self._twins.hold(upload.twin_key):
                return True
        alike = "another entry with the same name, size and purpose is in doubt"
        reason = DRAINED if self._drain.begun else alike
        self._settler.settled(upload.planned, EntryState.PENDING, reason=reason)
        return False

    async def _resolve_doubt(
        self, doubt: Doubt, planned: PlannedEntry | None, key: TwinKey, *, holds_twin_key: bool
    ) -> None:
        unreadable: SourceError | None = None
        try:
            if planned is not None and planned.fingerprint is None:
                # Whatever became of the file: the attempt is looked up by what it sent.
                planned, unreadable = await self._touched.prepared(planned)
            resolution = await self._doubts.resolve(
                doubt, sendable=planned is not None and unreadable is None
            )
        except BaseException:
            # Whether the server has the file is not known: no look-alike may start.
            self._twins.bar(key)
            raise
        if isinstance(resolution, StillInDoubt):
            self._twins.bar(key)
            if planned is not None:
                self._settler.settled(planned, EntryState.IN_DOUBT, reason=resolution.reason)
            return
        if holds_twin_key:
            self._twins.release(key)
        if planned is None:
            return
        known = KnownEntry(entry_id=doubt.entry_id, state=EntryState.PENDING)
        if isinstance(resolution, Adopted):
            sent_as = await self._ledger.run(lambda store: store.attempt_fingerprint(doubt.attempt_id))
            receipt = await self._ledger.run(lambda store: receipt_of(store, doubt.entry_id))
            known = KnownEntry(
                entry_id=doubt.entry_id,
                state=EntryState.ACCEPTED,
                fingerprint=sent_as,
                content_hash=receipt.content_hash,
            )
        elif unreadable is not None:
            await self._end_without_file(planned, known.entry_id, unreadable)
            return
        if isinstance(resolution, Adopted):
            await self._plan_again(planned, known, altered=resolution.altered)
        else:
            await self._plan_again(planned, known, was_absent=resolution.reason == ABSENT)

    async def _end_without_file(self, planned: PlannedEntry, entry_id: int, error: SourceError) -> None:
        """End an entry that left nothing at the server, and whose file cannot be read now."""
        if error.inaccessible:
            await self._settler.fail(planned, entry_id, error.reason, None)
            return
        await self._ledger.run(lambda store: store.explain(entry_id, error.reason))
        self._settler.settled(planned, EntryState.PENDING, reason=error.reason)

    async def _plan_again(
        self,
        planned: PlannedEntry,
        known: KnownEntry,
        *,
        altered: tuple[Altered, ...] = (),
        was_absent: bool = False,
    ) -> None:
        """Continue with an entry whose doubt is resolved, by its current state in the ledger."""
        step = plan_entry(known, planned.fingerprint)
        if step.step is Step.SETTLED:
            await self._settler.accepted(planned, known.entry_id, altered=altered)
        elif planned.fingerprint is None:
            raise AssertionError("what has no file is not sent")
        else:
            upload = Upload(
                planned=planned,
                entry_id=known.entry_id,
                fingerprint=planned.fingerprint,
                was_absent=was_absent,
            )
            if step.step is Step.COMPARE:
                if await self._touched.settles(upload, known):
                    return
            elif known.state is not EntryState.PENDING:
                await self._touched.put_back(known.entry_id, step.reason)
            await self._run(upload, None, holds_twin_key=False)
