"""Looks attempts in doubt up in the server's list: one listing serves all waiting entries."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.events import Reconciling
from bulk_upload.core.run.reconcile import (
    Absent,
    Found,
    NotYet,
    Undecided,
    as_shown,
    is_before,
    judge,
    suspects,
    unproven,
    window_start_utc_s,
)
from bulk_upload.core.text.name_forms import stored_forms, twin_form
from bulk_upload.edge.ledger.claims import sent_sha256
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.owners import Owners
from bulk_upload.engine.limits.twins import TwinKey
from bulk_upload.engine.waits import Wait, Waits
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import FilesApi, Ledger
    from bulk_upload.core.run.reconcile import Doubt, Reconciliation
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.claims import Claim
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain

LIST_PAGES_MAX = 1000

LAG_S = 10.0
"""Files that were accepted this long before absence may be believed must be in the list, too: it is waited for them
as long as for the file in doubt."""

SAMPLE_MAX = 64
"""How many listed files are compared with this ledger's receipts, to learn how the server writes what was sent."""

_ENDED = "the run ended before the server's list could decide it"


class _Question(msgspec.Struct):
    """A doubt that waits. `settles_s` and `due_s` are monotonic: a wall clock that is set changes no wait."""

    doubt: Doubt
    poll_s: float
    settles_s: float
    answer: asyncio.Future[Reconciliation]
    settle_s: float
    due_s: float = 0.0


class _Listing(msgspec.Struct):
    """A reading of the list: `files` are those that could matter, `ids` all that it showed.

    It goes back to `since_utc_s` by our clock. All of it must be judged with the same `offset_s`, the server's clock
    minus ours. `claims` are the receipts that this ledger has for the files.
    """

    began_s: float
    since_utc_s: float
    files: list[ListedFile]
    ids: set[str]
    sample: list[ListedFile]
    offset_s: float | None
    claims: dict[str, Claim] = msgspec.field(default_factory=dict)


