"""Carries one entry from its place in the plan to its end in this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from bulk_upload.core.events import AttemptEnded
from bulk_upload.core.model import EntryState, InDoubt, NotSent, SourceFailed, Unavailable
from bulk_upload.core.plan import KnownEntry, Step, plan_entry
from bulk_upload.core.records import reason_in
from bulk_upload.core.retry import Leave, Reconcile, RetryDecision, Settle, StopRun, TryAgain
from bulk_upload.core.source import SourceError
from bulk_upload.edge.ledger import receipt_of
from bulk_upload.engine.attempt import failed_to_open
from bulk_upload.engine.comparing import Comparing
from bulk_upload.engine.doubts import Adopted, Doubts, StillInDoubt
from bulk_upload.engine.endings import Endings
from bulk_upload.engine.passage import Passage, Resized
from bulk_upload.engine.twins import TwinKey

if TYPE_CHECKING:
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.reconcile import Doubt
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.attempt import Attempter
    from bulk_upload.engine.checking import Checking
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import AttemptResult

RESIZES_MAX = 3
"""A file found with another size more often than that is being written to, and might be for ever."""

_DRAINED = "not sent: the run was draining"


@dataclass(slots=True)
class _Fate:
    """How an entry would be left if nothing more happened to it."""

    state: EntryState = EntryState.PENDING
    reason: str = _DRAINED


class Carrier:
    """Takes entries through attempts, retries and reconciliation.

    Each ends in exactly one EntrySettled event, unless the run drains while it is compared with its receipt.
    """

    def __init__(self, parts: Parts, parking: Parking, checking: Checking, attempter: Attempter) -> None:
        self._parts = parts
        self._checking = checking
        self._parking = parking
        self._attempter = attempter
        self._doubts = Doubts(parts, parking)
        self._endings = Endings(parts)
        self._comparing = Comparing(parts, parking, self._endings)

    async def carry(self, passage: Passage, *, holds_twin_key: bool = False) -> None:
        """Carry an entry that is to be sent, or compared first."""
        known = passage.work.known if passage.work.step is Step.COMPARE else None
        if known is not None and await self._comparing.settles(passage, known):
            return
        await self._through_the_gate(passage, holds_twin_key=holds_twin_key)

    async def carry_on(self, passage: Passage, first: AttemptResult) -> None:
        """Carry an entry on whose first attempt was made, and recorded, by somebody else. It holds its twin key."""
        await self._through_the_gate(passage, holds_twin_key=True, first=first)

    def accept(self, passage: Passage, first: AttemptResult) -> None:
        """End an entry whose first attempt was accepted, and recorded."""
        passage.attempts_used += 1
        self._tell_attempt(passage, first, Settle())
        self._endings.tell_attempt(passage.work, first)
        self._parts.twins.release(passage.twin_key)

    def leave_undone(self, passage: Passage) -> None:
        """End an entry whose first attempt did not begin before the run drained. It holds its twin key."""
        self._endings.tell(passage.work, EntryState.PENDING, reason=_DRAINED)
        self._parts.twins.release(passage.twin_key)

    def give_up(self, passage: Passage) -> None:
        """Let no look-alike of an entry start any more: nobody knows what became of it. It holds its twin key."""
        self._parts.twins.bar(passage.twin_key)

    async def carry_doubt(self, doubt: Doubt, work: StagedEntry | None, *, holds_twin_key: bool) -> None:
        """Carry an entry that an earlier run left in doubt; `work` is None when the manifest no longer has it."""
        key = TwinKey(doubt.sent_name, doubt.file_bytes, doubt.purpose)
        resolution = await self._doubts.resolve(doubt, work)
        if isinstance(resolution, StillInDoubt):
            self._parts.twins.bar(key)
            if work is not None:
                self._endings.tell(work, EntryState.IN_DOUBT, reason=resolution.reason)
            return
        if holds_twin_key:
            self._parts.twins.release(key)
        if work is None:
            return
        known = KnownEntry(entry_id=doubt.entry_id, state=EntryState.PENDING)
        if isinstance(resolution, Adopted):
            sent_as = await self._parts.ledger.run(lambda store: store.attempt_fingerprint(doubt.attempt_id))
            receipt = await self._parts.ledger.run(lambda store: receipt_of(store, doubt.entry_id))
            known = KnownEntry(
                entry_id=doubt.entry_id,
                state=EntryState.ACCEPTED,
                fingerprint=sent_as,
                sha256=receipt.sha256,
            )
        await self._plan_again(work, known)

    async def _plan_again(self, work: StagedEntry, known: KnownEntry) -> None:
        planned = plan_entry(known, work.source)
        if planned.step is Step.SETTLED:
            await self._endings.tell_accepted(work, known.entry_id)
        elif work.source is None:
            await self._endings.settle(
                work, known.entry_id, EntryState.FAILED_LOCAL, "the file is no longer there"
            )
        else:
            passage = Passage(work=work, entry_id=known.entry_id, source=work.source)
            if planned.step is Step.COMPARE:
                if await self._comparing.settles(passage, known):
                    return
            elif known.state is not EntryState.PENDING:
                await self._comparing.put_back(known.entry_id, planned.reason)
            await self._through_the_gate(passage, holds_twin_key=False)

    async def _through_the_gate(
        self, passage: Passage, *, holds_twin_key: bool, first: AttemptResult | None = None
    ) -> None:
        """Send while no other entry that looks alike is on its way. `first` is an attempt that was made already."""
        twins = self._parts.twins
        resize_count = 0
        while True:
            if first is None and not await self._checking.passes(passage):
                return
            key = passage.twin_key
            if not holds_twin_key:
                with self._parking.space():
                    holds_twin_key = await twins.hold(key)
            if not holds_twin_key:
                alike = "another entry with the same name, size and purpose is in doubt"
                reason = _DRAINED if self._parts.drain.begun else alike
                self._endings.tell(passage.work, EntryState.PENDING, reason=reason)
                return
            try:
                state = await self._send(passage, first)
            except Resized as resized:
                twins.release(key)
                first = None
                passage.source, holds_twin_key = resized.source, False
                resize_count += 1
                if resize_count <= RESIZES_MAX:
                    continue
                await self._endings.settle(
                    passage.work,
                    passage.entry_id,
                    EntryState.FAILED_LOCAL,
                    "the file keeps changing its size"
                    if passage.checked is None
                    else "the file keeps changing",
                )
                return
            except BaseException:
                twins.bar(key)
                raise
            if state is EntryState.IN_DOUBT:
                twins.bar(key)
            else:
                twins.release(key)
            return

    async def _send(self, passage: Passage, first: AttemptResult | None) -> EntryState:
        """Attempt until the entry is settled or this run can do no more; return its state.

        tenacity drives the attempts after the first; what to do and how long to wait is the policy's.
        """
        fate = _Fate()
        decision = await (
            self._attempt(passage, fate) if first is None else self._after(first, passage, fate)
        )
        if isinstance(decision, TryAgain):
            await self._park(decision.delay_s)
            retrying = AsyncRetrying(
                retry=retry_if_result(lambda result: isinstance(result, TryAgain)),
                wait=_policy_wait_s,
                sleep=self._park,
            )
            decision = await retrying(self._attempt, passage, fate)
        if isinstance(decision, Leave | StopRun):
            self._endings.tell(passage.work, fate.state, reason=fate.reason)
        return fate.state

    async def _park(self, delay_s: float) -> None:
        with self._parking.space():
            await self._parts.drain.sleep(delay_s)

    async def _attempt(self, passage: Passage, fate: _Fate) -> RetryDecision:
        """Make one attempt and return what comes next."""
        result = await self._attempter.attempt(passage)
        if result is None:
            return Leave(reason=fate.reason)
        if isinstance(result, SourceError):
            return await self._not_opened(passage, fate, failed_to_open(result))
        return await self._after(result, passage, fate)

    async def _after(self, result: AttemptResult, passage: Passage, fate: _Fate) -> RetryDecision:
        """Resolve the doubt that an attempt may leave, and return what comes next."""
        outcome = result.concluded.outcome
        fate.state = result.concluded.state
        fate.reason = reason_in(outcome) or ""
        spared = (
            result.probe
            and isinstance(outcome, Unavailable | InDoubt)
            and self._parts.oversight.bears(outcome)
        )
        decision = self._decide(passage, outcome, spared=spared)
        self._tell_attempt(passage, result, decision)
        match decision:
            case Settle():
                self._endings.tell_attempt(passage.work, result)
            case Reconcile() if isinstance(outcome, InDoubt):
                return await self._resolve(passage, fate, result, outcome, spared=spared)
            case Leave(reason=reason, exhausted=True):
                await self._leave(passage, fate, reason)
                self._parts.oversight.on_exhausted(outcome)
        return decision

    async def _not_opened(
        self, passage: Passage, fate: _Fate, outcome: SourceFailed | NotSent
    ) -> RetryDecision:
        fate.reason = outcome.reason
        if isinstance(outcome, NotSent):
            return self._decide(passage, outcome)
        fate.state = EntryState.FAILED_LOCAL
        await self._endings.settle(passage.work, passage.entry_id, fate.state, outcome.reason)
        return Settle()

    async def _leave(self, passage: Passage, fate: _Fate, reason: str) -> None:
        """Leave an entry whose attempts are used up, with the reason in the ledger, too."""
        fate.reason = reason
        await self._parts.ledger.run(lambda store: store.explain(passage.entry_id, reason))

    def _decide(self, passage: Passage, outcome: Outcome, *, spared: bool = False) -> RetryDecision:
        oversight = self._parts.oversight
        if isinstance(outcome, NotSent) and outcome.local_limit:
            oversight.on_short(outcome.reason, wire_bytes=self._parts.transport.wire_bytes)
        decision = self._parts.settings.retry_policy.decide(
            outcome,
            attempts_used=passage.attempts_used + 1,
            budget_empty=oversight.budget.empty,
            jitter=self._parts.clock.jitter(),
            spared=spared,
        )
        if isinstance(decision, TryAgain) and not decision.uses_attempt:
            return decision
        passage.attempts_used += 1
        if isinstance(decision, TryAgain):
            oversight.on_retry()
        return decision

    async def _resolve(
        self, passage: Passage, fate: _Fate, result: AttemptResult, outcome: InDoubt, *, spared: bool
    ) -> RetryDecision:
        """Find out what became of an attempt whose answer was lost, before anything is sent again."""
        resolution = await self._doubts.resolve_attempt(result, passage.entry_id, outcome)
        if isinstance(resolution, StillInDoubt):
            fate.reason = resolution.reason
            return Leave(reason=resolution.reason)
        if isinstance(resolution, Adopted):
            fate.state = EntryState.ACCEPTED
            await self._endings.tell_accepted(passage.work, passage.entry_id)
            return Settle()
        fate.state = EntryState.PENDING
        if not outcome.answered:
            # A small body fits into the system's buffers: a server that closed on it looks like a lost answer.
            passage.ask_first = True
        if spared:
            passage.attempts_used -= 1
        decision = self._parts.settings.retry_policy.again(
            outcome.reason,
            attempts_used=passage.attempts_used,
            budget_empty=self._parts.oversight.budget.empty,
            jitter=self._parts.clock.jitter(),
        )
        if isinstance(decision, TryAgain):
            self._parts.oversight.on_retry()
        else:
            await self._leave(passage, fate, decision.reason)
        return decision

    def _tell_attempt(self, passage: Passage, result: AttemptResult, decision: RetryDecision) -> None:
        self._parts.emit(
            AttemptEnded(
                path=passage.work.entry.path,
                attempt_no=passage.attempt_no,
                outcome=result.concluded.outcome,
                duration_s=result.duration_s,
                retry_in_s=decision.delay_s if isinstance(decision, TryAgain) else None,
            )
        )


def _policy_wait_s(state: RetryCallState) -> float:
    """Hand the policy's wait to tenacity."""
    decision = None if state.outcome is None else state.outcome.result()
    return decision.delay_s if isinstance(decision, TryAgain) else 0.0
