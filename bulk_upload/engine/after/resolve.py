"""`resolve`: entries in doubt, settled by the server's list or by a person's word, and recorded with who decided."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.run.reconcile import Absent, Doubt, Found, Undecided
from bulk_upload.core.run.resolve import Decision, Resolved, why_not_adopted
from bulk_upload.edge.ledger import Deleted, PlannedDeletion
from bulk_upload.edge.ledger.deletions import end
from bulk_upload.edge.ledger.reading.in_doubt import open_doubts
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.resolve import OpenDoubt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.inquiry import Inquiry
    from bulk_upload.engine.doubt.reconciler import Reconciler

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
        clock: dates what is recorded.
        decided_by: who decides, for the ledger.
        settle_answered_s: how long after an answered 5xx absence is believed; `settle_lost_s` after a lost answer.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        inquiry: Inquiry,
        reconciler: Reconciler,
        clock: Clock,
        decided_by: str,
        settle_answered_s: float,
        settle_lost_s: float,
    ) -> None:
        self._ledger = ledger
        self._inquiry = inquiry
        self._reconciler = reconciler
        self._clock = clock
        self._decided_by = decided_by
        self._settle_answered_s = settle_answered_s
        self._settle_lost_s = settle_lost_s

    async def open_doubts(self) -> list[OpenDoubt]:
        """Return all entries in doubt."""
        return await self._ledger.run(lambda store: open_doubts(store.connection, run_at_work=True))

    async def reconcile(self) -> list[Resolved]:
        """Ask the server what became of every entry in doubt, and record what it can tell."""
        shown = await self.open_doubts()
        doubts = {one.entry_id: one for one in await self._doubts()}
        resolved: list[Resolved] = []

        async def ask(one: OpenDoubt) -> None:
            doubt = doubts.get(one.entry_id)
            told = await (self._look_again(one) if doubt is None else self._reconcile(one, doubt))
            resolved.append(told)

        async with plain_task_group() as serving:
            serving.start_soon(self._reconciler.serve)
            async with plain_task_group() as tasks:
                for one in shown:
                    tasks.start_soon(ask, one)
            serving.cancel_scope.cancel()
        return resolved

    async def confirmed(self, one: OpenDoubt, file_id: str) -> ListedFile:
        """Return the file that a person names, once the server has shown that it can be the one.

        Raises UsageError where it is not there or not what was sent, and what Inquiry raises.
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
        return file

    async def adopt(self, one: OpenDoubt, file: ListedFile) -> Resolved:
        """Make a confirmed file the entry's. Raises UsageError where another entry owns it."""
        doubt = await self._doubt(one)

        def record(store: LedgerStore) -> bool:
            return store.adopt(
                doubt,
                file,
                sha256=None,
                utc_s=self._clock.utc_s(),
                obtained=ReceiptOrigin.ADOPTED,
                decided_by=self._decided_by,
            )

        if not await self._ledger.run(record):
            raise UsageError(
                f"{file.file_id} is another entry's file already",
                hint="`bulk-upload ledger show` shows whose it is",
            )
        return Resolved(path=one.path, state=EntryState.ACCEPTED, words=f"adopted {file.file_id}")

    async def decide(self, decision: Decision, chosen: Iterable[OpenDoubt]) -> list[Resolved]:
        """Record a person's decision about some entries in doubt."""
        words = _WORDS[decision].format(who=self._decided_by)
        state = _STATES[decision]
        now = self._clock.utc_s()
        resolved = []
        for one in chosen:
            doubt = await self._doubt(one)
            await self._ledger.run(
                partial(_release, doubt=doubt, words=words, utc_s=now, state=state, who=self._decided_by)
            )
            resolved.append(Resolved(path=one.path, state=state, words=words))
        return resolved

    async def _reconcile(self, one: OpenDoubt, doubt: Doubt) -> Resolved:
        verdict: Found | Absent | Undecided = await self._reconciler.resolve(doubt)
        now = self._clock.utc_s()
        if isinstance(verdict, Found):
            file = verdict.file
            adopted = await self._ledger.run(lambda store: store.adopt(doubt, file, sha256=None, utc_s=now))
            if adopted:
                return Resolved(path=one.path, state=EntryState.ACCEPTED, words=f"adopted {file.file_id}")
            verdict = Undecided(f"{file.file_id} was claimed by another entry")
        if isinstance(verdict, Absent):
            words = "not on the server: it can be sent again"
            await self._ledger.run(lambda store: store.release(doubt, words, utc_s=now))
            return Resolved(path=one.path, state=EntryState.PENDING, words=words)
        reason = verdict.reason
        await self._ledger.run(lambda store: store.explain(doubt.entry_id, reason))
        return Resolved(path=one.path, state=EntryState.IN_DOUBT, words=reason)

    async def _look_again(self, one: OpenDoubt) -> Resolved:
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
        for doubt in await self._doubts():
            if doubt.attempt_id == one.attempt_id:
                return doubt
        raise UsageError(
            f"{one.path} is in doubt because an undo was interrupted",
            hint="`bulk-upload undo LEDGER` finishes it; `bulk-upload resolve LEDGER reconcile` checks whether it still exists",
        )

    async def _doubts(self) -> list[Doubt]:
        return await self._ledger.run(
            lambda store: store.doubts(
                settle_answered_s=self._settle_answered_s, settle_lost_s=self._settle_lost_s
            )
        )


def _release(
    store: LedgerStore, *, doubt: Doubt, words: str, utc_s: float, state: EntryState, who: str
) -> None:
    store.release(doubt, words, utc_s=utc_s, state=state, decided_by=who)


def _receipt_id(store: LedgerStore, *, entry_id: int) -> int:
    (receipt_id,) = store.connection.execute(
        "SELECT receipt_id FROM entries WHERE entry_id = ?", (entry_id,)
    ).fetchone()
    return int(receipt_id)
