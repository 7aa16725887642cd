"""Withdraws receipts that turn out to be false, and questions those that may be: first in the ledger, then as events."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.events import ReceiptWithdrawn
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger.withdrawals import question_receipt, receipt_for, withdraw_receipt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore


class Withdrawals:
    """Withdraws and questions receipts. `counts` has how many entries that put into each state.

    Args:
        decided_by: recorded in the ledger with each decision.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        clock: Clock,
        emit: Callable[[Event], None],
        decided_by: str,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._emit = emit
        self._decided_by = decided_by
        self.counts: Counter[EntryState] = Counter()

    async def as_anothers(self, receipt: HeldReceipt, details: str) -> None:
        """Record that the id of a receipt is another file's: the server may have the entry's file under another one."""
        reason = f"the server answered with {receipt.file_id}, and shows it as another file: {details}"
        await self._withdraw(receipt, EntryState.IN_DOUBT, reason)

    async def as_gone(self, receipt: HeldReceipt) -> None:
        """Record that the server surely does not have the file of a receipt."""
        await self._withdraw(receipt, EntryState.WITHDRAWN, f"the server no longer has {receipt.file_id}")

    async def all_gone(self, file_ids: Iterable[str], *, settle_s: float) -> int:
        """Withdraw the receipts of files that were just looked up and not found; return how many.

        A receipt that is younger than `settle_s` is kept: servers may lag.
        """
        before = self.counts[EntryState.WITHDRAWN]
        for file_id in file_ids:
            step = partial(receipt_for, file_id=file_id, settled_before_utc_s=self._clock.utc_s() - settle_s)
            receipt = await self._ledger.run(step)
            if receipt is not None:
                await self.as_gone(receipt)
        return self.counts[EntryState.WITHDRAWN] - before

    async def as_open(self, receipt: HeldReceipt) -> None:
        """Record that the server's list does not show the file of a receipt, and that no look-up could decide it."""
        await self._question(
            receipt, f"{receipt.file_id} is not in the server's list, and looking it up did not decide it"
        )

    async def as_shared(self, receipt: HeldReceipt) -> None:
        """Record that the id of a receipt came with an answer to another entry, and that nothing shows whose it is."""
        await self._question(receipt, f"{receipt.file_id} came with an answer to another entry, too")

    async def as_mixed_up(self, receipt: HeldReceipt) -> None:
        """Record that the server answered with ids of other files, and that nothing shows whose the file of a receipt is."""
        await self._question(
            receipt,
            f"the server answered with the ids of other files of this run, and nothing shows whose {receipt.file_id} is",
        )

    async def _question(self, receipt: HeldReceipt, reason: str) -> None:
        step = partial(
            question_receipt,
            receipt=receipt,
            reason=reason,
            decided_by=self._decided_by,
            utc_s=self._clock.utc_s(),
        )
        await self._record(step, receipt, EntryState.IN_DOUBT, reason)

    async def _withdraw(self, receipt: HeldReceipt, state: EntryState, reason: str) -> None:
        step = partial(
            withdraw_receipt,
            receipt=receipt,
            state=state,
            reason=reason,
            decided_by=self._decided_by,
            utc_s=self._clock.utc_s(),
        )
        await self._record(step, receipt, state, reason)

    async def _record(
        self, step: Callable[[LedgerStore], bool], receipt: HeldReceipt, state: EntryState, reason: str
    ) -> None:
        # Once it is recorded listeners must be called, also when the run drains meanwhile.
        with anyio.CancelScope(shield=True):
            is_recorded, own_after_id = await self._ledger.run(
                lambda store: (step(store), store.own_after_id)
            )
        if not is_recorded:
            return
        self.counts[state] += 1
        self._emit(
            ReceiptWithdrawn(
                path=receipt.path,
                purpose=receipt.purpose,
                file_id=receipt.file_id,
                file_bytes=receipt.file_bytes,
                state=state,
                reason=reason,
                of_this_run=own_after_id is not None and receipt.receipt_id > own_after_id,
            )
        )
