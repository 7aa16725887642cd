"""Carries one entry from its place in the plan to its end in this run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenacity import AsyncRetrying, RetryCallState, retry_if_result

from bulk_upload.core.events import AttemptEnded, EntrySettled
from bulk_upload.core.model import (
    Accepted,
    EntryState,
    InDoubt,
    NotSent,
    Obtained,
    Receipt,
    SourceFailed,
)
from bulk_upload.core.plan import KnownEntry, Step, plan_entry, same_content
from bulk_upload.core.reconcile import Absent, Doubt, Found, Undecided
from bulk_upload.core.records import reason_in, status_in
from bulk_upload.core.retry import Leave, Reconcile, Settle, StopRun, TryAgain
from bulk_upload.core.settings import InDoubtPolicy
from bulk_upload.core.source import SourceError
from bulk_upload.core.timestamps import utc_text
from bulk_upload.engine.attempt import Attempter, Passage, Resized, failed_to_open
from bulk_upload.engine.twins import TwinKey

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint, Outcome
    from bulk_upload.core.retry import RetryDecision
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.attempt import AttemptResult
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts


class Carrier:
    """Takes entries through attempts, retries and reconciliation; each ends in exactly one EntrySettled event."""

    def __init__(self, parts: Parts, parking: Parking) -> None:
        self._parts = parts
        self._parking = parking
        self._attempter = Attempter(parts)

    async def carry(self, passage: Passage, *, holds_twin_key: bool = False) -> None:
        """Carry an entry that is to be sent, or compared first."""
        if passage.work.step is Step.COMPARE and await self._same_as_before(passage):
            return
        await self._through_the_gate(passage, holds_twin_key=holds_twin_key)

    async def carry_doubt(self, doubt: Doubt, work: StagedEntry | None, *, holds_twin_key: bool) -> None:
        """Carry an entry whose earlier attempt is in doubt; `work` is None when the manifest no longer has it."""
        key = TwinKey(doubt.sent_name, doubt.file_bytes, doubt.purpose)
        decision = await self._reconcile(doubt, sha256=None, work=work)
        if isinstance(decision, Leave):
            self._parts.twins.bar(key)
            if work is not None:
                self._end(work, EntryState.IN_DOUBT, reason=decision.reason)
            return
        if holds_twin_key:
            self._parts.twins.release(key)
        if work is None:
            return
        known = KnownEntry(entry_id=doubt.entry_id, state=EntryState.PENDING)
        if isinstance(decision, Settle):
            fingerprint = await self._parts.ledger.run(
                lambda store: store.attempt_fingerprint(doubt.attempt_id)
            )
            known = KnownEntry(entry_id=doubt.entry_id, state=EntryState.ACCEPTED, fingerprint=fingerprint)
        await self._plan_again(work, known)

    async def _plan_again(self, work: StagedEntry, known: KnownEntry) -> None:
        planned = plan_entry(known, work.source)
        if planned.step is Step.SETTLED:
            await self._end_accepted(work, known.entry_id)
        elif work.source is None:
            await self._settle(work, known.entry_id, EntryState.FAILED_LOCAL, "the file is no longer there")
        else:
            await self._through_the_gate(
                Passage(work=work, entry_id=known.entry_id, source=work.source), holds_twin_key=False
            )

    async def _through_the_gate(self, passage: Passage, *, holds_twin_key: bool) -> None:
        """Send while no other entry that looks alike is on its way."""
        while True:
            key = TwinKey(passage.work.sent_name, passage.source.size, passage.work.entry.purpose)
            if not holds_twin_key:
                with self._parking.space():
                    holds_twin_key = await self._parts.twins.hold(key)
            if not holds_twin_key:
                self._end(
                    passage.work,
                    EntryState.PENDING,
                    reason="another entry with the same name, size and purpose is in doubt",
                )
                return
            try:
                state = await self._send(passage)
            except Resized as resized:
                self._parts.twins.release(key)
                passage.source, holds_twin_key = resized.source, False
                continue
            except BaseException:
                self._parts.twins.bar(key)
                raise
            if state is EntryState.IN_DOUBT:
                self._parts.twins.bar(key)
            else:
                self._parts.twins.release(key)
            return

    async def _send(self, passage: Passage) -> EntryState:
        """Attempt until the entry is settled or this run can do no more; return its state.

        tenacity drives the attempts after the first; what to do and how long to wait is the policy's.
        """
        passage_end = _End()
        decision = await self._once(passage, passage_end)
        if isinstance(decision, TryAgain):
            await self._park(decision.delay_s)
            await AsyncRetrying(
                retry=retry_if_result(lambda result: isinstance(result, TryAgain)),
                wait=_policy_wait_s,
                sleep=self._park,
            )(self._once, passage, passage_end)
        return passage_end.state

    async def _park(self, delay_s: float) -> None:
        with self._parking.space():
            await self._parts.drain.sleep(delay_s)

    async def _once(self, passage: Passage, end: _End) -> RetryDecision:
        result = await self._attempter.attempt(passage)
        if result is None:
            return self._leave(passage, end, end.reason or "not sent: the run was draining")
        if isinstance(result, SourceError):
            return await self._not_opened(passage, end, failed_to_open(result))
        return await self._after(passage, end, result)

    async def _not_opened(
        self, passage: Passage, end: _End, outcome: SourceFailed | NotSent
    ) -> RetryDecision:
        end.reason = outcome.reason
        if isinstance(outcome, NotSent):
            return self._decide(passage, outcome)
        await self._settle(passage.work, passage.entry_id, EntryState.FAILED_LOCAL, outcome.reason)
        end.state = EntryState.FAILED_LOCAL
        return Settle()

    async def _after(self, passage: Passage, end: _End, result: AttemptResult) -> RetryDecision:
        outcome = result.concluded.outcome
        end.reason = reason_in(outcome)
        decision = self._decide(passage, outcome)
        self._tell(passage, result, decision)
        if isinstance(decision, Settle):
            end.state = result.concluded.state
            self._end_with(passage.work, result)
            return decision
        if isinstance(decision, Reconcile) and isinstance(outcome, InDoubt):
            return await self._resolve(passage, end, result, outcome)
        if isinstance(decision, Leave | StopRun):
            if isinstance(decision, Leave) and decision.exhausted:
                self._parts.oversight.on_exhausted(outcome)
            return self._leave(passage, end, end.reason or "")
        return decision

    def _decide(self, passage: Passage, outcome: Outcome) -> RetryDecision:
        oversight = self._parts.oversight
        if not isinstance(outcome, NotSent):
            passage.attempts_used += 1
        decision = self._parts.settings.retry_policy.decide(
            outcome,
            attempts_used=passage.attempts_used,
            budget_empty=oversight.budget.empty,
            jitter=self._parts.clock.jitter(),
        )
        if isinstance(decision, TryAgain):
            if decision.uses_attempt:
                oversight.on_retry()
            elif not isinstance(outcome, NotSent):
                passage.attempts_used -= 1
        return decision

    async def _resolve(
        self, passage: Passage, end: _End, result: AttemptResult, outcome: InDoubt
    ) -> RetryDecision:
        """Find out what became of an attempt whose answer was lost, before anything is sent again."""
        settings = self._parts.settings
        doubt = Doubt(
            entry_id=passage.entry_id,
            attempt_id=result.attempt_id,
            sent_name=result.sent.sent_name,
            file_bytes=result.sent.file_bytes,
            purpose=result.sent.purpose,
            sent_at_utc_s=result.began_utc_s,
            settles_at_utc_s=result.ended_utc_s + settings.settles_after_s(answered=outcome.answered),
            candidate_id=outcome.candidate_id,
        )
        answered_unlistable = outcome.answered and not self._parts.profile.can_list
        decision = await self._reconcile(
            doubt, sha256=result.sent.sha256, work=passage.work, absent_anyway=answered_unlistable
        )
        if isinstance(decision, Leave):
            end.state = EntryState.IN_DOUBT
            self._end(passage.work, EntryState.IN_DOUBT, reason=decision.reason)
            return decision
        if isinstance(decision, Settle):
            end.state = EntryState.ACCEPTED
            await self._end_accepted(passage.work, passage.entry_id)
            return decision
        again = self._parts.settings.retry_policy.again(
            outcome.reason,
            attempts_used=passage.attempts_used,
            budget_empty=self._parts.oversight.budget.empty,
            jitter=self._parts.clock.jitter(),
        )
        if isinstance(again, Leave):
            return self._leave(passage, end, again.reason)
        self._parts.oversight.on_retry()
        return again

    async def _reconcile(
        self, doubt: Doubt, *, sha256: str | None, work: StagedEntry | None, absent_anyway: bool = False
    ) -> Settle | TryAgain | Leave:
        """Return `Settle` when the file was adopted, `TryAgain` when it may be sent, `Leave` when in doubt."""
        verdict: Found | Absent | Undecided
        if absent_anyway:
            verdict = Absent()
        elif self._parts.settings.in_doubt is InDoubtPolicy.HOLD:
            verdict = Undecided("held in doubt, as asked with --in-doubt hold")
        else:
            with self._parking.space():
                verdict = await self._parts.reconciler.resolve(doubt)
        now = self._parts.clock.utc_s()
        if isinstance(verdict, Found):
            found = verdict.file
            if sha256 is None and work is not None:
                sha256 = await self._sha256_if_unchanged(doubt, work)
            if await self._parts.ledger.run(
                lambda store: store.adopt(doubt, found, sha256=sha256, utc_s=now)
            ):
                return Settle()
            verdict = Undecided(f"{found.file_id} was claimed by another entry")
        if isinstance(verdict, Absent):
            reason = "not at the server: it may be sent again"
        elif self._parts.settings.in_doubt is InDoubtPolicy.RESEND and not self._parts.drain.begun:
            reason = f"sent again as asked with --in-doubt resend ({verdict.reason})"
        else:
            undecided = verdict.reason
            await self._parts.ledger.run(lambda store: store.explain(doubt.entry_id, undecided))
            return Leave(reason=undecided)
        await self._parts.ledger.run(lambda store: store.release(doubt, reason, utc_s=now))
        return TryAgain(delay_s=0.0)

    async def _sha256_if_unchanged(self, doubt: Doubt, work: StagedEntry) -> str | None:
        """Hash a file that a dead run sent, if it is still the one that was sent."""
        sent_as = await self._parts.ledger.run(lambda store: store.attempt_fingerprint(doubt.attempt_id))
        if work.source != sent_as:
            return None
        try:
            sha256, fingerprint = await self._parts.reader.sha256(work.entry.path)
        except SourceError:
            return None
        return sha256 if fingerprint == sent_as else None

    async def _same_as_before(self, passage: Passage) -> bool:
        """Whether a touched file still has the content its receipt is for; then nothing is sent."""
        known = passage.work.known
        if known is None:
            raise AssertionError("only a known entry is compared")
        try:
            sha256, fingerprint = await self._parts.reader.sha256(passage.work.entry.path)
        except SourceError as error:
            await self._settle(passage.work, known.entry_id, EntryState.FAILED_LOCAL, error.reason)
            return True
        passage.source = fingerprint
        if same_content(known, sha256).step is not Step.SETTLED:
            return False
        await self._parts.ledger.run(lambda store: store.refresh(known.entry_id, fingerprint))
        await self._end_accepted(passage.work, known.entry_id)
        return True

    def _tell(self, passage: Passage, result: AttemptResult, decision: RetryDecision) -> None:
        self._parts.emit(
            AttemptEnded(
                path=passage.work.entry.path,
                attempt_no=passage.attempt_no,
                outcome=result.concluded.outcome,
                duration_s=result.duration_s,
                retry_in_s=decision.delay_s if isinstance(decision, TryAgain) else None,
            )
        )

    def _leave(self, passage: Passage, end: _End, reason: str) -> Leave:
        end.state = EntryState.PENDING
        self._end(passage.work, EntryState.PENDING, reason=reason)
        return Leave(reason=reason)

    def _end_with(self, work: StagedEntry, result: AttemptResult) -> None:
        outcome = result.concluded.outcome
        receipt = None
        if isinstance(outcome, Accepted):
            receipt = Receipt(
                path=work.entry.path,
                purpose=work.entry.purpose,
                file_id=outcome.file_id,
                file_bytes=result.sent.file_bytes,
                sha256=result.sent.sha256,
                sent_name=result.sent.sent_name,
                obtained=Obtained.ANSWERED,
                size_confirmed=outcome.size_confirmed,
                settled_utc=utc_text(result.ended_utc_s),
            )
        self._end(
            work,
            result.concluded.state,
            reason=reason_in(outcome),
            http_status=status_in(outcome),
            receipt=receipt,
            source=result.sent.fingerprint,
        )

    async def _end_accepted(self, work: StagedEntry, entry_id: int) -> None:
        receipt = await self._parts.ledger.run(lambda store: store.receipt(entry_id))
        self._end(work, EntryState.ACCEPTED, receipt=receipt)

    async def _settle(self, work: StagedEntry, entry_id: int, state: EntryState, reason: str) -> None:
        now = self._parts.clock.utc_s()
        await self._parts.ledger.run(lambda store: store.settle(entry_id, state, reason=reason, utc_s=now))
        self._end(work, state, reason=reason)

    def _end(
        self,
        work: StagedEntry,
        state: EntryState,
        *,
        reason: str | None = None,
        http_status: int | None = None,
        receipt: Receipt | None = None,
        source: Fingerprint | None = None,
    ) -> None:
        if state.settled:
            self._parts.oversight.on_settled(state)
        size = source or work.source
        self._parts.emit(
            EntrySettled(
                path=work.entry.path,
                purpose=work.entry.purpose,
                state=state,
                file_bytes=0 if size is None else size.size,
                reason=reason,
                http_status=http_status,
                receipt=receipt,
            )
        )


class _End:
    """How an entry's passage stands: the state it would be left in, and the latest reason."""

    __slots__ = ("reason", "state")

    def __init__(self) -> None:
        self.state = EntryState.PENDING
        self.reason: str | None = None


def _policy_wait_s(state: RetryCallState) -> float:
    """Hand the policy's wait to tenacity."""
    decision = None if state.outcome is None else state.outcome.result()
    return decision.delay_s if isinstance(decision, TryAgain) else 0.0
