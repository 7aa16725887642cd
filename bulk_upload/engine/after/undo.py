"""`undo`: deletes at the server what this job made, one durable step at a time, and nothing else."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import anyio
import msgspec

from bulk_upload.core.content_hash import function_of, installed, require
from bulk_upload.core.run.verify import (
    LAST,
    NEWER,
    NO_NEWER,
    TOO_MANY,
    UNEXPLAINED,
    DifferenceKind,
    differences,
    newer,
    too_many,
)
from bulk_upload.edge.ledger import Deleted, PlannedDeletion
from bulk_upload.edge.ledger.deletions import (
    ask,
    current_receipt,
    end,
    live_receipts,
    live_total,
    path_of,
    receipts_to_rely_on,
    unfinished,
)
from bulk_upload.engine.doubt.inquiry import RequestDenied
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import CredentialsRefused, ServerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import HeldReceipt, SecondCopy
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.inquiry import Inquiry

PAGE_RECEIPTS = 256
FAILURES_IN_A_ROW_MAX = 10
"""This many deletions without an answer mean that the server is down, not that the files are special."""

ADOPTED = "its ID did not come with the answer to its upload, it was adopted: --adopted deletes it"

UNREADABLE = "the server does not return its content, so nothing shows that it is a copy"

_OTHER = (DifferenceKind.RESIZED, DifferenceKind.REPURPOSED)


class UndoScope(StrEnum):
    """What to undo: every file with a receipt, those whose receipt was superseded, or those of entries that the
    manifest of the last run no longer has."""

    ALL = "all"
    SUPERSEDED = "superseded"
    DROPPED = "dropped"


class Undone(msgspec.Struct, frozen=True, kw_only=True):
    """The result for one file: `outcome` is None where no answer came and a rerun must find out."""

    path: str
    file_id: str
    outcome: Deleted | None
    reason: str | None = None


class Undoing:
    """Deletes files of one job. Make one, use it once.

    Args:
        ledger: of the job, locked.
        inquiry: the server.
        clock: dates what is recorded.
        asked_by: who wants it, for the ledger.
        on_undone: called with every file.
        questions_max: how many files are worked on at once.
        keeps_names: whether the server keeps names; where it does not, another name shows nothing.
    """

    def __init__(
        self,
        *,
        ledger: Ledger[LedgerStore],
        inquiry: Inquiry,
        clock: Clock,
        asked_by: str,
        on_undone: Callable[[Undone], None],
        questions_max: int,
        keeps_names: bool = True,
    ) -> None:
        self._ledger = ledger
        self._inquiry = inquiry
        self._clock = clock
        self._asked_by = asked_by
        self._on_undone = on_undone
        self._limiter = anyio.CapacityLimiter(questions_max)
        self._keeps_names = keeps_names
        self._failure_count = 0
        self._stopping = False

    def stop(self) -> None:
        """Start no further deletion."""
        self._stopping = True

    async def total(self, scope: UndoScope, *, adopted: bool) -> tuple[int, int]:
        """Return how many files with adopted receipts there are, or how many with others, and how many bytes they have."""
        return await self._ledger.run(
            partial(
                live_total,
                only_superseded=scope is UndoScope.SUPERSEDED,
                only_dropped=scope is UndoScope.DROPPED,
                adopted=adopted,
            )
        )

    async def preview(self, scope: UndoScope, *, adopted: bool) -> AsyncIterator[HeldReceipt]:
        """Yield the adopted receipts, or the others, that `receipts` would work on, in its order."""
        after_id = 0
        while page := await self._page(scope, after_id, adopted=adopted):
            for one in page:
                yield one
            after_id = page[-1].receipt_id

    async def finish(self) -> None:
        """Finish the deletions that an earlier process began and did not record the end of."""
        begun = await self._ledger.run(unfinished)
        await self._each(
            [partial(self._finish_copy if one.receipt_id is None else self._delete, one) for one in begun]
        )

    async def receipts(self, scope: UndoScope, *, adopted: bool = False) -> None:
        """Delete the files of the job's receipts; superseded ones alone only while the newer file is there.

        Files whose id did not come with the answer to their upload are kept unless `adopted` says otherwise; they are
        the first. Raises CredentialsRefused, ServerUnusable, LedgerUnusable.
        """
        undo = self._undo_superseded if scope is UndoScope.SUPERSEDED else self._undo
        for is_adopted, act in ((True, undo if adopted else self._keep_adopted), (False, undo)):
            after_id = 0
            while not self._stopping and (page := await self._page(scope, after_id, adopted=is_adopted)):
                await self._each([partial(act, one) for one in page])
                after_id = page[-1].receipt_id

    async def duplicates(self, copies: Iterable[SecondCopy], *, named: Collection[str] = ()) -> None:
        """Delete second copies; those that are kept are reported with the reason.

        A copy goes only if its content is what was sent and the file of the receipt was just seen. Ids in `named`
        are a person's word for copies that a lost answer does not explain, or that are newer than that file.
        """
        same: list[tuple[SecondCopy, tuple[str, ...]]] = []
        await self._each([partial(self._compare, one, named, same) for one in copies])
        surplus = too_many([one for one, _ in same if one.attempt_ids])
        await self._each([partial(self._undo_copy, one, hashes, named, surplus) for one, hashes in same])

    async def _keep_adopted(self, receipt: HeldReceipt) -> None:
        self._tell(receipt.path, receipt.file_id, Deleted.KEPT, ADOPTED)

    async def _page(self, scope: UndoScope, after_id: int, *, adopted: bool) -> list[HeldReceipt]:
        step = partial(
            live_receipts,
            after_id=after_id,
            only_superseded=scope is UndoScope.SUPERSEDED,
            only_dropped=scope is UndoScope.DROPPED,
            adopted=adopted,
            count_max=PAGE_RECEIPTS,
        )
        return await self._ledger.run(step)

    async def _each(self, steps: Sequence[Callable[[], Awaitable[None]]]) -> None:
        async def one_at_a_slot(step: Callable[[], Awaitable[None]]) -> None:
            async with self._limiter:
                if not self._stopping:
                    await step()

        async with plain_task_group() as tasks:
            for step in steps:
                tasks.start_soon(one_at_a_slot, step)

    async def _undo_superseded(self, receipt: HeldReceipt) -> None:
        current = await self._ledger.run(partial(current_receipt, entry_id=receipt.entry_id))
        if current is not None:
            try:
                file = await self._inquiry.look_up(current.file_id)
            except ServerUnusable as error:
                self._no_answer(receipt.path, receipt.file_id, error)
                return
            if any(one.kind is not DifferenceKind.RENAMED for one in differences(current, file)):
                self._tell(receipt.path, receipt.file_id, Deleted.KEPT, NO_NEWER)
                return
        await self._undo(receipt)

    async def _undo(self, receipt: HeldReceipt) -> None:
        one = PlannedDeletion(
            entry_id=receipt.entry_id, receipt_id=receipt.receipt_id, file_id=receipt.file_id
        )
        try:
            file = await self._inquiry.look_up(receipt.file_id)
        except ServerUnusable as error:
            self._no_answer(receipt.path, receipt.file_id, error)
            return
        wrong = [] if file is None else [d for d in differences(receipt, file) if d.kind in _OTHER]
        if wrong:
            self._tell(receipt.path, one.file_id, Deleted.KEPT, f"it is not what was sent: {wrong[0].detail}")
            return
        await self._delete(one, receipt.path)

    async def _compare(
        self, copy: SecondCopy, named: Collection[str], same: list[tuple[SecondCopy, tuple[str, ...]]]
    ) -> None:
        """Add a copy to `same`, with the hashes of its content, if that is what was sent, and it may be deleted at all."""
        file_id = copy.file.file_id
        if not copy.attempt_ids and file_id not in named:
            self._tell(copy.path, file_id, Deleted.KEPT, UNEXPLAINED)
            return
        if copy.content_hash is None:
            self._tell(copy.path, file_id, Deleted.KEPT, "there is no hash to compare it with")
            return
        require(function_of(copy.content_hash))
        try:
            # The receipts may have hashes of other functions.
            hashes = await self._inquiry.hashes_of(file_id, installed())
        except RequestDenied as error:
            self._tell(copy.path, file_id, Deleted.KEPT, f"{UNREADABLE} ({error})")
            return
        except ServerUnusable as error:
            self._no_answer(copy.path, file_id, error)
            return
        if copy.content_hash in hashes:
            same.append((copy, hashes))
        elif not hashes:
            self._tell(copy.path, file_id, Deleted.KEPT, UNREADABLE)
        else:
            self._tell(copy.path, file_id, Deleted.KEPT, "its content is not what was sent")

    async def _undo_copy(
        self, copy: SecondCopy, hashes: tuple[str, ...], named: Collection[str], surplus: Collection[str]
    ) -> None:
        file_id = copy.file.file_id
        reason = TOO_MANY if file_id in surplus and file_id not in named else None
        if reason is None:
            try:
                own = await self._file_of_receipt(copy.entry_id, hashes)
            except ServerUnusable as error:
                self._no_answer(copy.path, file_id, error)
                return
            if own is None:
                reason = LAST
            elif newer(copy.file, own) and file_id not in named:
                reason = NEWER
        if reason is not None:
            self._tell(copy.path, file_id, Deleted.KEPT, reason)
            return
        await self._delete(
            PlannedDeletion(entry_id=copy.entry_id, receipt_id=None, file_id=file_id), copy.path
        )

    async def _finish_copy(self, one: PlannedDeletion) -> None:
        """Finish deleting a copy, if the file of the receipt is still there."""
        path = await self._ledger.run(partial(path_of, entry_id=one.entry_id))
        try:
            if await self._inquiry.look_up(one.file_id) is None:
                await self._end(one, path, Deleted.GONE, None)
                return
            hashes = await self._inquiry.hashes_of(one.file_id, installed())
            own = await self._file_of_receipt(one.entry_id, hashes) if hashes else None
        except RequestDenied as error:
            await self._end(one, path, Deleted.KEPT, f"{UNREADABLE} ({error})")
            return
        except ServerUnusable as error:
            self._no_answer(path, one.file_id, error)
            return
        if own is None:
            await self._end(one, path, Deleted.KEPT, LAST if hashes else UNREADABLE)
        else:
            await self._delete(one, path)

    async def _file_of_receipt(self, entry_id: int, hashes: tuple[str, ...]) -> ListedFile | None:
        """Look up the files of an entry's receipts for one content, by any of its hashes; return one that is as it was sent."""
        step = partial(receipts_to_rely_on, entry_id=entry_id, hashes=hashes)
        for receipt in await self._ledger.run(step):
            file = await self._inquiry.look_up(receipt.file_id)
            if file is not None and not differences(receipt, file, keeps_names=self._keeps_names):
                return file
        return None

    async def _delete(self, one: PlannedDeletion, path: str | None = None) -> None:
        if path is None:
            path = await self._ledger.run(partial(path_of, entry_id=one.entry_id))
        now = self._clock.utc_s()
        await self._ledger.run(partial(ask, one=one, asked_by=self._asked_by, utc_s=now))
        try:
            was_there = await self._inquiry.delete(one.file_id)
        except (RequestDenied, CredentialsRefused) as error:
            await self._end(one, path, Deleted.KEPT, str(error))
            if isinstance(error, CredentialsRefused):
                raise
        except ServerUnusable as error:
            self._no_answer(path, one.file_id, error)
        else:
            self._failure_count = 0
            await self._end(one, path, Deleted.DELETED if was_there else Deleted.GONE, None)

    async def _end(self, one: PlannedDeletion, path: str, outcome: Deleted, reason: str | None) -> None:
        now = self._clock.utc_s()
        await self._ledger.run(partial(end, one=one, outcome=outcome, reason=reason, utc_s=now))
        self._tell(path, one.file_id, outcome, reason)

    def _no_answer(self, path: str, file_id: str, error: ServerUnusable) -> None:
        self._failure_count += 1
        self._tell(path, file_id, None, str(error))
        if self._failure_count >= FAILURES_IN_A_ROW_MAX:
            raise error

    def _tell(self, path: str, file_id: str, outcome: Deleted | None, reason: str | None) -> None:
        self._on_undone(Undone(path=path, file_id=file_id, outcome=outcome, reason=reason))
