"""Attempts with one entry until it is settled, or this run can do no more for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.model import EntryState, InDoubt, NotSent, Unavailable
from bulk_upload.core.run.records import altered_in, reason_in
from bulk_upload.core.run.retry import Leave, Reconcile, RetryDecision, Settle, TryAgain
from bulk_upload.core.run.source import outcome_of
from bulk_upload.engine.doubt.resolution import ABSENT, Adopted, Refuted, StillInDoubt
from bulk_upload.engine.sending.late_imports import RETRYING, imported
from bulk_upload.engine.upload import FileChanged, NotBegun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.limits.capped import CappedController
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.resolution import Doubts
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.sending.attempt import Attempts
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import RecordedAttempt, Upload


class EntryResult(NamedTuple):
    """What comes next for an entry after an attempt, and the state it has until then."""

    decision: RetryDecision
    state: EntryState = EntryState.PENDING


class Retries:
    """Makes attempts, and decides after each whether another one follows."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        settler: Settler,
        doubts: Doubts,
        occupancy: Occupancy,
        stop_rules: StopRules,
        policy: RetryPolicy,
        limits: CappedController,
        wire_bytes: Callable[[], int],
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
    ) -> None:
        self._attempts = attempts
        self._settler = settler
        self._doubts = doubts
        self._occupancy = occupancy
        self._stop_rules = stop_rules
        self._policy = policy
        self._limits = limits
        self._wire_bytes = wire_bytes
        self._ledger = ledger
        self._drain = drain
        self._clock = clock

    async def send(self, upload: Upload, first: RecordedAttempt | None) -> EntryResult | FileChanged:
        """Attempt until the entry is settled, or this run can do no more.

        tenacity drives the attempts after the first; what to do and how long to wait is the policy's.
        """
        result = await (self._attempt(upload) if first is None else self._after(upload, first))
        if not _goes_on(result):
            return result
        await self._park(_delay_s(result))
        await imported(RETRYING)
        from tenacity import AsyncRetrying, retry_if_result  # noqa: PLC0415 - see late_imports

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
        outcome = outcome_of(made.cause)
        upload.reason = outcome.reason
        if isinstance(outcome, NotSent):
            decision = self._decide(upload, outcome)
            if outcome.transient:
                # Now, and not only at the end: the run may drain, or die, while the entry waits.
                reason = decision.reason if isinstance(decision, Leave) else outcome.reason
                await self._leave(upload, reason)
            return EntryResult(decision)
        at_fault = None if outcome.inaccessible else upload.fingerprint
        await self._settler.fail(upload.planned, upload.entry_id, outcome.reason, at_fault)
        return EntryResult(Settle(), EntryState.FAILED_LOCAL)

    async def _after(self, upload: Upload, attempt: RecordedAttempt) -> EntryResult:
        """Resolve the doubt that an attempt may leave, and return what comes next."""
        outcome = attempt.outcome
        upload.reason = reason_in(outcome) or ""
        upload.altered = altered_in(outcome)
        # An upload that probed during an outage does not pay for it.
        is_free = (
            attempt.probe
            and isinstance(outcome, Unavailable | InDoubt)
            and not (_is_success(outcome) or _is_agents(outcome))
            and self._stop_rules.tolerates_probe(outcome)
        )
        decision = self._decide(upload, outcome, is_free=is_free)
        self._settler.attempt_ended(upload, attempt, retry_in_s=_retry_in_s(decision))
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
            if upload.altered:
                self._stop_rules.on_unproven(upload.altered)
            return EntryResult(Leave(reason=resolution.reason), EntryState.IN_DOUBT)
        if isinstance(resolution, Adopted):
            await self._settler.accepted(upload.planned, upload.entry_id, altered=resolution.altered)
            return EntryResult(Settle(), EntryState.ACCEPTED)
        if isinstance(resolution, Refuted):
            self._settler.settled(
                upload.planned,
                EntryState.REJECTED,
                reason=resolution.reason,
                http_status=outcome.http_status,
            )
            return EntryResult(Settle(), EntryState.REJECTED)
        upload.was_absent = resolution.reason == ABSENT
        if not (outcome.answered or outcome.agent_lost):
            # A small body fits into the system's buffers: a server that closed on it looks like a lost answer.
            upload.ask_first = True
        # The server is not to blame for a lost agent, nor is the entry.
        if not (is_free or outcome.agent_lost):
            upload.attempts_used += 1
        decision = self._policy.again(
            outcome.reason,
            attempts_used=upload.attempts_used,
            budget_empty=self._stop_rules.budget.empty and not outcome.agent_lost,
            jitter=self._clock.jitter(),
            by_chance=self._by_chance,
        )
        if isinstance(decision, TryAgain):
            if not outcome.agent_lost:
                self._stop_rules.on_retry()
        else:
            await self._leave(upload, decision.reason)
        return EntryResult(decision)

    async def _leave(self, upload: Upload, reason: str) -> None:
        """Leave an entry, for now or for the next run, with the reason in the ledger, too."""
        upload.reason = reason
        await self._ledger.run(lambda store: store.explain(upload.entry_id, reason))

    @property
    def _by_chance(self) -> bool:
        return self._limits.chance_share is not None

    def _decide(self, upload: Upload, outcome: Outcome, *, is_free: bool = False) -> RetryDecision:
        if isinstance(outcome, NotSent) and outcome.local_limit:
            self._stop_rules.on_short(outcome.reason, wire_bytes=self._wire_bytes())
        elif isinstance(outcome, NotSent) and outcome.transient:
            self._stop_rules.on_unreadable(outcome.reason, wire_bytes=self._wire_bytes())
        decision = self._policy.decide(
            outcome,
            attempts_used=upload.attempts_used + 1,
            budget_empty=self._stop_rules.budget.empty,
            jitter=self._clock.jitter(),
            is_probe=is_free,
            by_chance=self._by_chance,
        )
        # A doubt counts once it is known that the attempt left nothing.
        if isinstance(decision, Reconcile) or (isinstance(decision, TryAgain) and not decision.uses_attempt):
            return decision
        upload.attempts_used += 1
        # The budget is the server's: reading a file again asks nothing of it.
        if isinstance(decision, TryAgain) and not isinstance(outcome, NotSent):
            self._stop_rules.on_retry()
        return decision


def _goes_on(result: EntryResult | FileChanged) -> bool:
    return isinstance(result, EntryResult) and isinstance(result.decision, TryAgain)


def _is_success(outcome: Unavailable | InDoubt) -> bool:
    """Whether the server answered that all is well: no outage, however unusable the answer is."""
    return outcome.http_status is not None and 200 <= outcome.http_status < 300


def _delay_s(result: EntryResult | FileChanged) -> float:
    decision = result.decision if isinstance(result, EntryResult) else None
    return decision.delay_s if isinstance(decision, TryAgain) else 0.0


def _is_agents(outcome: Unavailable | InDoubt) -> bool:
    """Whether the agent was lost that made the request: no outage either."""
    return isinstance(outcome, InDoubt) and outcome.agent_lost


def _retry_in_s(decision: RetryDecision) -> float | None:
    return decision.delay_s if isinstance(decision, TryAgain) else None


def _policy_wait_s(state: RetryCallState) -> float:
    """Hand the policy's wait to tenacity."""
    return 0.0 if state.outcome is None else _delay_s(state.outcome.result())
