"""A task for an entry that takes more than one request: retries, changed files, doubts."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from bulk_upload.core.events import AttemptEnded
from bulk_upload.core.model import EntryState, InDoubt, NotSent, SourceFailed, Unavailable
from bulk_upload.core.run.fault_scope import Stop
from bulk_upload.core.run.plan import KnownEntry, Step, plan_entry
from bulk_upload.core.run.records import reason_in
from bulk_upload.core.run.retry import Leave, Reconcile, RetryDecision, Settle, StopRun, TryAgain
from bulk_upload.edge.ledger import receipt_of
from bulk_upload.engine.doubt.resolution import Adopted, StillInDoubt
from bulk_upload.engine.limits.twins import TwinKey
from bulk_upload.engine.tasks import innermost, plain_task_group
from bulk_upload.engine.upload import DRAINED, FileChanged, NotBegun, Upload
from bulk_upload.errors import LedgerUnusable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.resolution import Doubts
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.limits.twins import TwinGate
    from bulk_upload.engine.sending.attempt import Attempts
    from bulk_upload.engine.sending.touched import Comparing
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import RecordedAttempt
    from bulk_upload.engine.validation.gate import Checking

FILE_CHANGES_MAX = 3
"""A file that is found changed more often is being written to, perhaps for ever."""


class EntryResult(NamedTuple):
    """What comes next for an entry after an attempt, and the state it has until then."""

    decision: RetryDecision
    state: EntryState = EntryState.PENDING


class EntryTasks:
    """Owns the tasks of entries. Each entry ends in exactly one EntrySettled event, unless the run drains while it is
    compared with its receipt.
    """

    def __init__(
        self,
        *,
        attempts: Attempts,
        settler: Settler,
        checking: Checking,
        comparing: Comparing,
        doubts: Doubts,
        twins: TwinGate,
        occupancy: Occupancy,
        stop_rules: StopRules,
        retry_policy: RetryPolicy,
        wire_bytes: Callable[[], int],
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._attempts = attempts
        self._settler = settler
        self._checking = checking
        self._comparing = comparing
        self._doubts = doubts
        self._twins = twins
        self._occupancy = occupancy
        self._stop_rules = stop_rules
        self._retry_policy = retry_policy
        self._wire_bytes = wire_bytes
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._emit = emit
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
        key = TwinKey(doubt.sent_name, doubt.file_bytes, doubt.purpose)
        holds = self._twins.try_hold(key)
        await self._start(partial(self._resolve_doubt, doubt, planned, key, holds_twin_key=holds))

    def stop_for(self, error: LedgerUnusable) -> None:
        """A ledger that cannot record ends the run, but not what is in flight."""
        self._drain.begin(ledger_stop(error))

    def emit_attempt(
        self, upload: Upload, attempt: RecordedAttempt, *, retry_in_s: float | None = None
    ) -> None:
        """Emit the end of an attempt."""
        self._emit(
            AttemptEnded(
                path=upload.planned.entry.path,
                attempt_no=upload.attempt_no,
                outcome=attempt.outcome,
                duration_s=attempt.duration_s,
                retry_in_s=retry_in_s,
            )
        )

    async def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._tasks is None:
            raise AssertionError("entries are taken while the group is open")
        self._occupancy.enter()
        self._tasks.start_soon(self._live, work)

    async def _live(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except* LedgerUnusable as group:
            error = innermost(group)
            if isinstance(error, LedgerUnusable):
                self.stop_for(error)
        finally:
            self._occupancy.leave()

    async def _run(self, upload: Upload, first: RecordedAttempt | None, *, holds_twin_key: bool) -> None:
        """Compare a touched file, then send it while no twin of it is on its way."""
        known = upload.planned.known if upload.planned.step is Step.COMPARE else None
        if first is None and known is not None and await self._comparing.settles(upload, known):
            return
        for _ in range(1 + FILE_CHANGES_MAX):
            if first is None and not await self._checking.passes(upload):
                return
            if not holds_twin_key and not await self._hold_twins(upload):
                return
            with self._twins.holding(upload.twin_key) as held:
                result = await self._send(upload, first)
                held.in_doubt = isinstance(result, EntryResult) and result.state is EntryState.IN_DOUBT
            if isinstance(result, EntryResult):
                if isinstance(result.decision, Leave | StopRun):
                    self._settler.settled(upload.planned, result.state, reason=upload.reason)
                return
            upload.fingerprint, holds_twin_key, first = result.fingerprint, False, None
        reason = "the file keeps changing" if upload.checked else "the file keeps changing its size"
        await self._settler.settle(upload.planned, upload.entry_id, EntryState.FAILED_LOCAL, reason)

    async def _hold_twins(self, upload: Upload) -> bool:
        """Wait until no twin is on its way; end the entry where none of them may be sent in this run."""
        with self._occupancy.parked():
            if await self._twins.hold(upload.twin_key):
                return True
        alike = "another entry with the same name, size and purpose is in doubt"
        reason = DRAINED if self._drain.begun else alike
        self._settler.settled(upload.planned, EntryState.PENDING, reason=reason)
        return False

    async def _send(self, upload: Upload, first: RecordedAttempt | None) -> EntryResult | FileChanged:
        """Attempt until the entry is settled, or this run can do no more.

        tenacity drives the attempts after the first; what to do and how long to wait is the policy's.
        """
        result = await (self._attempt(upload) if first is None else self._after(upload, first))
        if not _goes_on(result):
            return result
        await self._park(_delay_s(result))
        retrying = AsyncRetrying(retry=retry_if_result(_goes_on), wait=_policy_wait_s, sleep=self._park)
        return await retrying(self._attempt, upload)

    async def _park(self, delay_s: float) -> None:
        with self._occupancy.parked():
            await self._drain.sleep(delay_s)

    async def _attempt(self, upload: Upload) -> EntryResult | FileChanged:
        """Make one attempt and return what comes next."""
        made = await self._attempts.make(upload)
        if not isinstance(made, NotBegun):
            return await self._after(upload, await self._attempts.recorded(made))
        if isinstance(made.cause, FileChanged):
            return made.cause
        if made.cause is None:
            return EntryResult(Leave(reason=upload.reason))
        outcome = failed_to_open(made.cause)
        upload.reason = outcome.reason
        if isinstance(outcome, NotSent):
            return EntryResult(self._decide(upload, outcome))
        await self._settler.settle(upload.planned, upload.entry_id, EntryState.FAILED_LOCAL, outcome.reason)
        return EntryResult(Settle(), EntryState.FAILED_LOCAL)

    async def _after(self, upload: Upload, attempt: RecordedAttempt) -> EntryResult:
        """Resolve the doubt that an attempt may leave, and return what comes next."""
        outcome = attempt.outcome
        upload.reason = reason_in(outcome) or ""
        # An upload that probed during an outage does not pay for it.
        is_free = (
            attempt.probe
            and isinstance(outcome, Unavailable | InDoubt)
            and self._stop_rules.tolerates_probe(outcome)
        )
        decision = self._decide(upload, outcome, is_free=is_free)
        self.emit_attempt(upload, attempt, retry_in_s=_retry_in_s(decision))
        match decision:
            case Settle():
                self._settler.settled_by(upload.planned, attempt)
            case Reconcile() if isinstance(outcome, InDoubt):
                return await self._resolve(upload, attempt, outcome, is_free=is_free)
            case Leave(reason=reason, exhausted=True):
                await self._leave(upload, reason)
                self._stop_rules.on_exhausted(outcome)
        return EntryResult(decision, attempt.state)

    async def _resolve(
        self, upload: Upload, attempt: RecordedAttempt, outcome: InDoubt, *, is_free: bool
    ) -> EntryResult:
        """Find out what became of an attempt whose answer was lost, before anything is sent again."""
        resolution = await self._doubts.resolve_attempt(attempt, upload.entry_id, outcome)
        if isinstance(resolution, StillInDoubt):
            upload.reason = resolution.reason
            return EntryResult(Leave(reason=resolution.reason), EntryState.IN_DOUBT)
        if isinstance(resolution, Adopted):
            await self._settler.accepted(upload.planned, upload.entry_id)
            return EntryResult(Settle(), EntryState.ACCEPTED)
        if not outcome.answered:
            # A small body fits into the system's buffers: a server that closed on it looks like a lost answer.
            upload.ask_first = True
        if not is_free:
            upload.attempts_used += 1
        decision = self._retry_policy.again(
            outcome.reason,
            attempts_used=upload.attempts_used,
            budget_empty=self._stop_rules.budget.empty,
            jitter=self._clock.jitter(),
        )
        if isinstance(decision, TryAgain):
            self._stop_rules.on_retry()
        else:
            await self._leave(upload, decision.reason)
        return EntryResult(decision)

    async def _leave(self, upload: Upload, reason: str) -> None:
        """Leave an entry whose attempts are used up, with the reason in the ledger, too."""
        upload.reason = reason
        await self._ledger.run(lambda store: store.explain(upload.entry_id, reason))

    def _decide(self, upload: Upload, outcome: Outcome, *, is_free: bool = False) -> RetryDecision:
        if isinstance(outcome, NotSent) and outcome.local_limit:
            self._stop_rules.on_short(outcome.reason, wire_bytes=self._wire_bytes())
        decision = self._retry_policy.decide(
            outcome,
            attempts_used=upload.attempts_used + 1,
            budget_empty=self._stop_rules.budget.empty,
            jitter=self._clock.jitter(),
            is_probe=is_free,
        )
        # A doubt counts once it is known that the attempt left nothing.
        if isinstance(decision, Reconcile) or (isinstance(decision, TryAgain) and not decision.uses_attempt):
            return decision
        upload.attempts_used += 1
        if isinstance(decision, TryAgain):
            self._stop_rules.on_retry()
        return decision

    async def _resolve_doubt(
        self, doubt: Doubt, planned: PlannedEntry | None, key: TwinKey, *, holds_twin_key: bool
    ) -> None:
        resolution = await self._doubts.resolve(doubt, None if planned is None else planned.entry.path)
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
                sha256=receipt.sha256,
            )
        await self._plan_again(planned, known)

    async def _plan_again(self, planned: PlannedEntry, known: KnownEntry) -> None:
        """Go on with an entry whose doubt is resolved, by what the ledger knows of it now."""
        step = plan_entry(known, planned.fingerprint)
        if step.step is Step.SETTLED:
            await self._settler.accepted(planned, known.entry_id)
        elif planned.fingerprint is None:
            await self._settler.settle(
                planned, known.entry_id, EntryState.FAILED_LOCAL, "the file no longer exists"
            )
        else:
            upload = Upload(planned=planned, entry_id=known.entry_id, fingerprint=planned.fingerprint)
            if step.step is Step.COMPARE:
                if await self._comparing.settles(upload, known):
                    return
            elif known.state is not EntryState.PENDING:
                await self._comparing.put_back(known.entry_id, step.reason)
            await self._run(upload, None, holds_twin_key=False)


def ledger_stop(error: LedgerUnusable) -> Stop:
    """Return why a run stops whose ledger cannot record."""
    return Stop(
        status=ExitStatus.LEDGER_UNUSABLE, reason=str(error), hint=error.hint or "run the same command again"
    )


def failed_to_open(error: SourceError) -> SourceFailed | NotSent:
    """Return the outcome of an attempt that never had a file to send."""
    if error.local_limit:
        return NotSent(reason=error.reason, local_limit=True)
    return SourceFailed(reason=error.reason)


def _goes_on(result: EntryResult | FileChanged) -> bool:
    return isinstance(result, EntryResult) and isinstance(result.decision, TryAgain)


def _delay_s(result: EntryResult | FileChanged) -> float:
    decision = result.decision if isinstance(result, EntryResult) else None
    return decision.delay_s if isinstance(decision, TryAgain) else 0.0


def _retry_in_s(decision: RetryDecision) -> float | None:
    return decision.delay_s if isinstance(decision, TryAgain) else None


def _policy_wait_s(state: RetryCallState) -> float:
    """Give tenacity the policy's wait."""
    return 0.0 if state.outcome is None else _delay_s(state.outcome.result())
