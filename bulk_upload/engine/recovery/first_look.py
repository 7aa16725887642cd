"""One bounded look at the server's list before a run sends: do its files wait there already?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.doubt.content import COMPARE_MAX_BYTES
from bulk_upload.core.run.after.elsewhere import Advice, Sighting, advice_for, made_since
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.reconcile import is_before
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.recovery.server_list import Seen, add_listed, seen
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.recovery.contents import Contents
from bulk_upload.errors import LedgerOutdated

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import ContentApi, Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.recovery.places import EarlierRuns
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.planned_entries import StagedEntries
    from bulk_upload.engine.recovery.contents import LocalFiles

LOOK_S = 5.0
"""How long the look may take, and the comparison as long again: a run must not wait for a list that it can do without."""

NEW_PAGES_MAX = 3
PAGES_MAX = 10
"""Pages of a ledger that has had runs: its look ends at the first file from before the last one."""

COMPARED_MAX = 3
COMPARED_BYTES_MAX = 8 * 1024 * 1024
"""The smallest files that look alike decide, and larger ones than this are not read for it."""


class FirstLook:
    """Looks for the files of a plan at the server before the first one is sent.

    Args:
        files_api: the server. A query that fails ends the look: what is wrong, the run will say.
        files: the local files.
        profile: says whether the list can show them.
        entries: of the plan.
        ledger: gets the end of a run that is stopped.
        runs: what the ledger knows of earlier runs.
        clock: dates the end of a run that is stopped.
    """

    def __init__(
        self,
        *,
        files_api: ContentApi,
        files: LocalFiles,
        profile: Profile,
        entries: StagedEntries,
        ledger: Ledger[LedgerStore],
        runs: EarlierRuns,
        clock: Clock,
    ) -> None:
        self._files_api = files_api
        self._contents = Contents(files=files, server=files_api, compare_max_bytes=COMPARE_MAX_BYTES)
        self._profile = profile
        self._entries = entries
        self._ledger = ledger
        self._runs = runs
        self._clock = clock
        self._is_whole = True

    async def look(self, plan: Plan) -> Plan:
        """Return the plan, with a warning where the server has what it would send, or refuse to go on.

        Raises LedgerOutdated, and LedgerUnusable where the ledger fails.
        """
        send_count = plan.total(Step.SEND).entry_count
        if not send_count:
            return plan
        runs = self._runs
        could_look = self._profile.list_decides and await self._read(runs)
        if not could_look:
            return _warned(plan, _moved_words(runs)) if runs.moved else plan
        found = await self._entries.call(
            partial(seen, count_max=COMPARED_MAX, file_bytes_max=COMPARED_BYTES_MAX)
        )
        is_new = runs.sent_since_utc_s is None
        sighting = Sighting(
            is_new=is_new,
            moved=runs.moved,
            send_count=send_count,
            seen_count=found.entry_count,
            same_content=None if is_new or not found.entry_count else await self._same_content(found),
            is_whole=self._is_whole,
        )
        match advice_for(sighting):
            case Advice.STOP:
                await self._stop(sighting, runs)
            case Advice.SAY:
                plan = replace(_warned(plan, _words(sighting, runs)), seen_count=sighting.seen_count)
            case Advice.SEND:
                pass
        return plan

    async def _read(self, runs: EarlierRuns) -> bool:
        """Add the part of the list that matters; return whether it could be read and judged."""
        since_s = runs.sent_since_utc_s
        pages_max = NEW_PAGES_MAX if since_s is None else PAGES_MAX
        pager = Pager.through(self._profile, pages_max=pages_max)
        judged = True
        with anyio.move_on_after(LOOK_S) as scope:
            try:
                while not pager.at_end:
                    turned = await self._files_api.list_page(pager.request)
                    page = turned.files
                    offset_s = self._files_api.clock_offset_s
                    wanted = page
                    if since_s is not None:
                        ages = [made_since(one.created_at, since_s, clock_offset_s=offset_s) for one in page]
                        judged = judged and None not in ages
                        wanted = [one for one, is_since in zip(page, ages, strict=True) if is_since]
                    fresh_count = await self._entries.call(partial(add_listed, files=wanted))
                    if (
                        self._profile.newest_first
                        and since_s is not None
                        and offset_s is not None
                        and is_before(page, since_s + offset_s)
                    ):
                        break
                    if pager.turn(turned, fresh_count=fresh_count or len(page)):
                        self._is_whole = False
                        break
            except NoAnswer:
                return False
        return judged and not scope.cancelled_caught

    async def _same_content(self, found: Seen) -> bool | None:
        """Whether one of the smallest files has the content of its entry, None where none could be compared."""
        same: bool | None = None
        if not self._profile.can_read_back:
            return None
        with anyio.move_on_after(LOOK_S):
            for planned, file in found.smallest:
                try:
                    match = await self._contents.match(planned, [file])
                except (SourceError, NoAnswer):
                    continue
                if match.file is not None:
                    return True
                if not match.unreadable:
                    same = False
        return same

    async def _stop(self, sighting: Sighting, runs: EarlierRuns) -> None:
        error = LedgerOutdated(
            f"{_words(sighting, runs)}; nothing was sent",
            hint="`bulk-upload ledger rebuild` with the manifest or folder and the options of this run gives the ledger the receipts it "
            "lacks; then run again. To send all the same: --send-again",
        )
        now = self._clock.utc_s()
        await self._ledger.run(lambda store: store.end_run(exit_status=error.exit_status, utc_s=now))
        raise error


def _warned(plan: Plan, words: str) -> Plan:
    return replace(plan, warnings=(*plan.warnings, words))


def _words(sighting: Sighting, runs: EarlierRuns) -> str:
    entries = "entry" if sighting.send_count == 1 else "entries"
    least = "" if sighting.is_whole else "at least "
    counted = f"{least}{sighting.seen_count:,} of {sighting.send_count:,} {entries} to send"
    if sighting.is_new:
        return (
            f"this ledger is new, but the server has files with the name, size and purpose of {counted}: if the ledger was "
            "lost, stop this run, and `bulk-upload ledger rebuild` with its manifest or folder and its options takes these files up"
        )
    alike = "content" if sighting.same_content else "name, size and purpose"
    since = "" if runs.sent_since_utc_s is None else f", {utc_text(runs.sent_since_utc_s)}"
    words = (
        f"since the last run of this ledger{since}, something else sent files with the {alike} of {counted}"
    )
    if not runs.moved:
        return f"{words}: a copy of this ledger may have gone on elsewhere"
    return f"{words}: this ledger is a copy, or was moved, from {runs.last_place} to {runs.place}, and the other went on"


def _moved_words(runs: EarlierRuns) -> str:
    return (
        f"this ledger was at {runs.last_place} in its last run and is at {runs.place} now: if a copy of it goes on there, "
        "files are sent twice, which the server's list cannot show here"
    )
