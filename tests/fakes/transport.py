"""The way from an engine to `FakeServer`: what `edge.transport.Transport` is, without sockets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bulk_upload.core.api.paging import ListedPage
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.responses import decipher, lost_answer
from bulk_upload.core.api.server_clock import ServerClock
from bulk_upload.core.bundle.answer import decipher_bundle, of_all
from bulk_upload.core.clock import moment
from bulk_upload.core.content_hash import SHA256_ONLY, HashFunction, hash_of
from bulk_upload.core.doubt.content import ReadBack
from bulk_upload.core.events import BodyNow
from bulk_upload.core.model import Accepted
from bulk_upload.core.run.sender import BundleReport, UploadReport
from bulk_upload.core.run.source import LoadedFile, SourceError, outcome_of
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.transport import NoAnswer
from tests.fakes.bundle_rules import BundleFate
from tests.fakes.bundles import receive_bundle
from tests.fakes.fates import EARLY, Fate
from tests.fakes.sending import FRAME_BYTES, EarlyEnd, Sending, ended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.api.paging import PageRequest
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.api.server_clock import ClockOffset
    from bulk_upload.core.bundle.answer import BundleAnswer
    from bulk_upload.core.clock import Clock, Moment
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import ListedFile, Outcome
    from bulk_upload.core.run.sender import BundleRequest, UploadRequest
    from bulk_upload.core.run.source import FileStream, Source
    from tests.fakes.server import Answer, FakeServer, Request

ANSWER_S = 60.0
"""How long an answer may take after the last byte left."""


class FakeTransport:
    """Sends to a `FakeServer`. `on_start` sees every request at the moment it begins.

    `pauses` has, for every answer that named a wait, the inode of the file and until when it asked to wait; `cancelled`
    the sent name of every request that was dropped with its task.
    """

    def __init__(
        self,
        server: FakeServer,
        clock: Clock,
        *,
        on_start: Callable[[Sending], None] | None = None,
        profile: Profile = FLOW,
    ) -> None:
        self._profile = profile
        self._server = server
        self._clock = clock
        self._on_start = on_start
        self._over_bytes = 0
        self._request_count = 0
        self.sending: list[Sending] = []
        self.pauses: list[tuple[int, float]] = []
        self.cancelled: list[str] = []
        self._server_clock = ServerClock()
        self.limit_s = 10 * ANSWER_S
        """How long a whole request may take."""

    @property
    def clock_offset_s(self) -> float | None:
        """The server's clock minus ours, None while that is unknown."""
        return self.clock_offset(moment(self._clock)).best_s

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Return the server's clock minus ours at a moment since the first request."""
        return self._server_clock.offset(then)

    def shows_its_clock(self) -> None:
        """Note a file of this run that the server has just made."""
        now = moment(self._clock)
        created_at = utc_text(self._server.utc_s())
        self._server_clock.note_accepted("file-own", created_at, began_s=now.monotonic_s, now=now)

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that have been handed over."""
        return sum(one.handed_bytes for one in self.sending)

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that were handed over."""
        return self._over_bytes + self.partial_bytes

    def bodies(self) -> list[BodyNow]:
        """Return the bodies in flight."""
        return [
            BodyNow(
                path=one.request.path,
                body_bytes=one.source.fingerprint.size + FRAME_BYTES,
                left_bytes=one.handed_bytes,
                waiting=False,
            )
            for one in self.sending
        ]

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived what an answer may take by `grace_s`."""
        now = self._clock.monotonic()
        return any(now - one.began_at < self.limit_s + grace_s for one in self.sending)

    def end_all(self, reason: str) -> None:
        """Give up every request in flight."""
        for one in list(self.sending):
            if one.given_up is None:
                one.given_up = reason
                one.scope.cancel()

    async def send(
        self,
        request: UploadRequest,
        source: Source,
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[UploadReport], None],
        pace: Pace | None = None,
    ) -> UploadReport:
        """Send one file and return what became of it."""
        self._request_count += 1
        sending = Sending(
            request, source, on_handed, self._clock.monotonic(), request_no=self._request_count, pace=pace
        )
        self._server_clock.note_ours(moment(self._clock))
        if self._on_start is not None:
            self._on_start(sending)
        self.sending.append(sending)
        begun = self._server.begin(request.sent_name)
        outcome: Outcome | None = None
        try:
            with sending.scope:
                outcome = await self._exchange(sending, begun)
        except asyncio.CancelledError:
            self.cancelled.append(request.sent_name)
            on_cancelled(UploadReport(outcome=ended(sending, "the run was cancelled"), sent=sending.sent))
            raise
        finally:
            self.sending.remove(sending)
            self._over_bytes += sending.handed_bytes
            self._server.end(begun, now=self._clock.monotonic())
        if outcome is None:
            outcome = ended(sending, sending.given_up or "the request was given up")
        return UploadReport(outcome=outcome, sent=sending.sent)

    async def send_bundle(
        self,
        request: BundleRequest,
        files: Sequence[LoadedFile],
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[BundleReport], None],
        pace: Pace | None = None,
    ) -> BundleReport:
        """Send several files and return what became of them."""
        self._request_count += 1
        began_at = self._clock.monotonic()
        bundle = [
            Sending(one, file, on_handed, began_at, request_no=self._request_count, pace=pace)
            for one, file in zip(request.members, files, strict=True)
        ]
        self._server_clock.note_ours(moment(self._clock))
        if self._on_start is not None:
            for one in bundle:
                self._on_start(one)
        self.sending += bundle
        scope = bundle[0].scope
        names = [one.sent_name for one in request.members]
        begun = self._server.begin_bundle(names)
        answer: BundleAnswer | None = None
        try:
            with scope:
                answer = await self._exchange_bundle(bundle, begun)
        except asyncio.CancelledError:
            sent = tuple(one.sent for one in bundle)
            on_cancelled(
                BundleReport(answer=of_all(ended(bundle[0], "the run was cancelled"), sent), sent=sent)
            )
            raise
        finally:
            for one in bundle:
                self.sending.remove(one)
                self._over_bytes += one.handed_bytes
            self._server.end(begun, now=self._clock.monotonic())
        sent = tuple(one.sent for one in bundle)
        if answer is None:
            answer = of_all(ended(bundle[0], bundle[0].given_up or "the request was given up"), sent)
        return BundleReport(answer=answer, sent=sent)

    async def _exchange_bundle(self, bundle: list[Sending], begun: Request) -> BundleAnswer:
        server = self._server
        await asyncio.sleep(begun.connect_s)
        fate = server.bundles.draw([one.request.sent_name for one in bundle], begun.chance)
        if fate is BundleFate.LOSE_BODY:
            bundle[0].on_handed(1)
            sent = tuple(one.sent for one in bundle)
            return of_all(lost_answer(sent[0], "the connection was lost", connection_lost=True), sent)
        for one in bundle:
            await one.wait_for_pace(one.source.fingerprint.size, last=True)
        # Complete as one: a body is not complete for some of its files.
        count = sum(one.hand_over(one.source.fingerprint.size, last=True) for one in bundle)
        await self._pass(count)
        sent = tuple(one.sent for one in bundle)
        try:
            answer = await receive_bundle(server, fate, sent, begun.chance)
        except ConnectionResetError:
            return of_all(lost_answer(sent[0], "the connection was lost"), sent)
        self._note_clock()
        if "retry-after" in answer.headers:
            until = self._clock.monotonic() + float(answer.headers["retry-after"])
            self.pauses += [(one.source.fingerprint.inode, until) for one in bundle]
        return decipher_bundle(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            sent=sent,
            now_utc_s=self._clock.utc_s(),
            profile=self._profile,
        )

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return one page of the server's list. Raises NoAnswer."""
        page = await self._server.list_page(limit=request.limit, offset=request.offset)
        if page is None:
            raise NoAnswer("the server's list gave no usable answer (HTTP 500)")
        self._note_clock()
        self._server_clock.note_listed(page)
        return ListedPage(page)

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of what the server has for an id. Raises NoAnswer."""
        files = await self._server.look_up(file_id)
        if files is None:
            raise NoAnswer(f"reading {file_id} back gave no usable answer (HTTP 500)", http_status=500)
        return self._server.hashes_of(file_id, functions) if files else ()

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hashes of what the server has for an id. Raises NoAnswer."""
        if await self._server.look_up(file_id) is None:
            raise NoAnswer(f"reading {file_id} back gave no usable answer (HTTP 500)", http_status=500)
        content = self._server.content_at(file_id)
        if content is None:
            return ReadBack(read_bytes=0, reason="the server returns no content, HTTP 404")
        by_ranges = bool(ranges) and self._server.settings.serves_ranges and len(content) == file_bytes
        if by_ranges:
            content = b"".join(content[one.start : one.start + one.length] for one in ranges)
        await asyncio.sleep(len(content) / self._server.settings.bytes_per_s)
        return ReadBack(
            hashes=tuple(hash_of(content, one) for one in functions),
            read_bytes=len(content),
            by_ranges=by_ranges,
            total_bytes=None if by_ranges else len(content),
        )

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file by its id, None where the server does not know it. Raises NoAnswer."""
        found = await self._server.look_up(file_id)
        if found is None:
            raise NoAnswer(f"looking up {file_id} gave no usable answer (HTTP 500)")
        self._note_clock()
        return found[0] if found else None

    async def _exchange(self, sending: Sending, request: Request) -> Outcome:
        await asyncio.sleep(request.connect_s)
        if request.fate is Fate.REFUSE:
            return lost_answer(sending.sent, "cannot connect: Connection refused")
        source = sending.source
        try:
            if isinstance(source, LoadedFile):
                await sending.wait_for_pace(source.fingerprint.size, last=True)
                await self._pass(sending.hand_over(source.fingerprint.size, last=True))
            else:
                await self._stream(sending, source, request)
            answer = await self._server.receive(
                request,
                sent_name=sending.request.sent_name,
                size=source.fingerprint.size,
                purpose=sending.request.purpose,
                source=source.fingerprint.inode,
            )
        except SourceError as error:
            sending.failure = error
            return outcome_of(error)
        except EarlyEnd:
            try:
                answer = self._server.answer(request)
            except ConnectionResetError:
                return lost_answer(sending.sent, "the connection was lost")
        except ConnectionResetError:
            return lost_answer(sending.sent, "the connection was lost")
        except TimeoutError:
            await asyncio.sleep(ANSWER_S)
            return lost_answer(sending.sent, "no answer for 1 min")
        return self._read(answer, sending)

    async def _stream(self, sending: Sending, stream: FileStream, request: Request) -> None:
        left_bytes = stream.fingerprint.size
        ends_after = request.chance.randrange(left_bytes) if request.fate in EARLY and left_bytes else None
        while True:
            block = await stream.read()
            left_bytes -= len(block)
            await sending.wait_for_pace(len(block), last=left_bytes == 0)
            await self._pass(sending.hand_over(len(block), last=left_bytes == 0))
            if left_bytes == 0:
                return
            if ends_after is not None and stream.fingerprint.size - left_bytes > ends_after:
                raise EarlyEnd

    async def _pass(self, count: int) -> None:
        await asyncio.sleep(count / self._server.settings.bytes_per_s)

    def _read(self, answer: Answer, sending: Sending) -> Outcome:
        self._note_clock()
        outcome = decipher(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            sent=sending.sent,
            now_utc_s=self._clock.utc_s(),
            profile=self._profile,
        )
        if isinstance(outcome, Accepted):
            self._server_clock.note_accepted(
                outcome.file_id, outcome.created_at, began_s=sending.began_at, now=moment(self._clock)
            )
        if "retry-after" in answer.headers:
            now = self._clock.monotonic()
            self.pauses.append((sending.source.fingerprint.inode, now + float(answer.headers["retry-after"])))
        return outcome

    def _note_clock(self) -> None:
        self._server_clock.note_date(self._server.date_s(), moment(self._clock))
