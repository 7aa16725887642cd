"""Looks attempts in doubt up in the server's list: one listing serves all waiting entries."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.clock import moment
from bulk_upload.core.events import Reconciling
from bulk_upload.core.run.reconcile import (
    Absent,
    Found,
    NotYet,
    Undecided,
    as_shown,
    judge,
    matches,
    suspects,
    unproven_absence,
)
from bulk_upload.core.text.name_forms import twin_form
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.evidence import LAG_S, Evidence
from bulk_upload.engine.doubt.listing import Listing, read_list, should_show
from bulk_upload.engine.doubt.owners import Owners
from bulk_upload.engine.limits.twins import TwinKey
from bulk_upload.engine.waits import Wait, Waits
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import FilesApi, Ledger
    from bulk_upload.core.run.reconcile import Doubt, Reconciliation
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain

_ENDED = "the run ended before the server's list could decide it"


class _Question(msgspec.Struct):
    """A doubt that waits. `settles_s` and `due_s` are monotonic: a wall clock that is set changes no wait."""

    doubt: Doubt
    poll_s: float
    settles_s: float
    answer: asyncio.Future[Reconciliation]
    settle_s: float
    ruled_out: frozenset[str] = frozenset()
    due_s: float = 0.0


class _Rival(msgspec.Struct, frozen=True):
    """Another open doubt that may be about a file which could be that of this one; `is_exact` if it sent just that."""

    file_id: str
    attempt_id: int
    is_exact: bool


class Reconciler:
    """Resolves attempts in doubt from the server's list. It holds no slot.

    `api_retry` repeats questions that get no answer, and listings that cannot be used. `habits` is what the run learns
    of the server from its answers. `on_withdrawn` is called with each receipt that was taken back: its entry is in doubt.
    `may_send` says whether the run has something to send that does not wait for another entry; None where nothing is sent.
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
        on_withdrawn: Callable[[HeldReceipt], None] = lambda _: None,
        may_send: Callable[[], bool] | None = None,
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
        self.habits = habits or ServerHabits(profile.purposes)
        self.owners = Owners(
            ledger=ledger, clock=clock, emit=emit, habits=self.habits, on_withdrawn=on_withdrawn
        )
        self.evidence = Evidence(
            files_api=files_api, habits=self.habits, clock=clock, drain=drain, may_send=may_send
        )
        self.others: list[ListedFile] = []
        """Files of other names in the latest list, the newest first: what else is stored at this time."""

    def settles_s(self, doubt: Doubt) -> float:
        """Return when absence may be believed, by the monotonic clock."""
        return self._clock.monotonic() + doubt.left_s(utc_s=self._clock.utc_s(), clock_offset_s=None)

    async def resolve(
        self, doubt: Doubt, *, ruled_out: frozenset[str] = frozenset(), settles_s: float | None = None
    ) -> Found | Absent | Undecided:
        """Return what the server's list says about a doubt, once it can be believed.

        `ruled_out` are ids of files that have other content; `settles_s` is what the method of that name returned when
        the doubt was new.
        """
        if not self._profile.list_decides:
            return Undecided(f"by the profile {self._profile.name} the server's list cannot decide this")
        if self._drain.begun:
            return Undecided(_ENDED)
        # Several listings before absence is believed: the list may lag.
        settles_s = self.settles_s(doubt) if settles_s is None else settles_s
        poll_s = min(10.0, max(0.5, (settles_s - self._clock.monotonic()) / 4))
        answer: asyncio.Future[Reconciliation] = asyncio.get_running_loop().create_future()
        settle_s = max(LAG_S, settles_s - self._clock.monotonic())
        question = _Question(doubt, poll_s, settles_s, answer, settle_s, ruled_out)
        self._questions.append(question)
        self._asked.set()
        found = await question.answer
        if isinstance(found, Found):
            return await self._confirmed(found, [found.file])
        if isinstance(found, Undecided) and found.alike:
            return await self._confirmed(found, found.alike)
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
        questions = list(self._questions)
        wait_max_s = max(one.settles_s for one in questions) - self._clock.monotonic()
        self._emit(Reconciling(waiting_count=len(questions), wait_max_s=max(0.0, wait_max_s)))
        listing = await read_list(
            [one.doubt for one in questions],
            files_api=self._files_api,
            profile=self._profile,
            clock=self._clock,
            habits=self.habits,
            waits=self._waits,
        )
        self.others = listing.others
        await self._learn(listing)
        await self._learn_names((one.doubt for one in questions), listing)
        self._note_time(questions, listing.began_s)
        judged = [(one, await self._judged(one, listing)) for one in questions]
        # Those that came meanwhile count, too.
        open_doubts = {
            one.attempt_id: one for one in (*self.evidence.open, *(one.doubt for one in self._questions))
        }
        twins: dict[TwinKey, list[int]] = {}
        for one in open_doubts.values():
            twins.setdefault(self._twin_key(one), []).append(one.attempt_id)
        differ = {
            key: await self.owners.sent_other_contents(ids) for key, ids in twins.items() if len(ids) > 1
        }
        contested: list[tuple[_Question, list[_Rival]]] = []
        for question, by_list in judged:
            rivals = self._rivals(question.doubt, by_list, open_doubts.values())
            key = self._twin_key(question.doubt)
            if key in differ:
                self._answer_or_wait(question, _unless_twins(by_list, differ=differ[key]), listing)
            elif rivals:
                contested.append((question, rivals))
            else:
                self._answer_or_wait(question, by_list, listing)
        # After the others: one that was just answered may turn out to own what is contested.
        for question, rivals in contested:
            self._answer_or_wait(question, self._unless_anothers(question, rivals, listing), listing)

    def _answer_or_wait(self, question: _Question, found: Reconciliation, listing: Listing) -> None:
        if isinstance(found, NotYet):
            polled_s = self._clock.monotonic() + question.poll_s
            settled = listing.began_s >= question.settles_s
            question.due_s = polled_s if settled else min(question.settles_s, polled_s)
        else:
            self._answer(question, found)

    async def _judged(self, question: _Question, listing: Listing) -> Reconciliation:
        """Judge one doubt by a listing; absence only where the list shows what it must."""
        doubt, offset = question.doubt, listing.offsets[question.doubt.attempt_id]
        settled = listing.began_s >= question.settles_s
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
            listing.claims |= await self.owners.claims([candidate_id])
        suspected = suspects(doubt, files, clock_offset_s=offset.least_s, habits=self.habits)
        theirs = await self.owners.theirs(doubt, suspected)
        rivals = await self.owners.rivals(doubt, suspected)
        own = await self.owners.own(doubt)
        disputed = await self.owners.disputed(doubt, suspected, listing.claims) - own
        found = judge(
            doubt,
            suspected,
            claimed_ids=(listing.claims.keys() - own) | theirs | rivals | question.ruled_out,
            settled=settled,
            clock_offset_s=self.evidence.matching_offset_s(doubt, offset),
            disputed_ids=disputed | rivals,
            habits=self.habits,
        )
        if isinstance(found, Absent):
            unproven = unproven_absence(self._profile, page_count=listing.page_count)
            return unproven or await self._unless_list_lacks(question, listing)
        may_get_clear = doubt.began_at is not None and (
            candidate_id is None or candidate_id in listing.claims
        )
        if isinstance(found, Undecided) and may_get_clear and not settled and offset.exact_s is None:
            # What is accepted until then may show the server's time.
            return NotYet()
        if isinstance(found, Undecided) and found.by_time:
            return replace(found, by_time=self.evidence.lacks_time(doubt))
        return found

    def _rivals(self, doubt: Doubt, found: Reconciliation, open_doubts: Iterable[Doubt]) -> list[_Rival]:
        """Return the other open doubts that may be about a file which was found in another form than this one sent."""
        files = [found.file] if isinstance(found, Found) else getattr(found, "alike", ())
        guesses = [one for one in files if not matches(doubt, one) and one.file_id != doubt.candidate_id]
        return [
            _Rival(one.file_id, other.attempt_id, is_exact=matches(other, one))
            for one in guesses
            for other in open_doubts
            if other.attempt_id != doubt.attempt_id and self.owners.could_be(one, other)
        ]

    def _unless_anothers(
        self, question: _Question, rivals: list[_Rival], listing: Listing
    ) -> NotYet | Undecided:
        """Wait for a rival that sent just this file, unless both have waited as long as they may."""
        waiting = {one.doubt.attempt_id: one for one in self._questions}
        reason = f"{rivals[0].file_id} may be that of another entry in doubt, too"
        for rival in rivals:
            if rival.is_exact and self.evidence.is_awaited(rival.attempt_id):
                return Undecided(reason, by_time=True)
            other = waiting.get(rival.attempt_id)
            settles_s = question.settles_s if other is None else max(question.settles_s, other.settles_s)
            if rival.is_exact and (other is None or settles_s > listing.began_s):
                return NotYet()
        return Undecided(reason)

    async def _unless_list_lacks(self, question: _Question, listing: Listing) -> Absent | NotYet | Undecided:
        """Believe absence unless the list lacks a file that the server had accepted before; such a list is read again
        until it must show that one, too."""
        lacking = self.habits.not_shown(
            listing.ids,
            should_show=partial(should_show, listing, files_api=self._files_api),
            before_s=question.settles_s - LAG_S,
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

    async def _learn(self, listing: Listing) -> None:
        """Compare listed files with what this ledger has receipts for."""
        known = {one.file_id: one for one in (*listing.files, *listing.sample) if one.has_id}
        listing.claims = await self.owners.claims(known)
        for file_id, claim in listing.claims.items():
            self.habits.see_listed(
                known[file_id], name=claim.sent_name, purpose=claim.purpose, file_bytes=claim.file_bytes
            )

    async def _learn_names(self, doubts: Iterable[Doubt], listing: Listing) -> None:
        """Note candidates under names that no upload had: the server may give names of its own."""
        candidates = {one.candidate_id: one for one in doubts if one.candidate_id not in listing.claims}
        for file in listing.files:
            doubt = candidates.get(file.file_id) if file.has_id else None
            if doubt is None or self.habits.alters_names:
                continue
            if await self.owners.has_new_name(file, doubt):
                self.habits.see_unlike_candidate(file.file_id)

    def _note_time(self, questions: list[_Question], listed_at_s: float) -> None:
        """Shorten waits for attempts of earlier runs, once the server's time shows how long ago they were."""
        now = moment(self._clock)
        offset = self._files_api.clock_offset(now)
        utc_s = now.utc_s - (now.monotonic_s - listed_at_s)
        for one in questions:
            if one.doubt.began_at is None and one.doubt.settle_s is not None:
                left_s = one.doubt.left_s(utc_s=utc_s, clock_offset_s=offset.least_s)
                one.settles_s = min(one.settles_s, listed_at_s + left_s)

    async def _confirmed(self, found: Found | Undecided, files: Sequence[ListedFile]) -> Found | Undecided:
        """Look listed files up before they are believed: lists may be stale."""
        with self._drain.cut():
            for one in files:
                try:
                    file = await self._api_retry.answer(partial(self._look_up, one.file_id))
                except NoAnswer as error:
                    return Undecided(str(error))
                if file is None or not as_shown(one, file):
                    return Undecided(f"{one.file_id} is in the server's list but a look-up disagrees")
                if isinstance(found, Found):
                    return replace(found, file=file)
            return found
        return Undecided(_ENDED)

    async def _look_up(self, file_id: str) -> ListedFile | None:
        with self._waits.on(Wait.SERVER):
            return await self._files_api.look_up(file_id)

    def _twin_key(self, doubt: Doubt) -> TwinKey:
        """Return what distinguishes a doubt in this server's list."""
        name = twin_form(doubt.sent_name) if self.habits.respells_names else doubt.sent_name
        return TwinKey(name, doubt.file_bytes, doubt.purpose)

    def _answer(self, question: _Question, found: Reconciliation) -> None:
        self._questions.remove(question)
        if not question.answer.done():
            question.answer.set_result(found)

    def _give_up(self, reason: str) -> None:
        for question in list(self._questions):
            self._answer(question, Undecided(reason))


def _unless_twins(found: Reconciliation, *, differ: bool) -> Reconciliation:
    """Leave in doubt which of several entries a file is of that all may have sent, unless their contents `differ`: then an
    equal content decides."""
    reason = "another entry with the same name, size and purpose is in doubt too"
    if not differ:
        return Undecided(reason)
    if isinstance(found, Found | Undecided):
        files = (found.file,) if isinstance(found, Found) else found.alike
        by_time = isinstance(found, Undecided) and found.by_time
        return Undecided(reason, alike=files, has_vague=True, by_time=by_time)
    return found
