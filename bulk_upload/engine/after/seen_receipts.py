"""Which receipts of a run the closing check has seen at the server: a byte for each."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.edge.ledger.reading.run_receipts import receipts_of_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.reading.run_receipts import RunExtent, RunStart

PAGE_RECEIPTS = 512


class SeenReceipts:
    """The receipts of one run, and which of them were seen."""

    def __init__(self, start: RunStart, extent: RunExtent, *, ledger: Ledger[LedgerStore]) -> None:
        self._start = start
        self._extent = extent
        self._ledger = ledger
        self._is_seen = bytearray(extent.last_receipt_id - start.receipt_id + 1)
        self._count = 0

    @property
    def count(self) -> int:
        """How many were seen, at most those of the run."""
        return min(self._count, self._extent.receipt_count)

    @property
    def has_all(self) -> bool:
        """Whether none is left to be seen."""
        return self._count >= self._extent.receipt_count

    def add(self, receipt: HeldReceipt) -> None:
        """Note that a receipt was seen."""
        place = receipt.receipt_id - self._start.receipt_id
        self._count += not self._is_seen[place]
        self._is_seen[place] = 1

    async def missing(self, should_show: Callable[[float], bool], *, count_max: int) -> list[HeldReceipt]:
        """Return receipts that were not seen, the oldest first, at most `count_max`. Raises LedgerUnusable.

        Args:
            should_show: whether what was read should show a file that was sent at this time.
        """
        found: list[HeldReceipt] = []
        after_id = self._start.receipt_id
        while len(found) < count_max and not self.has_all:
            step = partial(receipts_of_run, start=self._start, after_id=after_id, count_max=PAGE_RECEIPTS)
            page = await self._ledger.run(step)
            if not page:
                break
            after_id = page[-1][0].receipt_id
            found += [
                receipt
                for receipt, sent_at_utc_s in page
                if receipt.receipt_id <= self._extent.last_receipt_id
                and not self._is_seen[receipt.receipt_id - self._start.receipt_id]
                and should_show(sent_at_utc_s)
            ]
        return found[:count_max]
