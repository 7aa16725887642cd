"""Reads a few files of equal size back where the server's list shows nothing else that tells them apart."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.doubt.adoption import Sameness, sameness_of
from bulk_upload.core.doubt.content import ComparedBy
from bulk_upload.core.events import ContentCompared
from bulk_upload.core.run.after.confirm import Sample, false_samples
from bulk_upload.edge.ledger.reading.equal_sizes import (
    content_of_another,
    equal_size_count,
    equal_size_page,
    equal_size_sample,
)
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.reading_twice import Look, look_twice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.core.doubt.content import ReadBack
    from bulk_upload.core.events import Event
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.reading.run_receipts import RunStart
    from bulk_upload.engine.after.withdrawing import Withdrawals

NOT_TOLD_APART = (
    "files of equal size, which the list does not tell apart: the content of only some was compared"
)

FILE_BYTES_MAX = 1 << 20
"""Larger files are not read back: the check must not take long."""

PAGE_RECEIPTS = 512


class ContentSample:
    """The contents of some receipts of a run, and what they say about the others of equal size.

    One receipt that is false shows that the server mixes answers up: those that were not read back are then in doubt.

    Args:
        read: returns the content of a receipt's file, None where the server gave none, or no request is left.
    """

    def __init__(
        self,
        start: RunStart,
        *,
        read: Callable[[HeldReceipt], Awaitable[ReadBack | None]],
        ledger: Ledger[LedgerStore],
        withdrawals: Withdrawals,
        emit: Callable[[Event], None],
    ) -> None:
        self._start = start
        self._read = read
        self._ledger = ledger
        self._withdrawals = withdrawals
        self._emit = emit
        self._samples: list[Sample] = []
        self._count = 0
        self.open_count = 0
        """How many receipts nothing but their size speaks for, once they are judged."""

    async def read(self, count_max: int) -> None:
        """Read at most so many files back. Raises LedgerUnusable."""
        self._count = await self._ledger.run(partial(equal_size_count, start=self._start))
        step = partial(
            equal_size_sample, start=self._start, file_bytes_max=FILE_BYTES_MAX, count_max=max(0, count_max)
        )
        for receipt in await self._ledger.run(step) if self._count else ():
            looked = await self._look(receipt)
            if looked is None or looked[0] in (Sameness.UNREADABLE, Sameness.UNKNOWN):
                return
            sameness, back = looked
            self._emit(
                ContentCompared(
                    path=receipt.path,
                    file_id=receipt.file_id,
                    same=sameness is Sameness.SAME,
                    by=ComparedBy.WHOLE,
                    read_bytes=back.read_bytes,
                )
            )
            self._samples.append(await self._sample(receipt, sameness, back))

    async def _look(self, receipt: HeldReceipt) -> Look | None:
        """Return how a receipt's file compares with what was sent, None where no answer came."""

        async def look() -> Look:
            back = await self._read(receipt)
            if back is None:
                raise NoAnswer(f"reading {receipt.file_id} back got no answer")
            return sameness_of(
                back, file_bytes=receipt.file_bytes, content_hash=str(receipt.content_hash)
            ), back

        with suppress(NoAnswer):
            return await look_twice(look)
        return None

    async def judge(self) -> None:
        """Put what is false, and what may be, in doubt. Raises LedgerUnusable."""
        false = false_samples(self._samples)
        for one in false:
            await self._withdrawals.as_anothers(one.receipt, "its content is not what was sent")
        if false:
            await self._question_others()
        else:
            self.open_count = self._count - len(self._samples)

    async def _sample(self, receipt: HeldReceipt, sameness: Sameness, back: ReadBack) -> Sample:
        is_anothers = False
        if sameness is Sameness.OTHER and back.hashes:
            is_anothers = await self._ledger.run(
                lambda store: content_of_another(store, receipt, hashes=back.hashes)
            )
        return Sample(receipt, sameness, is_anothers)

    async def _question_others(self) -> None:
        """Question the receipts that no content proves."""
        proven = {one.receipt.receipt_id for one in self._samples if one.sameness is Sameness.SAME}
        after_id = self._start.receipt_id
        while True:
            step = partial(equal_size_page, start=self._start, after_id=after_id, count_max=PAGE_RECEIPTS)
            page = await self._ledger.run(step)
            for receipt in page:
                if receipt.receipt_id not in proven:
                    await self._withdrawals.as_mixed_up(receipt)
            if not page:
                return
            after_id = page[-1].receipt_id
