"""How an entry ends: the ledger records it first, listeners are called second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.events import AttemptEnded, EntrySettled, Noticed
from bulk_upload.core.model import Accepted, EntryState, Receipt, ReceiptOrigin
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.records import altered_in, reason_in, status_in
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import receipt_of, settle_failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Altered, Fingerprint
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.upload import RecordedAttempt, Upload


class Settler:
    """Ends entries. Each entry of a run ends exactly once."""

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        stop_rules: StopRules,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._ledger = ledger
        self._stop_rules = stop_rules
        self._clock = clock
        self._emit = emit

    def settled(
        self,
        planned: PlannedEntry,
        state: EntryState,
        *,
        reason: str | None = None,
        http_status: int | None = None,
        receipt: Receipt | None = None,
        file_bytes: int | None = None,
        altered: tuple[Altered, ...] = (),
        unchanged: bool = False,
    ) -> None:
        """Emit the end of an entry that the ledger holds already."""
        if state.settled:
            self._stop_rules.on_settled(state, reason)
        if file_bytes is None:
            file_bytes = 0 if planned.fingerprint is None else planned.fingerprint.size
        self._emit(
            EntrySettled(
                path=planned.entry.path,
                purpose=planned.entry.purpose,
                state=state,
                file_bytes=file_bytes,
                reason=reason,
                http_status=http_status,
                receipt=receipt,
                altered=altered,
                unchanged=unchanged,
            )
        )

    def settled_by(self, planned: PlannedEntry, attempt: RecordedAttempt) -> None:
        """Emit the end of an entry that a recorded attempt settled."""
        outcome = attempt.outcome
        receipt = None
        if isinstance(outcome, Accepted):
            receipt = Receipt(
                path=planned.entry.path,
                purpose=planned.entry.purpose,
                file_id=outcome.file_id,
                file_bytes=attempt.sent.file_bytes,
                content_hash=attempt.sent.content_hash,
                sent_name=attempt.sent.sent_name,
                obtained=ReceiptOrigin.ANSWERED,
                size_confirmed=outcome.size_confirmed,
                settled_utc=utc_text(attempt.ended_utc_s),
            )
        self.settled(
            planned,
            attempt.state,
            reason=reason_in(outcome),
            http_status=status_in(outcome),
            receipt=receipt,
            file_bytes=attempt.sent.file_bytes,
            altered=altered_in(outcome),
        )

    def attempt_ended(
        self, upload: Upload, attempt: RecordedAttempt, *, retry_in_s: float | None = None
    ) -> None:
        """Emit the end of an attempt, and how long until the next one where there is one."""
        self._emit(
            AttemptEnded(
                path=upload.planned.entry.path,
                attempt_no=upload.attempt_no,
                outcome=attempt.outcome,
                duration_s=attempt.duration_s,
                retry_in_s=retry_in_s,
            )
        )

    async def accepted(
        self, planned: PlannedEntry, entry_id: int, *, altered: tuple[Altered, ...] = ()
    ) -> None:
        """Emit the end of an entry whose receipt is in the ledger: of an earlier run where it was to be compared."""
        receipt = await self._ledger.run(lambda store: receipt_of(store, entry_id))
        self.settled(
            planned,
            EntryState.ACCEPTED,
            reason="; ".join(map(str, altered)) or None,
            receipt=receipt,
            altered=altered,
            unchanged=planned.step is Step.COMPARE,
        )

    async def settle(self, planned: PlannedEntry, entry_id: int, state: EntryState, reason: str) -> None:
        """Record a state that no request led to, and emit it."""
        now = self._clock.utc_s()
        await self._ledger.run(lambda store: store.settle(entry_id, state, reason=reason, utc_s=now))
        self.settled(planned, state, reason=reason)

    async def fail(
        self, planned: PlannedEntry, entry_id: int, reason: str, fingerprint: Fingerprint | None
    ) -> None:
        """Record that an entry failed here, and emit it.

        `fingerprint` is of the version of the file that is at fault: the next run sends another one. None, for a file
        that could not be read: the next run sends whatever is there.
        """
        now = self._clock.utc_s()
        await self._ledger.run(
            lambda store: settle_failed(store, entry_id, fingerprint, reason=reason, utc_s=now)
        )
        self.settled(planned, EntryState.FAILED_LOCAL, reason=reason)

    def notice(self, planned: PlannedEntry, message: str) -> None:
        """Emit what a person should know of an entry."""
        self._emit(Noticed(message=message, path=planned.entry.path))
