"""`resolve`: entries in doubt, settled by the server's list or by a person, and recorded with who decided."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.doubt.adoption import Adopt, Sameness
from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.run.resolve import Decision, Resolved, why_not_adopted
from bulk_upload.edge.ledger import Deleted, PlannedDeletion
from bulk_upload.edge.ledger.deletions import end
from bulk_upload.edge.ledger.reading.in_doubt import open_doubts
from bulk_upload.engine.doubt.resolution import Adopted, Sendable, StillInDoubt
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.resolve import OpenDoubt
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.comparing import Comparer
    from bulk_upload.engine.doubt.inquiry import Inquiry
    from bulk_upload.engine.doubt.reconciler import Reconciler
    from bulk_upload.engine.doubt.resolution import Doubts, Resolution

_WORDS = {
    Decision.RESEND: "to be sent again, as {who} decided",
    Decision.ABANDON: "abandoned, as {who} decided",
}
_STATES = {Decision.RESEND: EntryState.PENDING, Decision.ABANDON: EntryState.REJECTED}


class Resolving:
    """Decides about the doubts of one job.

    Args:
        ledger: of the job, locked.
        inquiry: the server, for single files.
        reconciler: the server's list.
        doubts: records what is decided, and by whom.
        comparer: compares a file that a person names with what was sent.
        settings: how long before absence is believed.
        clock: dates what is recorded.
        decided_by: who decides, as recorded in the ledger.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        inquiry: Inquiry,
        reconciler: Reconciler,
        doubts: Doubts,
        comparer: Comparer,
        settings: RunSettings,
        clock: Clock,
        decided_by: str,
    ) -> None:
        self._ledger = ledger
        self._inquiry = inquiry
        self._reconciler = reconciler
        self._doubts = doubts
        self._comparer = comparer
        self._settings = settings
        self._clock = clock
        self._decided_by = decided_by

    async def open_doubts(self) -> list[OpenDoubt]:
        """Return all entries in doubt."""
        return await self._ledger.run(lambda store: open_doubts(store.connection, run_at_work=True))

    async def reconcile(self) -> list[Resolved]:
        """Query the server about every entry in doubt, and record the results."""
        shown = await self.open_doubts()
        doubts = {one.entry_id: one for one in await self._read_doubts()}
        resolved: list[Resolved] = []

        async def ask(one: OpenDoubt) -> None:
            doubt = doubts.get(one.entry_id)
            if doubt is None:
                resolved.append(await self._look_up_deleted(one))
            else:
                resolved.append(_resolved(one, await self._doubts.resolve(doubt)))

        async with plain_task_group() as serving:
            serving.start_soon(self._reconciler.serve)
            async with plain_task_group() as tasks:
                for one in shown:
                    tasks.start_soon(ask, one)
            serving.cancel_scope.cancel()
        return resolved

    async def confirmed(self, one: OpenDoubt, file_id: str) -> Adopt:
        """Return the file that a person names, once the server has shown that it can be the one.

        Its content is compared where that is possible; the result says how, or why not. Raises UsageError where the
        file is not there or not what was sent, and what Inquiry raises.
        """
        doubt = await self._doubt(one)
        file = await self._inquiry.look_up(file_id)
        if file is None:
            raise UsageError(
                f"the server has no file {file_id}",
                hint="see the ids that `bulk-upload resolve LEDGER` shows",
            )
        against = why_not_adopted(doubt, file)
        if against is not None:
            raise UsageError(
                f"{file_id} is not what was sent: {against}", hint="a wrong id would be worse than none"
            )
        compared = await self._comparer.compare_one(doubt, file)
        if compared.sameness is Sameness.OTHER:
            raise UsageError(
                f"{file_id} is not what was sent: its content differs",
                hint="a wrong id would be worse than none",
            )
        return Adopt(file=file, by=compared.by, reason=compared.reason)

    async def adopt(self, one: OpenDoubt, adopted: Adopt) -> Resolved:
        """Record a confirmed file as the entry's. Raises UsageError where another entry owns it."""
        doubt = await self._doubt(one)
        if not await self._doubts.adopt(doubt, adopted, obtained=ReceiptOrigin.ADOPTED):
            raise UsageError(
                f"{adopted.file.file_id} is another entry's file already",
                hint="`bulk-upload ledger show` shows whose it is",
            )
        return _resolved(one, Adopted(adopted.file.file_id))

    async def decide(self, decision: Decision, chosen: Iterable[OpenDoubt]) -> list[Resolved]:
        """Record a person's decision about some entries in doubt."""
        words = _WORDS[decision].format(who=self._decided_by)
        state = _STATES[decision]
        resolved = []
        for one in chosen:
            await self._doubts.release(await self._doubt(one), words, state=state)
            resolved.append(Resolved(path=one.path, state=state, words=words))
        return resolved

    async def _look_up_deleted(self, one: OpenDoubt) -> Resolved:
        """Find out whether an interrupted `undo` has deleted a file."""
        file_id = str(one.candidate_id)
        there = await self._inquiry.look_up(file_id) is not None
        now = self._clock.utc_s()
        receipt_id = await self._ledger.run(partial(_receipt_id, entry_id=one.entry_id))
        deletion = PlannedDeletion(entry_id=one.entry_id, receipt_id=receipt_id, file_id=file_id)
        outcome = Deleted.KEPT if there else Deleted.GONE
        await self._ledger.run(
            partial(end, one=deletion, outcome=outcome, reason="looked up by resolve", utc_s=now)
        )
        state = EntryState.ACCEPTED if there else EntryState.PENDING
        words = f"{file_id} is still there" if there else f"{file_id} is gone"
        return Resolved(path=one.path, state=state, words=words)

    async def _doubt(self, one: OpenDoubt) -> Doubt:
        for doubt in await self._read_doubts():
            if doubt.attempt_id == one.attempt_id:
                return doubt
        raise UsageError(
            f"{one.path} is in doubt because an undo was interrupted",
            hint="`bulk-upload undo LEDGER` finishes it; `bulk-upload resolve LEDGER reconcile` checks whether it still exists",
        )

    async def _read_doubts(self) -> list[Doubt]:
        settings = self._settings
        return await self._ledger.run(
            lambda store: store.doubts(
                settle_answered_s=settings.settles_after_s(answered=True),
                settle_lost_s=settings.settles_after_s(answered=False),
            )
        )


def _resolved(one: OpenDoubt, resolution: Resolution) -> Resolved:
    match resolution:
        case Adopted(file_id=file_id):
            return Resolved(path=one.path, state=EntryState.ACCEPTED, words=f"adopted {file_id}")
        case Sendable(reason=reason):
            return Resolved(path=one.path, state=EntryState.PENDING, words=reason)
        case StillInDoubt(reason=reason):
            return Resolved(path=one.path, state=EntryState.IN_DOUBT, words=reason)


def _receipt_id(store: LedgerStore, *, entry_id: int) -> int:
    (receipt_id,) = store.connection.execute(
        "SELECT receipt_id FROM entries WHERE entry_id = ?", (entry_id,)
    ).fetchone()
    return int(receipt_id)
