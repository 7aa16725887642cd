"""Reads files back from the server, to see whether one in its list is what an attempt in doubt sent."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.content_hash import (
    NOT_INSTALLED,
    SHA256_ONLY,
    HashFunction,
    function_of,
    functions_of,
    usable,
)
from bulk_upload.core.doubt.adoption import (
    CANDIDATES_MAX,
    Adopt,
    Compared,
    Doubtful,
    RuledOut,
    Sameness,
    decide,
    equal_elsewhere,
    made_during,
    made_nearby,
    needs_own_file,
    sameness_of,
    unfaithful,
)
from bulk_upload.core.doubt.content import ByteRange, ComparedBy, ReadBack, ranges_to_compare
from bulk_upload.core.events import ContentCompared
from bulk_upload.core.run.reconcile import altered_in_file
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.ledger import own_files, second_copies_seen, sent_content
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.doubt.listing import clock_offset_of
from bulk_upload.engine.doubt.reading_twice import Look, look_twice
from bulk_upload.engine.waits import Wait, Waits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.events import Event
    from bulk_upload.core.model import Altered, Fingerprint, ListedFile
    from bulk_upload.core.run.ports import ContentApi, Ledger
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.edge.ledger import LedgerStore, SentContent
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain

COMPARED_AT_ONCE_MAX = 2
"""How many entries have candidates read back at once: downloads must not take the line from uploads."""

STRANGERS_MAX = 3
"""How many copies of another job are read back to see whether it sends the same bytes."""

ENDED = "the run ended before the server's file could be compared"


class Files(Protocol):
    """Hashes the files of a job."""

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""


class Comparer:
    """Compares listed files with what was sent. Holds no slot; `--bandwidth` does not limit what is read back.

    Args:
        files_api: returns contents.
        api_retry: repeats requests; a Retry-After holds all of them back.
        files: hashes what was sent where the ledger has no hash, and its ranges.
        compare_max_bytes: larger files are compared by ranges.
        emit: takes an event for each file that was compared.
        habits: what the run learns of the server; an equal content proves how it writes names and purposes.
    """

    def __init__(
        self,
        *,
        files_api: ContentApi,
        api_retry: ApiRetry,
        files: Files,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        emit: Callable[[Event], None],
        compare_max_bytes: int,
        waits: Waits | None = None,
        habits: ServerHabits | None = None,
    ) -> None:
        self._files_api = files_api
        self._api_retry = api_retry
        self._files = files
        self._ledger = ledger
        self._drain = drain
        self._emit = emit
        self._compare_max_bytes = compare_max_bytes
        self._waits = waits or Waits()
        self._habits = habits or ServerHabits()
        self._turns = asyncio.Semaphore(COMPARED_AT_ONCE_MAX)
        self._is_faithful: bool | None = None
        self._equal_stranger: tuple[ListedFile, str] | None = None

    async def sent(self, doubt: Doubt) -> SentContent:
        """Return what an attempt sent, as the ledger has it."""
        return await self._ledger.run(partial(sent_content, attempt_id=doubt.attempt_id))

    async def compare(
        self,
        doubt: Doubt,
        sent: SentContent,
        candidates: Sequence[ListedFile],
        *,
        candidate_is_older: bool = False,
    ) -> Adopt | RuledOut | Doubtful:
        """Return what the contents of all candidates say; `decide` explains `candidate_is_older`."""
        if len(candidates) > CANDIDATES_MAX:
            return Doubtful(f"{len(candidates)} files on the server match, too many to compare")
        with self._drain.cut():
            async with self._turns:
                compared = [await self._compared(doubt, sent, one) for one in candidates]
                is_faithful = await self._faithful() if needs_own_file(compared) else None
                return decide(
                    compared,
                    candidate_id=doubt.candidate_id,
                    is_faithful=is_faithful,
                    candidate_is_older=candidate_is_older,
                )
        return Doubtful(ENDED)

    async def compare_one(self, doubt: Doubt, file: ListedFile) -> Compared:
        """Compare a file that a person names; what differs is evidence only if the server returns contents as sent."""
        compared = await self._compared(doubt, await self.sent(doubt), file)
        if compared.sameness is Sameness.OTHER and await self._faithful() is False:
            return unfaithful(compared)
        return compared

    async def alone(
        self, sent: SentContent, adopted: Adopt, others: Sequence[ListedFile]
    ) -> Adopt | Doubtful:
        """Return the adoption unless another job was seen to send the same bytes as this one at this time.

        One match may then be its copy, with ours not stored. `others` are further files of the list, newest first.
        """
        attempt_s = sent.ended_utc_s - sent.began_utc_s
        if self._equal_stranger is None:
            own_id = adopted.file.file_id
            nearby = [
                one
                for one in others
                if one.file_id != own_id and made_nearby(one, adopted.file, attempt_s=attempt_s)
            ]
            with self._drain.cut():
                async with self._turns:
                    self._equal_stranger = await self._find_equal_stranger(nearby)
        if self._drain.begun:
            return Doubtful(ENDED)
        return adopted if self._equal_stranger is None else equal_elsewhere(adopted, *self._equal_stranger)

    def prove(self, doubt: Doubt, adopted: Adopt) -> tuple[Altered, ...]:
        """Return what the server shows of an adopted file otherwise than it was sent.

        An equal content proves that to be its habit. Call it for a file that is not another job's.
        """
        altered = altered_in_file(doubt, adopted.file)
        if adopted.by is not ComparedBy.NONE:
            self._habits.prove(altered)
        return altered

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return a file of the server, None where it does not know it. Raises NoAnswer."""

        async def once() -> ListedFile | None:
            with self._waits.on(Wait.SERVER):
                return await self._files_api.look_up(file_id)

        return await self._api_retry.answer(once)

    async def sameness(self, attempt_id: int, file: ListedFile) -> Sameness:
        """Return how a file's content compares with what an attempt sent. Raises NoAnswer."""
        sent = await self._ledger.run(partial(sent_content, attempt_id=attempt_id))
        try:
            async with self._turns:
                sameness, back = await look_twice(partial(self._look, sent, file))
        except SourceError:
            return Sameness.UNKNOWN
        self._tell(sent.path, file.file_id, sameness, back)
        return sameness

    async def _compared(self, doubt: Doubt, sent: SentContent, file: ListedFile) -> Compared:
        altered = altered_in_file(doubt, file)
        unproven = () if self._habits.are_proven(altered) else altered
        try:
            sameness, back = await look_twice(partial(self._look, sent, file))
        except SourceError as error:
            lacks = "no hash of what was sent is known" if sent.content_hash is None else NOT_INSTALLED
            reason = f"its content cannot be compared: {error.reason}, and {lacks}"
            return Compared(file=file, sameness=Sameness.UNKNOWN, reason=reason)
        except NoAnswer as error:
            if not error.final or error.http_status == 401 or error.remedy is not None:
                reason = f"its content cannot be compared now: {error}"
                return Compared(file=file, sameness=Sameness.UNKNOWN, reason=reason)
            sameness, back = Sameness.UNREADABLE, ReadBack(read_bytes=0, reason=str(error))
        by = self._tell(sent.path, file.file_id, sameness, back)
        in_time = made_during(
            file,
            began_utc_s=sent.began_utc_s,
            ended_utc_s=sent.ended_utc_s,
            clock_offset_s=self._clock_offset_s(doubt),
        )
        unlike_listed = (
            file.bytes is not None
            and back.total_bytes not in (None, file.bytes)
            and not self._habits.alters_sizes
        )
        return Compared(
            file=file,
            sameness=sameness,
            by=by,
            reason=back.reason,
            in_time=in_time,
            unproven=unproven,
            unlike_listed=unlike_listed,
        )

    def _tell(self, path: str, file_id: str, sameness: Sameness, back: ReadBack) -> ComparedBy:
        """Emit the event of a comparison; return how it was made."""
        by, same = ComparedBy.NONE, None
        if sameness in (Sameness.SAME, Sameness.OTHER):
            by = ComparedBy.RANGES if back.by_ranges else ComparedBy.WHOLE
            same = sameness is Sameness.SAME
        self._emit(ContentCompared(path=path, file_id=file_id, same=same, by=by, read_bytes=back.read_bytes))
        return by

    def _clock_offset_s(self, doubt: Doubt) -> float | None:
        """Return the server's clock minus ours at an attempt, or now where nothing shows how it was then.

        If our clock was set in between, the times do not fit, and the entry stays in doubt.
        """
        then_s = clock_offset_of(doubt, self._files_api).best_s
        return self._files_api.clock_offset_s if then_s is None else then_s

    async def _look(self, sent: SentContent, file: ListedFile) -> Look:
        """Read a file back and compare it. Raises SourceError and NoAnswer."""
        size, known = sent.fingerprint.size, usable(sent.content_hash)
        function = HashFunction.SHA256 if known is None else function_of(known)
        ranges = ranges_to_compare(
            size, compare_max_bytes=self._compare_max_bytes, seed=sent.content_hash or file.file_id
        )
        ours: str | None = None
        if ranges or known is None:
            try:
                ours, _ = await self._files.hash_content(
                    sent.path, function, expected=sent.fingerprint, ranges=ranges
                )
            except SourceError as error:
                if known is None:
                    return Sameness.UNREADABLE, await self._not_returned(sent, file, error)
                ranges = ()
        if not ranges:
            ours = known or ours
        back = await self._read_back(file.file_id, file_bytes=size, ranges=ranges, functions=(function,))
        if ranges and back.hashes and not back.by_ranges:
            ours = known
            if ours is None:
                ours, _ = await self._files.hash_content(sent.path, function, expected=sent.fingerprint)
        return sameness_of(back, file_bytes=size, content_hash=ours or ""), back

    async def _not_returned(self, sent: SentContent, file: ListedFile, error: SourceError) -> ReadBack:
        """Return that the server returns no content, so that nothing is missing to compare it with.

        Raises `error` where it returns some, and NoAnswer.
        """
        size = sent.fingerprint.size
        back = await self._read_back(file.file_id, file_bytes=size, ranges=(ByteRange(0, 1),))
        if sameness_of(back, file_bytes=size, content_hash="") is not Sameness.UNREADABLE:
            raise error
        return back

    async def _read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        async def once() -> ReadBack:
            with self._waits.on(Wait.SERVER):
                return await self._files_api.read_back(
                    file_id, file_bytes=file_bytes, ranges=ranges, functions=functions
                )

        return await self._api_retry.answer(once)

    async def _look_at(self, file_id: str, file_bytes: int, content_hash: str) -> Look:
        """Read a file back whole and compare it with a hash. Raises NoAnswer."""

        async def look() -> Look:
            back = await self._read_back(
                file_id, file_bytes=file_bytes, functions=functions_of([content_hash])
            )
            return sameness_of(back, file_bytes=file_bytes, content_hash=content_hash), back

        return await look_twice(look)

    async def _faithful(self) -> bool | None:
        """Whether the server returns files as they were sent, by one of our own; None where none says so."""
        if self._is_faithful:
            return True
        seen = []
        for one in await self._ledger.run(own_files):
            if usable(one.content_hash) is None:
                continue
            try:
                sameness, back = await self._look_at(one.file_id, one.file_bytes, one.content_hash)
            except NoAnswer:
                continue
            self._tell(one.path, one.file_id, sameness, back)
            if sameness is Sameness.SAME:
                self._is_faithful = True
                return True
            seen.append(sameness)
        # A file that is gone, or was never ours, shows nothing about the server.
        return False if seen and all(one is Sameness.OTHER for one in seen) else None

    async def _find_equal_stranger(self, others: Sequence[ListedFile]) -> tuple[ListedFile, str] | None:
        """Return a copy of one of our files that another job made, with its name; None where there is none."""
        step = partial(second_copies_seen, files=others, respelt=self._habits.respells)
        copies = await self._ledger.run(step)
        copies.sort(key=lambda one: one.file_bytes)
        for one in copies[:STRANGERS_MAX]:
            sent_hash = usable(one.content_hash)
            if sent_hash is None or one.file_bytes > self._compare_max_bytes:
                continue
            try:
                sameness, back = await self._look_at(one.file.file_id, one.file_bytes, sent_hash)
            except NoAnswer:
                return one.file, one.path
            self._tell(one.path, one.file.file_id, sameness, back)
            if sameness is not Sameness.OTHER:
                return one.file, one.path
        return None
