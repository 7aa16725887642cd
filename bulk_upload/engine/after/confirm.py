"""The closing check: compares the receipts of a run with the server's list before the run ends.

It costs few requests and keeps no list: pages are compared as they come, and a byte for each receipt says whether it was
seen.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.content_hash import installed
from bulk_upload.core.events import Noticed, ReceiptsChecked
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.after.confirm import (
    LOOK_UPS_MIN,
    ListEvidence,
    Reach,
    Verdict,
    is_passing,
    requests_max,
)
from bulk_upload.core.run.reconcile import CLOCK_TOLERANCE_S, is_before
from bulk_upload.core.run.settings import ConfirmMode
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.ledger.reading.run_receipts import receipts_by_id, run_extent
from bulk_upload.edge.ledger.withdrawals import BY_CLOSING_CHECK, note_check
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.after.check_requests import BudgetSpent, RequestBudget
from bulk_upload.engine.after.content_sample import NOT_TOLD_APART, ContentSample
from bulk_upload.engine.after.seen_receipts import SeenReceipts
from bulk_upload.engine.after.withdrawing import Withdrawals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.doubt.content import ReadBack
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.after.confirm import Mismatch
    from bulk_upload.core.run.ports import ContentApi, Ledger
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.reading.run_receipts import RunExtent, RunStart
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.waits import Waits

LIST_PAGES_MAX = 1_000_000
WAIT_SAID_S = 2.0

NOT_SHOWN = "it shows no file of this run"
NOT_READ = "the list was read no further: the check makes 1 % of the run's requests and 10 more at most"


class ClosingCheck:
    """Checks the receipts of one run, once; `serve` is called when its uploads are over.

    Args:
        api_retry: repeats what gets no answer, a few times.
    """

    def __init__(
        self,
        *,
        settings: RunSettings,
        profile: Profile,
        files_api: ContentApi,
        api_retry: ApiRetry,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
        waits: Waits,
    ) -> None:
        self._is_on = settings.confirm is ConfirmMode.LIST and profile.can_list
        self._ledger = ledger
        self._drain = drain
        self._check = partial(
            _Check,
            settle_s=settings.settle_s,
            profile=profile,
            files_api=files_api,
            api_retry=api_retry,
            ledger=ledger,
            drain=drain,
            clock=clock,
            emit=emit,
            waits=waits,
        )

    async def serve(self, start: RunStart) -> None:
        """Compare what was recorded since `start`, and record what is contradicted. Raises LedgerUnusable."""
        if not self._is_on:
            return
        extent = await self._ledger.run(partial(run_extent, start=start))
        if not extent.receipt_count:
            return
        check = self._check(start, extent)
        with self._drain.cut():
            await check.compare()
            await check.read_back()
        await check.finish()


class _Check:
    """The state of one closing check. It ends at any await when the run drains; what was found is recorded then."""

    def __init__(
        self,
        start: RunStart,
        extent: RunExtent,
        *,
        settle_s: float,
        profile: Profile,
        files_api: ContentApi,
        api_retry: ApiRetry,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
        waits: Waits,
    ) -> None:
        self._start = start
        self._extent = extent
        self._settles_s = clock.monotonic() + settle_s
        self._profile = profile
        self._files_api = files_api
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._emit = emit
        self._requests = RequestBudget(requests_max(extent.attempt_count), api_retry=api_retry, waits=waits)
        self._evidence = ListEvidence(keeps_names=profile.keeps_names, in_doubt=extent.in_doubt)
        self._seen = SeenReceipts(start, extent, ledger=ledger)
        self._held: dict[int, tuple[HeldReceipt, tuple[Mismatch, ...]]] = {}
        self._reaches: list[Reach] = []
        self._is_complete = False
        self._unanswered: list[HeldReceipt] = []
        self._why: str | None = None
        self._witness: HeldReceipt | None = None
        self._answers_look_ups: bool | None = None
        self._withdrawals = Withdrawals(ledger=ledger, clock=clock, emit=emit, decided_by=BY_CLOSING_CHECK)
        self._is_read_back = False
        self._sample = ContentSample(
            start, read=self._content, ledger=ledger, withdrawals=self._withdrawals, emit=emit
        )

    async def compare(self) -> None:
        """Compare all receipts that the requests allow: by the list, by look-ups, and again once it has settled."""
        await self._list()
        # At first half of the requests that are left: the others may be needed once the list has settled.
        if await self._are_missing_at_most(self._requests.left_count // 2):
            await self._look_up_missing(is_last=False)
        if await self._are_missing_at_most(0) and not self._passing():
            return
        await self._settle()
        if not await self._are_missing_at_most(self._requests.left_count):
            await self._list()
        for receipt in self._passing():
            await self._look_up(receipt, is_last=False)
        await self._look_up_missing(is_last=True)

    async def read_back(self) -> None:
        """Compare the content of some files of equal size, where the list does not show whose they are."""
        if self._witness is not None and not self._evidence.shows_names:
            await self._sample.read(self._requests.left_count)
        self._is_read_back = True

    async def finish(self) -> None:
        """Record what is contradicted and what stays open, and emit the result. Raises LedgerUnusable."""
        await self._settle_held(is_last=True)
        await self._sample.judge()
        for receipt in self._unanswered:
            await self._withdrawals.as_open(receipt)
        open_count = self._sample.open_count
        seen_count = self._seen.count
        checked_count = max(0, seen_count - open_count)
        why = self._why or (NOT_SHOWN if self._witness is None else NOT_READ)
        if open_count and seen_count == self._extent.receipt_count:
            why = NOT_TOLD_APART
        if self._drain.begun:
            why = "the run was stopped"
        for field in self._evidence.habits():
            self._emit(
                Noticed(
                    message=f"the server's list shows {field} otherwise than they were sent, so they are no evidence"
                )
            )
        is_stopped = self._drain.begun and (seen_count < self._extent.receipt_count or not self._is_read_back)
        step = partial(
            note_check,
            receipt_count=self._extent.receipt_count,
            checked_count=None if is_stopped else checked_count,
        )
        await self._ledger.run(step)
        self._emit(
            ReceiptsChecked(
                receipt_count=self._extent.receipt_count,
                checked_count=checked_count,
                withdrawn_count=self._withdrawals.counts[EntryState.WITHDRAWN],
                in_doubt_count=self._withdrawals.counts[EntryState.IN_DOUBT],
                request_count=self._requests.used_count,
                reason=None if checked_count == self._extent.receipt_count else why,
            )
        )

    async def _list(self) -> None:
        """Read the list, newest first, until all receipts are seen, or it is before the run, or the requests are used up."""
        # Pages need not overlap: a file that slips between two of them is looked up.
        pager = Pager.through(self._profile, pages_max=LIST_PAGES_MAX, overlap=0)
        before_ids: set[str] = set()
        reach, self._why = Reach(), None
        if self._profile.newest_first:
            self._reaches.append(reach)
        while not self._seen.has_all and self._requests.left_count > LOOK_UPS_MIN:
            try:
                turned = await self._requests.answer(partial(self._files_api.list_page, pager.request))
            except (NoAnswer, BudgetSpent) as error:
                self._why = str(error) or None
                break
            page = turned.files
            shows_own = await self._compare_page(page)
            reach.read(page)
            ids = {one.file_id for one in page}
            problem = pager.turn(turned, fresh_count=len(ids - before_ids))
            before_ids = ids
            if pager.at_end or (not shows_own and self._is_before_run(page)):
                self._is_complete = True
                break
            if problem is not None:
                self._why = problem
                break

    def _is_before_run(self, page: Sequence[ListedFile]) -> bool:
        offset_s, began_utc_s = self._files_api.clock_offset_s, self._extent.began_utc_s
        if offset_s is None or began_utc_s is None or not self._profile.newest_first:
            return False
        return is_before(page, began_utc_s + offset_s - CLOCK_TOLERANCE_S)

    async def _compare_page(self, page: Sequence[ListedFile]) -> bool:
        """Compare a page with the receipts of its files; return whether it has any."""
        files = {one.file_id: one for one in page}
        receipts = await self._ledger.run(partial(receipts_by_id, start=self._start, file_ids=list(files)))
        for receipt in receipts:
            self._compare_one(receipt, files[receipt.file_id])
            self._witness = self._witness or receipt
        await self._settle_held(is_last=False)
        return bool(receipts)

    def _compare_one(self, receipt: HeldReceipt, file: ListedFile) -> None:
        mismatches = self._evidence.compare(receipt, file)
        self._held.pop(receipt.receipt_id, None)
        if mismatches:
            self._held[receipt.receipt_id] = (receipt, mismatches)
        self._seen.add(receipt)

    async def _settle_held(self, *, is_last: bool) -> None:
        """Withdraw the held receipts that the list is known to contradict, release those that it does not."""
        for receipt, mismatches in list(self._held.values()):
            if is_passing(mismatches) and not is_last:
                continue
            verdict = self._evidence.judge(mismatches, is_last=is_last)
            if verdict is Verdict.OPEN:
                continue
            del self._held[receipt.receipt_id]
            if verdict is Verdict.CONTRADICTS:
                await self._withdrawals.as_anothers(receipt, "; ".join(one.detail for one in mismatches))

    async def _missing(self, count_max: int) -> list[HeldReceipt]:
        """Return receipts whose files the list should show and did not, the oldest first, at most `count_max`."""
        offset_s = self._files_api.clock_offset_s

        def should_show(sent_at_utc_s: float) -> bool:
            return self._is_complete or any(
                one.should_show(sent_at_utc_s, clock_offset_s=offset_s) for one in self._reaches
            )

        return await self._seen.missing(should_show, count_max=count_max)

    async def _are_missing_at_most(self, count: int) -> bool:
        return len(await self._missing(count + 1)) <= count

    def _passing(self) -> list[HeldReceipt]:
        """Return the held receipts that are contradicted only by a size, which may have been shown too early."""
        return [
            receipt
            for receipt, mismatches in self._held.values()
            if is_passing(mismatches)
            and self._evidence.judge(mismatches, is_last=True) is Verdict.CONTRADICTS
        ]

    async def _settle(self) -> None:
        """Wait until the list may be believed about the last receipt."""
        left_s = self._settles_s - self._clock.monotonic()
        if left_s > WAIT_SAID_S:
            self._emit(
                Noticed(
                    message=f"the server's list does not show all files yet: looking again in {human_seconds(left_s)}"
                )
            )
        await self._drain.sleep(max(0.0, left_s))

    async def _look_up_missing(self, *, is_last: bool) -> None:
        """Look up files that the list should show, as many as may be."""
        for receipt in await self._missing(self._requests.left_count):
            is_found = await self._look_up(receipt, is_last=is_last)
            if not is_found and self._witness is None:
                return  # Neither the list nor a look-up finds files of the run.

    async def _look_up(self, receipt: HeldReceipt, *, is_last: bool) -> bool:
        """Look up a file; return whether it was found. That it was not counts at last, and if the list shows others."""
        is_proof = is_last and self._witness is not None
        try:
            file = await self._requests.answer(partial(self._files_api.look_up, receipt.file_id))
        except BudgetSpent:
            return False
        except NoAnswer:
            if is_proof:
                self._leave_open(receipt)
            return False
        if file is not None:
            self._compare_one(receipt, file)
            return True
        if is_proof and await self._finds_own_files():
            self._seen.add(receipt)
            await self._withdrawals.as_gone(receipt)
        elif is_proof:
            self._leave_open(receipt)
        return False

    def _leave_open(self, receipt: HeldReceipt) -> None:
        self._unanswered.append(receipt)
        self._seen.add(receipt)

    async def _finds_own_files(self) -> bool:
        """Whether a look-up finds a file of the run that the list shows: else that one is not found proves nothing."""
        if self._answers_look_ups is None:
            self._answers_look_ups = False
            if self._witness is not None:
                with suppress(NoAnswer, BudgetSpent):
                    look_up = partial(self._files_api.look_up, self._witness.file_id)
                    self._answers_look_ups = await self._requests.answer(look_up) is not None
        return self._answers_look_ups

    async def _content(self, receipt: HeldReceipt) -> ReadBack | None:
        with suppress(NoAnswer, BudgetSpent):
            # Other entries may have sent it with a hash of another function.
            read = partial(
                self._files_api.read_back,
                receipt.file_id,
                file_bytes=receipt.file_bytes,
                functions=installed(),
            )
            return await self._requests.answer(read)
        return None
