"""Looks attempts in doubt up in the server's list: one listing serves all waiting entries."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.api.paging import Pager
from bulk_upload.core.api.server_clock import UNKNOWN, ClockOffset
from bulk_upload.core.clock import Moment, moment
from bulk_upload.core.events import Reconciling
from bulk_upload.core.run.reconcile import (
    Absent,
    Found,
    NotYet,
    Undecided,
    is_before,
    judge,
    matches,
    suspects,
    window_start_utc_s,
)
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.limits.twins import TwinKey
from bulk_upload.engine.waits import Wait, Waits
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.model import ListedFile
    from bulk_upload.core.run.ports import FilesApi, Ledger
    from bulk_upload.core.run.reconcile import Doubt, Reconciliation
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain

LIST_PAGES_MAX = 1000
OTHERS_MAX = 200
"""Files of other names that are kept of a list: enough to notice another job at work."""

_ENDED = "the run ended before the server's list could decide it"


class _Question(msgspec.Struct):
    """A doubt that waits. `settles_s` and `due_s` are monotonic: a wall clock that is set changes no wait."""

    doubt: Doubt
    poll_s: float
    settles_s: float
    answer: asyncio.Future[Reconciliation]
    ruled_out: frozenset[str] = frozenset()
    due_s: float = 0.0


class Reconciler:
    """Resolves attempts in doubt from the server's list. It holds no slot.

    `api_retry` repeats questions that get no answer, and listings that cannot be used.
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
        self._compared: list[Doubt] = []
        self.others: list[ListedFile] = []
        """Files of other names in the latest list, the newest first: what else is stored at this time."""

    def settles_s(self, doubt: Doubt) -> float:
        """Return when absence may be believed, by the monotonic clock."""
        return self._clock.monotonic() + doubt.left_s(utc_s=self._clock.utc_s(), clock_offset_s=None)

    @contextmanager
    def comparing(self, doubt: Doubt) -> Iterator[None]:
        """Count a doubt as open while its candidates are compared: its look-alikes are not decided without it."""
        self._compared.append(doubt)
        try:
            yield
        finally:
            self._compared.remove(doubt)

    async def resolve(
        self, doubt: Doubt, *, ruled_out: frozenset[str] = frozenset(), settles_s: float | None = None
    ) -> Found | Absent | Undecided:
        """Return what the server's list says about a doubt, once it can be believed.

        `ruled_out` are ids of files that have other content; `settles_s` is what the method of that name returned when
        the doubt was new.
        """
        if not (self._profile.can_list and self._profile.keeps_names):
            return Undecided(f"a {self._profile.name} server's list cannot decide this")
        if self._drain.begun:
            return Undecided(_ENDED)
        # Several listings before absence is believed: the list may lag.
        settles_s = self.settles_s(doubt) if settles_s is None else settles_s
        poll_s = min(10.0, max(0.5, (settles_s - self._clock.monotonic()) / 4))
        question = _Question(doubt, poll_s, settles_s, asyncio.get_running_loop().create_future(), ruled_out)
        self._questions.append(question)
        self._asked.set()
        found = await question.answer
        if isinstance(found, Found):
            return await self._confirmed(doubt, [found.file]) or found
        if isinstance(found, Undecided) and found.alike:
            return await self._confirmed(doubt, found.alike) or found
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
        listed_at_s = self._clock.monotonic()
        listing, offsets = await self._listing([one.doubt for one in questions])
        self._note_time(questions, listed_at_s)
        suspected = {
            one.doubt.attempt_id: suspects(
                one.doubt, listing, clock_offset_s=offsets[one.doubt.attempt_id].least_s
            )
            for one in questions
        }
        ids = {file.file_id for files in suspected.values() for file in files}
        claimed = await self._claimed(ids)
        # Those that came while the list was read count, too.
        open_doubts = {
            one.attempt_id: one for one in (*self._compared, *(one.doubt for one in self._questions))
        }
        alike = Counter(_twin_key(one) for one in open_doubts.values())
        for question in questions:
            found: Reconciliation
            offset = offsets[question.doubt.attempt_id]
            settled = listed_at_s >= question.settles_s
            if alike[_twin_key(question.doubt)] > 1:
                found = Undecided("another entry with the same name, size and purpose is in doubt too")
            else:
                found = judge(
                    question.doubt,
                    suspected[question.doubt.attempt_id],
                    claimed_ids=claimed | question.ruled_out,
                    settled=settled,
                    clock_offset_s=offset.best_s,
                )
                if isinstance(found, Undecided) and question.doubt.began_at is not None and not settled:
                    # What is accepted until then may show the server's time.
                    found = found if offset.exact_s is not None else NotYet()
            if isinstance(found, NotYet):
                settles_s = max(question.settles_s, listed_at_s + 0.05)
                question.due_s = min(settles_s, self._clock.monotonic() + question.poll_s)
            else:
                self._answer(question, found)

    async def _claimed(self, file_ids: Collection[str]) -> set[str]:
        if not file_ids:
            return set()
        wanted = sorted(file_ids)
        return await self._ledger.run(lambda store: store.claimed(wanted))

    def _note_time(self, questions: list[_Question], listed_at_s: float) -> None:
        """Shorten waits for attempts of earlier runs, once the server's time shows how long ago they were."""
        now = moment(self._clock)
        offset = self._files_api.clock_offset(now)
        utc_s = now.utc_s - (now.monotonic_s - listed_at_s)
        for one in questions:
            if one.doubt.began_at is None and one.doubt.settle_s is not None:
                left_s = one.doubt.left_s(utc_s=utc_s, clock_offset_s=offset.least_s)
                one.settles_s = min(one.settles_s, listed_at_s + left_s)

    async def _listing(self, doubts: list[Doubt]) -> tuple[list[ListedFile], dict[int, ClockOffset]]:
        """Return the listed files that could matter, from the newest back to before the oldest doubt.

        Also return the clock offset of each attempt that decided how far that is: the files must be judged with the
        same one. While one of them is unknown the list is read to its end.
        """
        names = {one.sent_name for one in doubts} | {None}
        candidates = {one.candidate_id for one in doubts}
        kept: list[ListedFile] = []
        others: list[ListedFile] = []
        seen: set[str] = set()
        pager = Pager(pages_max=LIST_PAGES_MAX)
        while True:
            with self._waits.on(Wait.SERVER):
                page = await self._files_api.list_page(limit=self._profile.list_page, offset=pager.offset)
            fresh = [one for one in page if one.file_id not in seen]
            seen.update(one.file_id for one in fresh)
            for one in fresh:
                if one.filename in names or one.file_id in candidates:
                    kept.append(one)
                elif len(others) < OTHERS_MAX:
                    others.append(one)
            # Computed again for each page: the first answer of a run shows how far the clocks are apart.
            offsets = {one.attempt_id: clock_offset_of(one, self._files_api) for one in doubts}
            starts = [
                window_start_utc_s([one], clock_offset_s=offsets[one.attempt_id].least_s) for one in doubts
            ]
            not_before_s = None if None in starts else min(one for one in starts if one is not None)
            problem = pager.turn([one.file_id for one in page], fresh_count=len(fresh))
            if pager.at_end or (not_before_s is not None and is_before(page, not_before_s)):
                self.others = others
                return kept, offsets
            if problem is not None:
                raise NoAnswer(problem)

    async def _confirmed(self, doubt: Doubt, files: Sequence[ListedFile]) -> Found | Undecided | None:
        """Look listed files up before they are believed: lists may be stale. Return the one as it was looked up, None
        where several are as listed."""
        with self._drain.cut():
            for one in files:
                try:
                    file = await self._api_retry.answer(partial(self._look_up, one.file_id))
                except NoAnswer as error:
                    return Undecided(str(error))
                if file is None or not matches(doubt, file):
                    return Undecided(f"{one.file_id} is in the server's list but a look-up disagrees")
                if len(files) == 1:
                    return Found(file)
            return None
        return Undecided(_ENDED)

    async def _look_up(self, file_id: str) -> ListedFile | None:
        with self._waits.on(Wait.SERVER):
            return await self._files_api.look_up(file_id)

    def _answer(self, question: _Question, found: Reconciliation) -> None:
        self._questions.remove(question)
        if not question.answer.done():
            question.answer.set_result(found)

    def _give_up(self, reason: str) -> None:
        for question in list(self._questions):
            self._answer(question, Undecided(reason))


def _twin_key(doubt: Doubt) -> TwinKey:
    return TwinKey(doubt.sent_name, doubt.file_bytes, doubt.purpose)


def clock_offset_of(doubt: Doubt, files_api: FilesApi) -> ClockOffset:
    """Return the server's clock minus ours at the time of an attempt."""
    if doubt.clock_offset_s is not None:
        return ClockOffset(best_s=doubt.clock_offset_s, least_s=doubt.clock_offset_s)
    if doubt.began_at is None:
        return UNKNOWN
    return files_api.clock_offset(Moment(utc_s=doubt.sent_at_utc_s, monotonic_s=doubt.began_at))
