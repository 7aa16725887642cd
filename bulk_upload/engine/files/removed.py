"""Deletes files that a person names, and records it where the ledger of their job is given."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.edge.ledger import Deleted
from bulk_upload.edge.ledger.decisions import note_decision
from bulk_upload.edge.ledger.deletions import ask, end, planned_for
from bulk_upload.edge.ledger.reading.receipts import FILES_RM
from bulk_upload.engine.doubt.inquiry import RequestDenied
from bulk_upload.errors import CredentialsRefused, ServerUnusable

if TYPE_CHECKING:
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore, PlannedDeletion
    from bulk_upload.engine.doubt.inquiry import Inquiry


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one file: `outcome` is None where no answer came, `reason` says why it was not deleted."""

    file_id: str
    outcome: Deleted | None
    reason: str = ""


class Removing:
    """Deletes single files.

    Args:
        inquiry: the server.
        clock: dates what is recorded.
        asked_by: who wants it, for the ledger.
        ledger: of the job that the files may be of, locked; None where nothing is recorded.
    """

    def __init__(
        self, *, inquiry: Inquiry, clock: Clock, asked_by: str, ledger: Ledger[LedgerStore] | None
    ) -> None:
        self._inquiry = inquiry
        self._clock = clock
        self._asked_by = asked_by
        self._ledger = ledger

    async def remove(self, file_id: str) -> Removed:
        """Delete a file. The entry of a receipt for it is then pending, as after `undo`.

        The deletion is recorded before its request, and its end once the answer is there. Raises CredentialsRefused and
        LedgerUnusable.
        """
        planned = await self._ask(file_id)
        try:
            was_there = await self._inquiry.delete(file_id)
        except CredentialsRefused as error:
            await self._end(file_id, planned, Deleted.KEPT, str(error))
            raise
        except RequestDenied as error:
            await self._end(file_id, planned, Deleted.KEPT, str(error))
            return Removed(file_id=file_id, outcome=Deleted.KEPT, reason=str(error))
        except ServerUnusable as error:
            return Removed(file_id=file_id, outcome=None, reason=str(error))
        outcome = Deleted.DELETED if was_there else Deleted.GONE
        await self._end(file_id, planned, outcome, FILES_RM)
        return Removed(file_id=file_id, outcome=outcome)

    async def _ask(self, file_id: str) -> PlannedDeletion | None:
        if self._ledger is None:
            return None
        planned = await self._ledger.run(partial(planned_for, file_id=file_id))
        if planned is not None:
            now = self._clock.utc_s()
            await self._ledger.run(partial(ask, one=planned, asked_by=self._asked_by, utc_s=now))
        return planned

    async def _end(
        self, file_id: str, planned: PlannedDeletion | None, outcome: Deleted, reason: str | None
    ) -> None:
        if self._ledger is None:
            return
        now = self._clock.utc_s()
        if planned is not None:
            await self._ledger.run(partial(end, one=planned, outcome=outcome, reason=reason, utc_s=now))
        elif outcome is Deleted.DELETED:
            await self._ledger.run(lambda store: self._note(store, file_id, utc_s=now))

    def _note(self, store: LedgerStore, file_id: str, *, utc_s: float) -> None:
        note_decision(
            store.connection,
            store.run_id,
            None,
            decision=f"deleted {file_id} from the server",
            detail="it has no receipt",
            decided_by=self._asked_by,
            utc_s=utc_s,
        )
