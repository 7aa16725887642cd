"""`verify`: does every receipt still hold at the server, and which jobs made the files without a receipt?"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.content_hash import functions_of, require
from bulk_upload.core.doubt.adoption import sameness_of
from bulk_upload.core.run.verify import content_difference, differences, second_copy, stranger_of
from bulk_upload.engine.doubt.inquiry import RequestDenied
from bulk_upload.engine.doubt.reading_twice import Look, look_twice
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import ServerUnusable, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.verify import Difference, HeldReceipt, SecondCopy
    from bulk_upload.edge.ledger import Inventory
    from bulk_upload.engine.doubt.inquiry import ContentInquiry

T = TypeVar("T")

LIST_PAGES_MAX = 1_000_000


class Verified(msgspec.Struct):
    """What was checked so far: receipts, files in the server's list, files read back, and what could not be.

    `has_list` is False where the server has none: then each receipt is looked up. `has_names` is False where the server
    does not keep names, so that they were not compared. `refused_count` contents could not be read because the server
    refused; `refused_reason` is what it said first.
    """

    receipt_count: int = 0
    listed_count: int = 0
    content_count: int = 0
    content_bytes: int = 0
    no_hash_count: int = 0
    has_list: bool = True
    has_names: bool = True
    refused_count: int = 0
    refused_reason: str = ""


class Verifier:
    """Compares one ledger with one server. Changes neither.

    Args:
        inventory: the ledger, with room for the server's list.
        inquiry: the server.
        profile: says whether there is a list.
        job_began_utc_s: older files are not this job's.
        questions_max: how many single files are queried at once.
    """

    def __init__(
        self,
        inventory: Inventory,
        inquiry: ContentInquiry,
        *,
        profile: Profile,
        job_began_utc_s: float,
        questions_max: int,
    ) -> None:
        self._inventory = inventory
        self._inquiry = inquiry
        self._profile = profile
        self._job_began_utc_s = job_began_utc_s
        self._limiter = anyio.CapacityLimiter(questions_max)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-verify")
        self.verified = Verified(has_list=profile.can_list, has_names=profile.keeps_names)

    async def verify(self, *, content: bool) -> AsyncIterator[Difference]:
        """Yield every difference: receipts in the order they were made, then files without a receipt.

        With `content` each file is read back and hashed. Raises what Inquiry raises, LedgerUnusable, and UsageError where
        the server returns no content, or receipts have hashes that cannot be made here.
        """
        if content and not self._profile.can_read_back:
            raise UsageError(
                f"the profile {self._profile.name} says that the server returns no content (can-read-back = false)",
                hint="verify without --content compares names, sizes and purposes",
            )
        if content:
            for function in await self._on_thread(self._inventory.hash_functions):
                require(function)
        if self._profile.can_list:
            await self._list_all()
        receipts = self._inventory.receipts()
        while (page := await self._on_thread(lambda: next(receipts, None))) is not None:
            for found in await self._check_all(page, content=content):
                for difference in found:
                    yield difference
        for difference in await self._on_thread(self._strangers):
            yield difference

    async def duplicates(self) -> list[SecondCopy]:
        """Return the second copies that are as large as what was sent, each with the attempts that can have left it.

        One without attempts may belong to another job.
        """
        if self._profile.can_list:
            await self._list_all()
        return await self._on_thread(self._second_copies)

    def close(self) -> None:
        """End the thread once its query is done: SQLite crashes if the inventory is closed during one."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _check_all(self, page: list[HeldReceipt], *, content: bool) -> list[list[Difference]]:
        listed = await self._on_thread(lambda: [self._inventory.listed(one.file_id) for one in page])
        found: list[list[Difference]] = [[] for _ in page]

        async def ask(place: int) -> None:
            async with self._limiter:
                found[place] = await self._check(page[place], listed[place], content=content)
                self.verified.receipt_count += 1

        async with plain_task_group() as tasks:
            for place, file in enumerate(listed):
                if file is None or content:
                    tasks.start_soon(ask, place)
                else:
                    found[place] = self._differences(page[place], file)
                    self.verified.receipt_count += 1
        return found

    async def _check(
        self, receipt: HeldReceipt, listed: ListedFile | None, *, content: bool
    ) -> list[Difference]:
        if listed is None:
            # Lists may lag or be capped; a look-up decides.
            listed = await self._inquiry.look_up(receipt.file_id)
        found = self._differences(receipt, listed)
        if listed is None or not content:
            return found
        if receipt.content_hash is None:
            self.verified.no_hash_count += 1
            return found
        if not self._profile.reads_back(receipt.purpose):
            self.verified.refused_count += 1
            self.verified.refused_reason = (
                self.verified.refused_reason or f"its profile says so of files for {receipt.purpose}"
            )
            return found
        try:
            _, back = await look_twice(partial(self._look, receipt))
        except RequestDenied as error:
            self.verified.refused_count += 1
            self.verified.refused_reason = self.verified.refused_reason or str(error)
            return found
        self.verified.content_count += bool(back.hashes) or back.total_bytes is not None
        self.verified.content_bytes += receipt.file_bytes
        difference = content_difference(receipt, back)
        return found if difference is None else [*found, difference]

    async def _look(self, receipt: HeldReceipt) -> Look:
        sent = str(receipt.content_hash)
        back = await self._inquiry.content_of(
            receipt.file_id, file_bytes=receipt.file_bytes, functions=functions_of([sent])
        )
        return sameness_of(back, file_bytes=receipt.file_bytes, content_hash=sent), back

    def _differences(self, receipt: HeldReceipt, file: ListedFile | None) -> list[Difference]:
        return differences(receipt, file, keeps_names=self._profile.keeps_names)

    async def _list_all(self) -> None:
        pager = Pager.through(self._profile, pages_max=LIST_PAGES_MAX)
        while not pager.at_end:
            page = await self._inquiry.list_page(pager.request)
            fresh_count = await self._on_thread(partial(self._inventory.add, page.files))
            self.verified.listed_count += fresh_count
            problem = pager.turn(page, fresh_count=fresh_count)
            if problem is not None:
                raise ServerUnusable(problem, hint="without a list it is unknown what else the server has")

    def _strangers(self) -> list[Difference]:
        """Return each file without a receipt once, judged by the attempt that it resembles most."""
        strangers = []
        for _, alike in groupby(self._inventory.look_alikes(), key=lambda one: one.file.file_id):
            found = stranger_of(
                list(alike),
                job_began_utc_s=self._job_began_utc_s,
                clock_offset_s=self._inquiry.clock_offset_s,
            )
            if found is not None:
                strangers.append(found)
        return strangers

    def _second_copies(self) -> list[SecondCopy]:
        copies = []
        for _, alike in groupby(self._inventory.look_alikes(), key=lambda one: one.file.file_id):
            copy = second_copy(
                list(alike),
                job_began_utc_s=self._job_began_utc_s,
                clock_offset_s=self._inquiry.clock_offset_s,
            )
            if copy is not None:
                copies.append(copy)
        return copies

    async def _on_thread(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, act)
