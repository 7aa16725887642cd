"""One attempt: slot, intent, request, record. The order is the guarantee."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec

from bulk_upload.core.api.multipart import form_fields
from bulk_upload.core.api.server_habits import OwnFile
from bulk_upload.core.clock import Moment, moment
from bulk_upload.core.events import AttemptStarted
from bulk_upload.core.model import Accepted, Unavailable
from bulk_upload.core.run.records import AttemptEnd, Intent
from bulk_upload.core.run.sender import PreparedFile, PrepareRequest, UploadRequest
from bulk_upload.core.run.source import SourceChanged, SourceError
from bulk_upload.engine.upload import FileChanged, Made, NotBegun, RecordedAttempt
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.server_habits import ServerHabits
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.limits.controller import Ticket
    from bulk_upload.core.model import Fingerprint, Outcome, SentBody
    from bulk_upload.core.run.fault_scope import Judgement
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender, UploadReport
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.clock_watch import ClockWatch
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.upload import Upload

GOES_FIRST_ATTEMPTS = 3
"""An entry that was refused this often lets others go first: an outage must not be probed with it alone."""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose request began, and when; `number` is that of its file at the sender. `agent` makes it, None for this
    process."""

    attempt_id: int
    number: int
    began: Moment
    agent: str | None


