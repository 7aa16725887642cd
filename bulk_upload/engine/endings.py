"""How an entry's way through a run ends: recorded in the ledger first, told second."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.events import EntrySettled
from bulk_upload.core.model import Accepted, EntryState, Obtained, Receipt
from bulk_upload.core.records import reason_in, status_in
from bulk_upload.core.timestamps import utc_text
from bulk_upload.edge.ledger import receipt_of

if TYPE_CHECKING:
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import AttemptResult


class Endings:
    """Ends entries. Each entry of a run ends exactly once."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def tell(
        self,
        work: StagedEntry,
        state: EntryState,
        *,
        reason: str | None = None,
        http_status: int | None = None,
        receipt: Receipt | None = None,
        file_bytes: int | None = None,
    ) -> None:
        """Tell listeners about an ending that the ledger holds already."""
        if state.settled:
            self._parts.oversight.on_settled(state, reason)
        if file_bytes is None:
            file_bytes = 0 if work.source is None else work.source.size
        self._parts.emit(
            EntrySettled(
                path=work.entry.path,
                purpose=work.entry.purpose,
                state=state,
                file_bytes=file_bytes,
                reason=reason,
                http_status=http_status,
                receipt=receipt,
            )
        )

    def tell_attempt(self, work: StagedEntry, result: AttemptResult) -> None:
        """Tell listeners that a recorded attempt settled the entry."""
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
        self.tell(
            work,
            result.concluded.state,
            reason=reason_in(outcome),
            http_status=status_in(outcome),
            receipt=receipt,
            file_bytes=result.sent.file_bytes,
        )

    async def tell_accepted(self, work: StagedEntry, entry_id: int) -> None:
        """Tell listeners about an entry whose receipt is in the ledger."""
        receipt = await self._parts.ledger.run(lambda store: receipt_of(store, entry_id))
        self.tell(work, EntryState.ACCEPTED, receipt=receipt)

    async def settle(self, work: StagedEntry, entry_id: int, state: EntryState, reason: str) -> None:
        """Record a state that no request led to, and tell."""
        now = self._parts.clock.utc_s()
        await self._parts.ledger.run(lambda store: store.settle(entry_id, state, reason=reason, utc_s=now))
        self.tell(work, state, reason=reason)
