"""Several attempts in one request: intents, slot, request, records. One slot, one start, one ticket for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec

from bulk_upload.core.api.multipart import form_fields
from bulk_upload.core.clock import Moment, moment
from bulk_upload.core.model import Accepted
from bulk_upload.core.run.records import Intent
from bulk_upload.core.run.sender import BundleRequest, PreparedFile, UploadRequest
from bulk_upload.engine.sending.attempt import ended
from bulk_upload.engine.upload import NotBegun
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.server_habits import ServerHabits
    from bulk_upload.core.bundle.answer import BundleAnswer
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.limits.controller import Ticket
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.fault_scope import Judgement
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.records import AttemptEnd
    from bulk_upload.core.run.sender import BundleReport, Sender
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.clock_watch import ClockWatch
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.sending.attempt import Attempts, Begun
    from bulk_upload.engine.upload import RecordedAttempt, Upload


class MadeBundle(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was made for several uploads, and whose ends, `overs`, the ledger is recording, in order.

    `concluding` is resolved once all of them are durable.
    """

    bundle_id: int
    overs: list[AttemptEnd]
    answer: BundleAnswer
    probe: bool
    duration_s: float
    began: Moment
    concluding: Awaitable[list[Outcome]]


class BundleAttempts:
    """Makes the attempts of bundles. Holds nothing between them."""

    def __init__(
        self,
        *,
        attempts: Attempts,
        profile: Profile,
        slots: SlotPool,
        sender: Sender,
        ledger: Ledger[LedgerStore],
        stop_rules: StopRules,
        habits: ServerHabits,
        drain: Drain,
        clock: Clock,
        clock_watch: ClockWatch,
    ) -> None:
        self._attempts = attempts
        self._profile = profile
        self._slots = slots
        self._sender = sender
        self._ledger = ledger
        self._stop_rules = stop_rules
        self._habits = habits
        self._drain = drain
        self._clock = clock
        self._clock_watch = clock_watch

    async def make(self, uploads: Sequence[Upload]) -> MadeBundle | NotBegun:
        """Make one attempt for each upload, all in one request; their files are prepared and read whole.

        Returns as soon as there is an answer: the slot is free then. It does not begin where the run drains, or where the
        agent that holds the files is lost. `recorded` must follow for what was made. Raises LedgerUnusable.
        """
        ticket: Ticket | None = None
        begun: list[Begun] = []
        try:
            # Before the slot is taken: it would be held while the disk is waited for.
            bundle_id = await self._intend(uploads)
            ticket = await self._slots.acquire(ahead=uploads[0].attempt_no > 0)
            if ticket is not None and await self._attempts.may_begin(ticket) and self._are_held(uploads):
                # Nothing is awaited from here to the request: its sender still has the files then.
                began = moment(self._clock)
                begun = [self._attempts.begin(one, began=began, bundle_id=bundle_id) for one in uploads]
        finally:
            if not begun:
                await self._give_back(uploads, ticket)
        if ticket is None or not begun:
            return NotBegun()
        report = await self._send(uploads, ticket, begun)
        return self._conclude(uploads, ticket, begun, report)

    async def recorded(self, made: MadeBundle) -> list[RecordedAttempt]:
        """Wait until all attempts of a bundle are durable. Raises LedgerUnusable where they cannot be recorded."""
        try:
            outcomes = await made.concluding
        finally:
            self._slots.recorded()
        return [
            self._attempts.learned(
                over, outcome, began=made.began, duration_s=made.duration_s, probe=made.probe
            )
            for over, outcome in zip(made.overs, outcomes, strict=True)
        ]

    def _are_held(self, uploads: Sequence[Upload]) -> bool:
        """Whether one sender has all files: an agent may be lost."""
        return all(self._sender.holds(_prepared(one).number) for one in uploads)

    async def _intend(self, uploads: Sequence[Upload]) -> int:
        """Record that attempts are about to be made in one request; return what joins them."""
        now, offset_s = self._clock.utc_s(), self._clock_watch.offset_s()
        intents = [
            Intent(
                entry_id=one.entry_id,
                attempt_no=one.attempt_no + 1,
                sent_name=one.planned.sent_name,
                fingerprint=_prepared(one).fingerprint,
                at_utc_s=now,
                content_hash=_prepared(one).content_hash,
                clock_offset_s=offset_s,
                agent=_prepared(one).agent,
            )
            for one in uploads
        ]
        # Shielded: an intent whose id is lost could not be marked as not sent.
        with anyio.CancelScope(shield=True):
            attempt_ids = await self._ledger.run(lambda store: store.intend(intents, as_bundle=True))
            for upload, attempt_id in zip(uploads, attempt_ids, strict=True):
                upload.attempt_id = attempt_id
        await anyio.lowlevel.checkpoint_if_cancelled()
        return attempt_ids[0]

    async def _give_back(self, uploads: Sequence[Upload], ticket: Ticket | None) -> None:
        """Release slot, files and intents of a request that did not begin, for any reason."""
        if ticket is not None:
            self._slots.cancel(ticket)
        intended = [one.attempt_id for one in uploads if one.attempt_id is not None]
        prepared = [one.prepared for one in uploads if one.prepared is not None]
        for one in uploads:
            one.attempt_id = one.prepared = None
        # Shielded: the ledger must not expect the end of what never began, though a cancellation kept it from that.
        with anyio.CancelScope(shield=True):
            for file in prepared:
                await self._sender.drop(file.number)
            if intended:
                now = self._clock.utc_s()
                await self._ledger.run(
                    lambda store: store.mark_not_sent(intended, reason="not sent", utc_s=now)
                )

    async def _send(self, uploads: Sequence[Upload], ticket: Ticket, begun: Sequence[Begun]) -> BundleReport:
        members = tuple(
            UploadRequest(
                attempt_id=one.attempt_id,
                path=upload.planned.entry.path,
                sent_name=upload.planned.sent_name,
                purpose=upload.planned.entry.purpose,
                fields=tuple(form_fields(upload.planned.entry, self._profile)),
            )
            for upload, one in zip(uploads, begun, strict=True)
        )
        try:
            report = await self._sender.send_bundle(
                [one.number for one in begun], BundleRequest(members=members)
            )
        except BaseException:
            # What is known of the request is recorded before the cancellation, or the error, propagates.
            known = self._sender.cancelled_bundle(begun[0].attempt_id)
            if known is not None:
                with anyio.CancelScope(shield=True):
                    await self.recorded(self._conclude(uploads, ticket, begun, known))
            raise
        if not any(isinstance(one, Accepted) for one in report.answer.outcomes):
            self._slots.taken_back(report.sent[0].handed_bytes)
        return report

    def _conclude(
        self, uploads: Sequence[Upload], ticket: Ticket, begun: Sequence[Begun], report: BundleReport
    ) -> MadeBundle:
        """Release the slot and have the ledger record the outcomes."""
        # Judged before the slot is given back: after an answer that ends the run nothing more starts.
        judgements = self._judged(uploads, report.answer)
        accepted_bytes = sum(
            sent.file_bytes
            for one, sent in zip(judgements, report.sent, strict=True)
            if isinstance(one.outcome, Accepted)
        )
        self._slots.answered(ticket, report.answer.whole, accepted_bytes)
        # One request: it began once, and was answered once.
        began = begun[0].began
        at_utc_s, offset_s = self._clock.utc_s(), self._clock_watch.offset_s(began)
        overs = [
            ended(upload, one, judgement, sent, at_utc_s=at_utc_s, clock_offset_s=offset_s)
            for upload, one, judgement, sent in zip(uploads, begun, judgements, report.sent, strict=True)
        ]
        try:
            concluding = self._ledger.conclude_together(
                overs, reopen={entry_id for one in judgements for entry_id in one.reopen}
            )
        except LedgerUnusable:
            self._slots.recorded()
            raise
        return MadeBundle(
            bundle_id=begun[0].attempt_id,
            overs=overs,
            answer=report.answer,
            probe=ticket.probe,
            duration_s=self._clock.monotonic() - began.monotonic_s,
            began=began,
            concluding=concluding,
        )

    def _judged(self, uploads: Sequence[Upload], answer: BundleAnswer) -> list[Judgement]:
        """Return what to record for each upload, given the whole run; one answer about all of them is one answer."""
        outcomes = [self._habits.read(one) for one in answer.outcomes]
        if answer.is_by_file:
            return self._stop_rules.review_each(outcomes, [one.entry_id for one in uploads])
        return [self._stop_rules.review(outcomes[0], uploads[0].entry_id)] * len(uploads)


def _prepared(upload: Upload) -> PreparedFile:
    if upload.prepared is None:
        raise AssertionError("only files that were read go in a bundle")
    return upload.prepared