class Reconciler:
    """Resolves attempts in doubt from the server's list. It holds no slot.

    `api_retry` repeats questions that get no answer, and listings that cannot be used. `habits` is what the run learns
    of the server from its answers.
    """

    def __init__(
        self,
        *,
        files_api: FilesApi,
        api_retry: ApiRetry,
        ledger: Ledger[LedgerStore],
        profile: Profile,
        clock: Clock,
        drain: Drain,
        emit: Callable[[Event], None],
        waits: Waits | None = None,
        habits: ServerHabits | None = None,
    ) -> None:
        self._files_api = files_api
        self._api_retry = api_retry
        self._ledger = ledger
        self._profile = profile
        self._clock = clock
        self._drain = drain
        self._emit = emit
        self._questions: list[_Question] = []
        self._asked = asyncio.Event()
        self._waits = waits or Waits()
        self._habits = habits or ServerHabits(profile.purposes)
        self._owners = Owners(
            files_api=files_api,
            api_retry=api_retry,
            ledger=ledger,
            profile=profile,
            drain=drain,
            habits=self._habits,
        )

    async def resolve(self, doubt: Doubt) -> Found | Absent | Undecided:
        """Return what the server's list says about a doubt, once it can be believed."""
        unclear = await self._owners.check(doubt)
        if unclear is not None:
            return unclear
        if not (self._profile.can_list and self._profile.keeps_names):
            return Undecided(f"a {self._profile.name} server's list cannot decide this")
        if self._drain.begun:
            return Undecided(_ENDED)
        # Several listings before absence is believed: the list may lag.
        left_s = doubt.settles_at_utc_s - self._clock.utc_s()
        poll_s = min(10.0, max(0.5, left_s / 4))
        settles_s = self._clock.monotonic() + left_s
        answer: asyncio.Future[Reconciliation] = asyncio.get_running_loop().create_future()
        question = _Question(doubt, poll_s, settles_s, answer, max(LAG_S, left_s))
        self._questions.append(question)
        self._asked.set()
        found = await question.answer
        if isinstance(found, Found):
            return await self._confirmed(doubt, found)
        if isinstance(found, NotYet):
            raise AssertionError("a question is never answered with `not yet`")
        return found

    async def serve(self) -> None:
        """Answer queries until cancelled; cancel it when the run is over."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._serve_all()

    async def _serve_all(self) -> None:
        while self._questions:
            wait_s = min(one.due_s for one in self._questions) - self._clock.monotonic()
            await self._drain.sleep(max(0.0, wait_s))
            if self._drain.begun:
                self._give_up(_ENDED)
                return
            try:
                with self._drain.cut():
                    await self._api_retry.answer(self._list_and_judge)
            except (LedgerUnusable, NoAnswer) as error:
                self._give_up(str(error))
                return

    async def _list_and_judge(self) -> None:
        """Read the list once for all waiting entries, and answer those that it decides."""
        self._emit(Reconciling(waiting_count=len(self._questions)))
        questions = list(self._questions)
        listing = await self._listing([one.doubt for one in questions])
        # Those that came while the list was read count, too.
        alike = Counter(self._twin_key(one) for one in self._questions)
        for question in questions:
            found: Reconciliation
            if alike[self._twin_key(question)] > 1:
                found = Undecided("another entry with the same name, size and purpose is in doubt too")
            else:
                found = await self._judged(question, listing)
            if isinstance(found, NotYet):
                polled_s = self._clock.monotonic() + question.poll_s
                is_settled = listing.began_s >= question.settles_s
                question.due_s = polled_s if is_settled else min(question.settles_s, polled_s)
            else:
                self._answer(question, found)

    async def _judged(self, question: _Question, listing: _Listing) -> Reconciliation:
        """Judge one doubt by a listing; absence only where the list shows what it must."""
        doubt = question.doubt
        files = list(listing.files)
        candidate_id = doubt.candidate_id
        if candidate_id is not None and candidate_id not in listing.ids:
            # Lists may lag, and an id that came with the answer may be looked up at once.
            try:
                candidate = await self._look_up(candidate_id)
            except NoAnswer as error:
                if not error.final:
                    raise
                return Undecided(str(error))
            files += [] if candidate is None else [candidate]
            listing.claims |= await self._owners.claims([candidate_id])
        suspected = suspects(doubt, files, clock_offset_s=listing.offset_s, habits=self._habits)
        theirs = await self._owners.theirs(doubt, suspected)
        rivals = await self._owners.rivals(doubt, suspected)
        disputed = await self._owners.disputed(doubt, suspected, listing.claims)
        found = judge(
            doubt,
            suspected,
            claimed_ids=listing.claims.keys() | theirs | rivals,
            settled=listing.began_s >= question.settles_s,
            clock_offset_s=listing.offset_s,
            disputed_ids=disputed | rivals,
            habits=self._habits,
        )
        return await self._unless_list_lacks(question, listing) if isinstance(found, Absent) else found

    async def _unless_list_lacks(self, question: _Question, listing: _Listing) -> Absent | NotYet | Undecided:
        """Believe absence unless the list lacks a file that the server had accepted before; such a list is read again
        until it must show that one, too."""
        lacking = self._habits.not_shown(
            listing.ids, since_utc_s=listing.since_utc_s, before_s=question.settles_s - LAG_S
        )
        for one in lacking[-1:]:
            if await self._look_up(one.file_id) is None:
                continue
            if listing.began_s < one.accepted_at_s + question.settle_s:
                return NotYet()
            return Undecided(
                f"the server's list does not show {one.file_id} either, which this run uploaded: it proves nothing"
            )
        return Absent()

    async def _listing(self, doubts: list[Doubt]) -> _Listing:
        """Read the list from the newest file back to before the oldest doubt.

        While the clock offset is unknown, or the list's times are wrong, it is read to its end.
        """
        kept = _Kept(doubts, self._habits)
        candidates = {one.candidate_id: one for one in doubts if one.candidate_id is not None}
        listing = _Listing(
            began_s=self._clock.monotonic(),
            since_utc_s=min(one.sent_at_utc_s for one in doubts),
            files=[],
            ids=set(),
            sample=[],
            offset_s=None,
        )
        seen: set[object] = set()
        pager = Pager(pages_max=LIST_PAGES_MAX)
        while True:
            with self._waits.on(Wait.SERVER):
                page = await self._files_api.list_page(limit=self._profile.list_page, offset=pager.offset)
            fresh = [one for one in page if _identity(one) not in seen]
            seen.update(map(_identity, fresh))
            listing.files.extend(one for one in fresh if kept.could_matter(one))
            listing.ids.update(one.file_id for one in fresh if one.has_id)
            listing.sample.extend(fresh[: SAMPLE_MAX - len(listing.sample)])
            # Computed again for each page: the first answer of a run shows how far the clocks are apart.
            offset_s = self._files_api.clock_offset_s
            self._habits.see_own(fresh, clock_offset_s=offset_s)
            for one in fresh:
                if (doubt := candidates.get(one.file_id)) is not None:
                    self._habits.see_candidate(one, name=doubt.sent_name, purpose=doubt.purpose)
            listing.offset_s = None if self._habits.shifts_times else offset_s
            not_before_s = window_start_utc_s(doubts, clock_offset_s=listing.offset_s)
            problem = pager.turn([one.file_id for one in page], fresh_count=len(fresh))
            if pager.at_end or (not_before_s is not None and is_before(page, not_before_s)):
                break
            if problem is not None:
                raise NoAnswer(problem)
        await self._learn(listing)
        return listing

    async def _learn(self, listing: _Listing) -> None:
        """Compare listed files with what this ledger has receipts for."""
        known = {one.file_id: one for one in (*listing.files, *listing.sample) if one.has_id}
        listing.claims = await self._owners.claims(known)
        for file_id, claim in listing.claims.items():
            self._habits.see_listed(
                known[file_id], name=claim.sent_name, purpose=claim.purpose, file_bytes=claim.file_bytes
            )

    async def _confirmed(self, doubt: Doubt, found: Found) -> Found | Undecided:
        """Look a listed file up before it is believed: lists may be stale."""
        file_id = found.file.file_id
        with self._drain.cut():
            try:
                file = await self._api_retry.answer(partial(self._look_up, file_id))
                if file is None or not as_shown(doubt, found, file):
                    return Undecided(f"{file_id} is in the server's list but a look-up disagrees")
                if found.is_guess and not self._habits.are_proven(found.altered):
                    return await self._compared(doubt, found)
            except NoAnswer as error:
                return Undecided(str(error))
            return Found(file, found.altered)
        return Undecided(_ENDED)

    async def _compared(self, doubt: Doubt, found: Found) -> Found | Undecided:
        """Read a file back that is ours only if its content is. Raises NoAnswer."""
        file_id = found.file.file_id
        sent = await self._ledger.run(lambda store: sent_sha256(store.connection, doubt.attempt_id))
        stored: str | None = None
        if sent is not None:
            try:
                stored = await self._api_retry.answer(partial(self._files_api.sha256_of, file_id))
            except NoAnswer as error:
                if not error.final:
                    raise
        if stored is None:
            return unproven(doubt, found)
        if stored != sent:
            return Undecided(f"{file_id} may be it, but its content is not what was sent")
        self._habits.prove(found.altered)
        return Found(found.file, found.altered)

    async def _look_up(self, file_id: str) -> ListedFile | None:
        with self._waits.on(Wait.SERVER):
            return await self._files_api.look_up(file_id)

    def _twin_key(self, question: _Question) -> TwinKey:
        """Return what distinguishes a doubt in this server's list."""
        doubt = question.doubt
        name = twin_form(doubt.sent_name) if self._habits.respells_names else doubt.sent_name
        return TwinKey(name, doubt.file_bytes, doubt.purpose)

    def _answer(self, question: _Question, found: Reconciliation) -> None:
        self._questions.remove(question)
        if not question.answer.done():
            question.answer.set_result(found)

    def _give_up(self, reason: str) -> None:
        for question in list(self._questions):
            self._answer(question, Undecided(reason))


class _Kept:
    """Which files of a list could matter to some doubts: asked of every file, so it only looks names up."""

    def __init__(self, doubts: Iterable[Doubt], habits: ServerHabits) -> None:
        self._names = {one.sent_name for one in doubts} | {None}
        self._forms = {twin_form(one.sent_name) for one in doubts}
        self._candidates = {one.candidate_id for one in doubts}
        self._sizes = {one.file_bytes for one in doubts} | {None}
        self._habits = habits

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