class Attempts:
    """Makes attempts: the only way to a request. Holds nothing between them."""

    def __init__(
        self,
        *,
        profile: Profile,
        slots: SlotPool,
        sender: Sender,
        ledger: Ledger[LedgerStore],
        stop_rules: StopRules,
        habits: ServerHabits,
        drain: Drain,
        clock: Clock,
        clock_watch: ClockWatch,
        emit: Callable[[Event], None],
    ) -> None:
        self._profile = profile
        self._slots = slots
        self._sender = sender
        self._ledger = ledger
        self._stop_rules = stop_rules
        self._habits = habits
        self._drain = drain
        self._clock = clock
        self._clock_watch = clock_watch
        self._emit = emit

    async def make(self, upload: Upload) -> Made | NotBegun:
        """Make one attempt; its intent is recorded here where that was not done ahead.

        Returns as soon as there is an outcome: the slot is free then. `recorded` must follow for what was made. Raises
        LedgerUnusable.
        """
        ticket: Ticket | None = None
        request: Begun | None = None
        not_begun: NotBegun | None = NotBegun()
        try:
            # Neither waits as a rule: without a call of a coroutine for each that costs less.
            ticket = self._slots.try_acquire() or await self._slots.acquire(
                ahead=0 < upload.attempt_no < GOES_FIRST_ATTEMPTS
            )
            if ticket is not None:
                not_begun = None if self._is_ready(upload, ticket) else await self._get_ready(upload, ticket)
                if not_begun is None:
                    request = self.begin(upload)
        finally:
            if request is None:
                await self._give_back(upload, ticket, not_begun)
        if ticket is None or request is None:
            return not_begun or NotBegun()
        report = await self._send(upload, ticket, request)
        # The file is closed by now: another one may be opened as soon as the slot is free.
        return self._conclude(upload, ticket, request, report)

    async def recorded(self, made: Made) -> RecordedAttempt:
        """Wait until an attempt is durable. Raises LedgerUnusable where it cannot be recorded."""
        try:
            outcome = await made.concluding
        finally:
            self._slots.recorded()
        return self.learned(
            made.over, outcome, began=made.began, duration_s=made.duration_s, probe=made.probe
        )

    def learned(
        self, over: AttemptEnd, outcome: Outcome, *, began: Moment, duration_s: float, probe: bool
    ) -> RecordedAttempt:
        """Learn from an attempt that is durable with this outcome, and return it."""
        sent = over.sent
        if isinstance(outcome, Accepted):
            own = OwnFile(
                file_id=outcome.file_id,
                name=sent.sent_name,
                purpose=sent.purpose,
                file_bytes=sent.file_bytes,
                began_utc_s=began.utc_s,
                began_at=began.monotonic_s,
                lasted_s=duration_s,
                accepted_at_s=self._clock.monotonic(),
            )
            self._habits.note_accepted(own, is_as_sent=not outcome.altered)
        return RecordedAttempt(
            attempt_id=over.attempt_id,
            outcome=outcome,
            sent=sent,
            probe=probe,
            duration_s=duration_s,
            began_at=began.monotonic_s,
            began_utc_s=began.utc_s,
            ended_utc_s=over.at_utc_s,
            clock_offset_s=over.clock_offset_s,
        )

    def _is_ready(self, upload: Upload, ticket: Ticket) -> bool:
        """Whether the request may begin at once: intended, held by its sender, and no pause or drain since."""
        prepared = upload.prepared
        return (
            prepared is not None
            and upload.attempt_id is not None
            and not self._drain.begun
            and self._slots.pause_since_s(ticket) <= 0
            and self._sender.holds(prepared.number)
        )

    async def _get_ready(self, upload: Upload, ticket: Ticket) -> NotBegun | None:
        """Prepare the file and record the intent, where that is still to be done; None when the request may begin."""
        while True:
            prepared = await self._prepared(upload)
            if isinstance(prepared, NotBegun):
                return prepared
            if upload.attempt_id is None:
                await self._intend(upload, prepared)
            if not await self.may_begin(ticket):
                return NotBegun()
            # Nothing is awaited from here to the request: its sender still has the file then.
            if self._sender.holds(prepared.number):
                return None

    async def may_begin(self, ticket: Ticket) -> bool:
        """Wait for the end of a pause that the server asked for meanwhile; return False when the run drains."""
        while (pause_s := self._slots.pause_since_s(ticket)) > 0 and not self._drain.begun:
            await self._drain.sleep(pause_s)
        return not self._drain.begun

    async def _prepared(self, upload: Upload) -> PreparedFile | NotBegun:
        """Return the file as its sender holds it; one that was lost before its request began is prepared anew."""
        prepared = upload.prepared
        if prepared is None:
            return await self._prepare(upload, upload.fingerprint)
        if self._sender.holds(prepared.number):
            return prepared
        upload.prepared = None
        await self._sender.drop(prepared.number)
        return await self._prepare(upload, prepared.fingerprint)

    async def _prepare(self, upload: Upload, intended: Fingerprint) -> PreparedFile | NotBegun:
        """Have the file prepared, unless the run drains first. `intended` is the version that an intent names."""
        entry = upload.planned.entry
        request = PrepareRequest(
            path=entry.path,
            purpose=entry.purpose,
            planned_bytes=upload.fingerprint.size,
            expected=upload.fingerprint,
        )
        prepared: PreparedFile | SourceError | None = None
        with self._drain.cut():
            (prepared,) = await self._sender.prepare([request])
        if isinstance(prepared, SourceChanged):
            return NotBegun(FileChanged(prepared.fingerprint))
        if not isinstance(prepared, PreparedFile):
            return NotBegun(prepared)
        upload.prepared = prepared
        found = prepared.fingerprint
        # An intent names one version of the file; without one, only the size was agreed upon with twins. A change time
        # alone, as of a new hard link, does not make another one: the ledger gets that of what is sent.
        is_planned = (
            found.size == upload.fingerprint.size
            if upload.attempt_id is None
            else found.same_but_ctime(intended)
        )
        is_good = upload.checked is None or upload.checked.same_version(found)
        return prepared if is_planned and is_good else NotBegun(FileChanged(found))

    async def _intend(self, upload: Upload, prepared: PreparedFile) -> None:
        """Record that an attempt is about to be made."""
        intent = Intent(
            entry_id=upload.entry_id,
            attempt_no=upload.attempt_no + 1,
            sent_name=upload.planned.sent_name,
            fingerprint=prepared.fingerprint,
            at_utc_s=self._clock.utc_s(),
            content_hash=prepared.content_hash,
            clock_offset_s=self._clock_watch.offset_s(),
            agent=prepared.agent,
        )
        # Shielded: an intent whose id is lost could not be marked as not sent.
        with anyio.CancelScope(shield=True):
            (upload.attempt_id,) = await self._ledger.run(lambda store: store.intend([intent]))
        await anyio.lowlevel.checkpoint_if_cancelled()

    async def _give_back(self, upload: Upload, ticket: Ticket | None, not_begun: NotBegun | None) -> None:
        """Release slot, file and intent of a request that did not begin, for any reason."""
        if ticket is not None:
            cause = None if not_begun is None else not_begun.cause
            self._slots.cancel(ticket, local_limit=isinstance(cause, SourceError) and cause.local_limit)
        attempt_id, upload.attempt_id = upload.attempt_id, None
        prepared, upload.prepared = upload.prepared, None
        # Shielded: the ledger must not expect the end of what never began, though a cancellation kept it from that.
        with anyio.CancelScope(shield=True):
            if prepared is not None:
                await self._sender.drop(prepared.number)
            if attempt_id is not None:
                now = self._clock.utc_s()
                await self._ledger.run(
                    lambda store: store.mark_not_sent([attempt_id], reason="not sent", utc_s=now)
                )

    def begin(self, upload: Upload, *, began: Moment | None = None, bundle_id: int | None = None) -> Begun:
        """Make the intent a request, or a part of one that began at a moment; by default now."""
        prepared = upload.prepared
        if upload.attempt_id is None or prepared is None:
            raise AssertionError("only an intended attempt is made")
        upload.attempt_no += 1
        self._emit(
            AttemptStarted(
                path=upload.planned.entry.path,
                attempt_no=upload.attempt_no,
                file_bytes=prepared.fingerprint.size,
                was_absent=upload.was_absent,
                bundle_id=bundle_id,
                agent=prepared.agent,
            )
        )
        upload.was_absent = False
        request = Begun(
            attempt_id=upload.attempt_id,
            number=prepared.number,
            began=began or moment(self._clock),
            agent=prepared.agent,
        )
        upload.attempt_id = upload.prepared = None
        return request

    async def _send(self, upload: Upload, ticket: Ticket, request: Begun) -> UploadReport:
        entry = upload.planned.entry
        try:
            report = await self._sender.send(
                request.number,
                UploadRequest(
                    attempt_id=request.attempt_id,
                    path=entry.path,
                    sent_name=upload.planned.sent_name,
                    purpose=entry.purpose,
                    fields=tuple(form_fields(entry, self._profile)),
                    ask_first=upload.ask_first,
                ),
            )
        except BaseException:
            # What is known of the request is recorded before the cancellation, or the error, propagates.
            known = self._sender.cancelled(request.attempt_id)
            if known is not None:
                with anyio.CancelScope(shield=True):
                    await self.recorded(self._conclude(upload, ticket, request, known))
            raise
        if not isinstance(report.outcome, Accepted):
            self._slots.taken_back(report.sent.handed_bytes)
        return report

    def _conclude(self, upload: Upload, ticket: Ticket, request: Begun, report: UploadReport) -> Made:
        """Release the slot and have the ledger record the outcome."""
        outcome = self._habits.read(report.outcome)
        # Judged before the slot is given back: after an answer that ends the run nothing more starts.
        judgement = self._stop_rules.review(outcome, upload.entry_id)
        self._slots.answered(ticket, outcome, report.sent.file_bytes)
        try:
            over = ended(
                upload,
                request,
                judgement,
                report.sent,
                at_utc_s=self._clock.utc_s(),
                clock_offset_s=self._clock_watch.offset_s(request.began),
            )
            return Made(
                over=over,
                probe=ticket.probe,
                duration_s=self._clock.monotonic() - request.began.monotonic_s,
                began=request.began,
                concluding=self._ledger.conclude(over, reopen=judgement.reopen),
            )
        except LedgerUnusable:
            self._slots.recorded()
            raise


def ended(
    upload: Upload,
    request: Begun,
    judgement: Judgement,
    sent: SentBody,
    *,
    at_utc_s: float,
    clock_offset_s: float | None,
) -> AttemptEnd:
    """Return the end of an attempt, for the ledger to record.

    `clock_offset_s` is the server's clock minus ours when its request began.
    """
    outcome = judgement.outcome
    if isinstance(outcome, Unavailable) and outcome.cut_off:
        upload.ask_first = True
    return AttemptEnd(
        attempt_id=request.attempt_id,
        entry_id=upload.entry_id,
        outcome=outcome,
        sent=sent,
        at_utc_s=at_utc_s,
        began_utc_s=request.began.utc_s,
        clock_offset_s=clock_offset_s,
        agent=request.agent,
    )
