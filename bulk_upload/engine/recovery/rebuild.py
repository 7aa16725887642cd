"""`ledger rebuild`: receipts for the files of a manifest that the server has and the ledger does not know."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
import msgspec

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.ledger.recovery.found_receipts import record_found
from bulk_upload.edge.ledger.recovery.server_list import add_listed, candidates, twin_count
from bulk_upload.engine.recovery.contents import ContentMatch
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import ServerUnusable

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore, Staging
    from bulk_upload.engine.doubt.inquiry import Inquiry
    from bulk_upload.engine.planned_entries import StagedEntries
    from bulk_upload.engine.recovery.contents import Contents

LIST_PAGES_MAX = 1_000_000
CANDIDATES_MAX = 20
"""More files of one name, size and purpose are not read back for one entry."""

COMPARED_AT_ONCE = 4

TRUSTED = "content not compared: name, size and purpose were trusted"
NOT_RETURNED = "content not compared: the server returns none"


class Undecided(msgspec.Struct, frozen=True):
    """An entry that may have a file at the server, and why that could not be decided."""

    path: str
    reason: str


class Rebuilt(msgspec.Struct, kw_only=True):
    """What was found so far.

    `found_count` entries got a receipt, `absent_count` have no file of their name, size and purpose at the server, and
    `differing_count` one with other content. Of the undecided ones the first are kept.
    """

    listed_count: int = 0
    entry_count: int = 0
    found_count: int = 0
    absent_count: int = 0
    differing_count: int = 0
    undecided_count: int = 0
    compared_count: int = 0
    compared_bytes: int = 0
    undecided: list[Undecided] = msgspec.field(default_factory=list)


UNDECIDED_KEPT_MAX = 20


class _Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """An entry and the listed files that could be its; `named` says that name, size and purpose decide."""

    planned: PlannedEntry
    could_be: list[ListedFile]
    named: bool


class Rebuilder:
    """Finds the files of entries that a run would send. Sends nothing, and changes nothing at the server.

    Args:
        inquiry: the server.
        contents: compares its files with local ones.
        profile: says whether the list shows the names that were sent, and whether contents can be read.
        entries: of the plan.
        ledger: gets the receipts.
        clock: dates them.
        decided_by: who rebuilds, as recorded in the ledger.
        trust_names: take a file by name, size and purpose where these name one entry only.
    """

    def __init__(
        self,
        *,
        inquiry: Inquiry,
        contents: Contents,
        profile: Profile,
        entries: StagedEntries,
        ledger: Ledger[LedgerStore],
        clock: Clock,
        decided_by: str,
        trust_names: bool,
    ) -> None:
        self._inquiry = inquiry
        self._contents = contents
        self._profile = profile
        self._entries = entries
        self._ledger = ledger
        self._clock = clock
        self._decided_by = decided_by
        self._trust_names = trust_names
        self._limiter = anyio.CapacityLimiter(COMPARED_AT_ONCE)
        self.rebuilt = Rebuilt()

    async def rebuild(self) -> Rebuilt:
        """Read the list to its end, then look for the file of each entry.

        Raises what Inquiry raises, and LedgerUnusable. What was found until then is recorded.
        """
        await self._list_all()
        async for page in self._entries.pages((Step.SEND,)):
            prospects = await self._entries.call(partial(self._prospects, page))
            async with plain_task_group() as tasks:
                for one in prospects:
                    tasks.start_soon(self._look_for, one)
        return self.rebuilt

    async def _list_all(self) -> None:
        pager = Pager.through(self._profile, pages_max=LIST_PAGES_MAX)
        while not pager.at_end:
            page = await self._inquiry.list_page(pager.request)
            fresh_count = await self._entries.call(partial(add_listed, files=page.files))
            self.rebuilt.listed_count += fresh_count
            problem = pager.turn(page, fresh_count=fresh_count)
            if problem is not None:
                raise ServerUnusable(problem, hint="without the whole list it is unknown what the server has")

    def _prospects(self, page: list[PlannedEntry], staging: Staging) -> list[_Prospect]:
        """Return what could be the files of a page of entries; blocks."""
        named = self._profile.keeps_names and (self._trust_names or not self._profile.can_read_back)
        return [
            _Prospect(
                planned=one,
                could_be=self._could_be(staging, one),
                named=named and twin_count(staging, one) == 1,
            )
            for one in page
        ]

    def _could_be(self, staging: Staging, planned: PlannedEntry) -> list[ListedFile]:
        return candidates(staging, planned, by_name=self._profile.keeps_names, count_max=CANDIDATES_MAX + 1)

    async def _look_for(self, one: _Prospect) -> None:
        try:
            await self._find(one)
        except SourceError as error:
            self._leave(one.planned, error.reason)
        self.rebuilt.entry_count += 1

    async def _find(self, one: _Prospect) -> None:
        planned, could_be = one.planned, one.could_be
        while could_be:
            match = await self._match(one, could_be)
            if match.file is None:
                self._not_found(planned, match, could_be)
                return
            if await self._record(planned, match.file, match):
                self.rebuilt.found_count += 1
                return
            # Another entry with the same content got it meanwhile.
            could_be = await self._entries.call(partial(self._could_be, planned=planned))
        self.rebuilt.absent_count += 1

    async def _match(self, one: _Prospect, could_be: list[ListedFile]) -> ContentMatch:
        """Return which file is the entry's, by its content unless the names are trusted or all there is."""
        planned = one.planned
        if one.named:
            detail = TRUSTED if self._trust_names else NOT_RETURNED
            return ContentMatch(file=could_be[0], detail=detail)
        if not self._profile.can_read_back:
            return ContentMatch(unreadable="several entries have its name, size and purpose")
        async with self._limiter:
            match = await self._contents.match(planned, could_be[:CANDIDATES_MAX])
        self.rebuilt.compared_count += 1
        self.rebuilt.compared_bytes += match.read_bytes
        return match

    def _not_found(self, planned: PlannedEntry, match: ContentMatch, could_be: list[ListedFile]) -> None:
        if match.unreadable:
            self._leave(planned, f"{could_be[0].file_id} may be it: {match.unreadable}")
        elif len(could_be) > CANDIDATES_MAX:
            self._leave(planned, f"more than {CANDIDATES_MAX} files at the server may be it")
        else:
            self.rebuilt.differing_count += 1

    def _leave(self, planned: PlannedEntry, reason: str) -> None:
        self.rebuilt.undecided_count += 1
        if len(self.rebuilt.undecided) < UNDECIDED_KEPT_MAX:
            self.rebuilt.undecided.append(Undecided(planned.entry.path, reason))

    async def _record(self, planned: PlannedEntry, file: ListedFile, match: ContentMatch) -> bool:
        fingerprint = planned.fingerprint
        if fingerprint is None:
            return False
        step = partial(
            record_found,
            entry=planned.entry,
            fingerprint=fingerprint,
            file=file,
            sent_name=planned.sent_name,
            content_hash=match.content_hash,
            detail=match.detail,
            decided_by=self._decided_by,
            utc_s=self._clock.utc_s(),
        )
        return await self._ledger.run(step)
