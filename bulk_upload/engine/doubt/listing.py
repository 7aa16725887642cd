"""A reading of the server's list: the files that could matter to some doubts, and what it tells of the list itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.api.server_clock import UNKNOWN, ClockOffset
from bulk_upload.core.clock import Moment
from bulk_upload.core.run.reconcile import is_before, window_start_utc_s
from bulk_upload.core.text.name_forms import stored_forms, twin_form
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.waits import Wait, Waits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.server_habits import OwnFile, ServerHabits
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import FilesApi
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.edge.ledger.owned_ids import Claim

LIST_PAGES_MAX = 1000
OTHERS_MAX = 200
"""Files of other names that are kept of a list: enough to notice another job at work."""

SAMPLE_MAX = 64
"""How many listed files are compared with this ledger's receipts, to learn how the server writes what was sent."""


class Listing(msgspec.Struct):
    """A reading of the list: `files` are those that could matter, `ids` all that it showed.

    It came in `page_count` pages. It goes back to `not_before_s` by the server's clock, None where to its end. `offsets` has the clock offset of each
    attempt that decided how far that is: the files must be judged with the same ones. `others` have other names than were
    sent, and may be among the `files` for all that. `claims` are the receipts that this ledger has for the files.
    """

    began_s: float
    page_count: int = 0
    not_before_s: float | None = None
    files: list[ListedFile] = msgspec.field(default_factory=list)
    others: list[ListedFile] = msgspec.field(default_factory=list)
    ids: set[str] = msgspec.field(default_factory=set)
    sample: list[ListedFile] = msgspec.field(default_factory=list)
    offsets: dict[int, ClockOffset] = msgspec.field(default_factory=dict)
    claims: dict[str, Claim] = msgspec.field(default_factory=dict)


async def read_list(
    doubts: list[Doubt],
    *,
    files_api: FilesApi,
    profile: Profile,
    clock: Clock,
    habits: ServerHabits,
    waits: Waits,
) -> Listing:
    """Read the list from the newest file back to before the oldest doubt, and let the habits learn from it.

    While one of the clock offsets is unknown, or the list's times are wrong, it is read to its end. Raises NoAnswer.
    """
    kept = _Kept(doubts, habits)
    candidates = {one.candidate_id: one for one in doubts if one.candidate_id is not None}
    listing = Listing(began_s=clock.monotonic())
    seen: set[object] = set()
    pager = Pager.through(profile, pages_max=LIST_PAGES_MAX)
    while True:
        with waits.on(Wait.SERVER):
            page = await files_api.list_page(pager.request)
        fresh = [one for one in page.files if _identity(one) not in seen]
        seen.update(map(_identity, fresh))
        for one in fresh:
            if kept.could_matter(one):
                listing.files.append(one)
            if one.has_id and not kept.is_named(one) and len(listing.others) < OTHERS_MAX:
                listing.others.append(one)
        listing.ids.update(one.file_id for one in fresh if one.has_id)
        listing.sample.extend(fresh[: SAMPLE_MAX - len(listing.sample)])
        habits.see_own(
            fresh,
            offset_s_of=lambda own: _offset_of(own, files_api).best_s,
        )
        for one in fresh:
            if (doubt := candidates.get(one.file_id)) is not None:
                habits.see_candidate(one, name=doubt.sent_name, purpose=doubt.purpose)
        # Computed again for each page: the first answer of a run shows how far the clocks are apart.
        listing.offsets = {
            one.attempt_id: UNKNOWN if habits.shifts_times else clock_offset_of(one, files_api)
            for one in doubts
        }
        starts = [
            window_start_utc_s([one], clock_offset_s=listing.offsets[one.attempt_id].least_s)
            for one in doubts
        ]
        # A list in another order is read to its end.
        is_known = profile.newest_first and None not in starts
        not_before_s = None if not is_known else min(one for one in starts if one is not None)
        listing.not_before_s = not_before_s
        problem = pager.turn(page, fresh_count=len(fresh))
        listing.page_count = pager.page_count
        if pager.at_end or (not_before_s is not None and is_before(page.files, not_before_s)):
            return listing
        if problem is not None:
            raise NoAnswer(problem)


def should_show(listing: Listing, own: OwnFile, *, files_api: FilesApi) -> bool:
    """Whether a listing goes back to before a file that the run had accepted."""
    if listing.not_before_s is None:
        return True
    offset_s = _offset_of(own, files_api).least_s
    return offset_s is not None and own.began_utc_s + offset_s >= listing.not_before_s


def _offset_of(own: OwnFile, files_api: FilesApi) -> ClockOffset:
    return files_api.clock_offset(Moment(utc_s=own.began_utc_s, monotonic_s=own.began_at))


class _Kept:
    """Which files of a list could matter to some doubts: asked of every file, so it only looks names up."""

    def __init__(self, doubts: Iterable[Doubt], habits: ServerHabits) -> None:
        self._names = {one.sent_name for one in doubts} | {None}
        self._forms = {twin_form(one.sent_name) for one in doubts}
        self._candidates = {one.candidate_id for one in doubts}
        self._sizes = {one.file_bytes for one in doubts} | {None}
        self._habits = habits

    def is_named(self, file: ListedFile) -> bool:
        """Whether a file has the very name that was sent, or the id that came with an answer."""
        return file.filename in self._names or file.file_id in self._candidates

    def could_matter(self, file: ListedFile) -> bool:
        """Whether a file could be one that a doubt is about."""
        name = file.filename
        if file.file_id in self._candidates:
            return True
        if file.bytes not in self._sizes and not self._habits.alters_sizes:
            return False
        if name in self._names or self._habits.alters_names or self._habits.may_cut_names:
            return True
        return name is not None and not self._forms.isdisjoint(stored_forms(name))


def _identity(file: ListedFile) -> object:
    """Return what distinguishes a listed file from the others: its id, or all that is shown of one without."""
    return file.file_id if file.has_id else file


def clock_offset_of(doubt: Doubt, files_api: FilesApi) -> ClockOffset:
    """Return the server's clock minus ours at the time of an attempt."""
    if doubt.clock_offset_s is not None:
        return ClockOffset(best_s=doubt.clock_offset_s, least_s=doubt.clock_offset_s)
    if doubt.began_at is None:
        return UNKNOWN
    return files_api.clock_offset(Moment(utc_s=doubt.sent_at_utc_s, monotonic_s=doubt.began_at))
