"""The aiohttp edge: files go out, outcomes come back; no aiohttp type leaves this folder."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

import aiohttp

from bulk_upload.core.api.responses import ANSWER_BYTES_MAX, decipher
from bulk_upload.core.api.retry_after import http_date_s
from bulk_upload.core.api.server_clock import ServerClock
from bulk_upload.core.bundle.answer import answer_bytes_max, decipher_bundle, of_all
from bulk_upload.core.clock import moment
from bulk_upload.core.content_hash import SHA256_ONLY
from bulk_upload.core.events import BodyNow
from bulk_upload.core.model import Accepted, Refused, Rejected, SentBody, Unavailable
from bulk_upload.core.run.records import bundle_without_secret, without_secret
from bulk_upload.core.run.sender import BundleReport, UploadReport
from bulk_upload.edge.transport.body import BundleBody, UploadBody
from bulk_upload.edge.transport.content import READ_AT_ONCE_MAX
from bulk_upload.edge.transport.credentials import Credentials
from bulk_upload.edge.transport.exchange import Exchanges, HttpAnswer, ended_by_us, this_task
from bulk_upload.edge.transport.files_api import FilesApi
from bulk_upload.edge.transport.sessions import bare_session, server_session
from bulk_upload.edge.transport.tls import tls_context
from bulk_upload.edge.transport.upload_form import UploadForm
from bulk_upload.edge.transport.watchdog import GivenUp, InFlight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.api.paging import ListedPage, PageRequest
    from bulk_upload.core.api.server_clock import ClockOffset
    from bulk_upload.core.clock import Clock, Moment
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange, ReadBack
    from bulk_upload.core.model import ListedFile, Outcome
    from bulk_upload.core.run.sender import BundleRequest, UploadRequest
    from bulk_upload.core.run.source import LoadedFile, Source
    from bulk_upload.edge.transport.settings import TransportSettings


class Transport:
    """A session with one endpoint. Use as an async context manager; safe for many tasks at once."""

    def __init__(self, settings: TransportSettings, clock: Clock) -> None:
        self._settings = settings
        self._connection = connection = settings.connection
        self._profile = connection.profile
        self._clock = clock
        self._form = UploadForm(connection.endpoint, connection.profile)
        self._credentials = Credentials(settings.api_key, settings.read_key_again, settings.ask_key_again)
        self._files_api: FilesApi | None = None
        self._server_clock = ServerClock()
        self._exchanges = Exchanges(
            settings, credentials=self._credentials, server_clock=self._server_clock, clock=clock
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Transport]:
        """Open the session and watch its requests. Raises UsageError for unusable certificates."""
        connector = aiohttp.TCPConnector(
            # More than uploads may use, so that a listing never waits behind them.
            limit=self._settings.connection_limit + self._settings.question_limit + READ_AT_ONCE_MAX,
            keepalive_timeout=self._connection.keepalive_s,
            ssl=tls_context(self._connection.network),
        )
        async with (
            server_session(self._settings, connector) as session,
            bare_session(self._settings, connector) as bare,
        ):
            self._exchanges.session = session
            self._files_api = FilesApi(
                session,
                self._connection.endpoint,
                self._profile,
                asked_at_once_max=self._settings.question_limit,
                quiet_s=self._connection.stall_s,
                credentials=self._credentials,
                authorization=self._exchanges.authorization,
                clock=self._clock,
                on_headers=self._note_clock,
                bare_session=bare,
            )
            try:
                with self._exchanges.watchdog.running():
                    yield self
            finally:
                self._exchanges.session = self._files_api = None

    @property
    def clock_offset_s(self) -> float | None:
        """The server's clock minus ours now, by `Date` and `created_at` of its answers; None while that is unknown."""
        return self.clock_offset(moment(self._clock)).best_s

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Return the server's clock minus ours at a moment since the first request."""
        return self._server_clock.offset(then)

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that have left this process."""
        return self._exchanges.partial_bytes

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that have left this process, also of attempts that failed."""
        return self._exchanges.wire_bytes

    @property
    def credentials(self) -> Credentials:
        """The API key in use."""
        return self._credentials

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""
        return [
            BodyNow(
                path=one.path,
                body_bytes=one.body.size or 0,
                left_bytes=one.body.left_bytes,
                waiting=one.moved_at is None,
                reading=one.body.reading,
                held=one.body.held,
                file_count=one.file_count,
            )
            for one in self._exchanges.watchdog.sending
        ]

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""
        return self._exchanges.watchdog.has_time_left(asyncio.get_running_loop().time(), grace_s)

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""
        for one in self._exchanges.watchdog.sending:
            one.end(GivenUp(reason))

    def cut_off(self, reason: str) -> None:
        """Abort every request in flight, and drop what the system still holds of it."""
        for one in self._exchanges.watchdog.sending:
            one.body.abandon(reset=True)
            one.end(GivenUp(reason))

    async def send(
        self,
        request: UploadRequest,
        source: Source,
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[UploadReport], None],
        pace: Pace | None = None,
    ) -> UploadReport:
        """Send one file in one request and return what became of it; failures are outcomes, not exceptions.

        `on_handed` is called with every piece handed over, in bytes, after `pace` let it pass. When the calling task is
        cancelled the request is dropped, and `on_cancelled` is called with what is known of it before the cancellation
        propagates.
        """
        body = UploadBody(
            self._form.frame(request),
            source,
            content_type=self._form.content_type,
            on_handed=on_handed,
            pace=pace,
            fence=self._settings.fence,
        )
        sending = InFlight(body, this_task(), request.path)

        def ended(given_up: GivenUp) -> UploadReport:
            sent = sent_body(request, body)
            return UploadReport(outcome=ended_by_us(body, sent, given_up), sent=sent)

        return await self._exchanges.carry(
            sending, partial(self._upload, request, body, sending), ended=ended, on_cancelled=on_cancelled
        )

    async def send_bundle(
        self,
        request: BundleRequest,
        files: Sequence[LoadedFile],
        *,
        on_handed: Callable[[int], None],
        on_cancelled: Callable[[BundleReport], None],
        pace: Pace | None = None,
    ) -> BundleReport:
        """Send several files in one request and return what became of each, as `send` does with one."""
        body = BundleBody(
            self._form.bundle_heads(request),
            [one.content for one in files],
            self._form.end,
            content_type=self._form.bundle_type,
            on_handed=on_handed,
            pace=pace,
            fence=self._settings.fence,
        )
        sending = InFlight(body, this_task(), request.members[0].path, file_count=len(files))
        sent = partial(sent_bodies, request, files, body)

        def ended(given_up: GivenUp) -> BundleReport:
            members = sent()
            return BundleReport(answer=of_all(ended_by_us(body, members[0], given_up), members), sent=members)

        return await self._exchanges.carry(
            sending, partial(self._upload_bundle, sending, sent), ended=ended, on_cancelled=on_cancelled
        )

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return one page of the server's list. Raises NoAnswer."""
        page = await self._open_questions().list_page(request)
        self._server_clock.note_listed(page.files)
        return page

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file by its id, None where the server does not know it. Raises NoAnswer."""
        return await self._open_questions().look_up(file_id)

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it. Raises NoAnswer."""
        return await self._open_questions().delete(file_id)

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of the content that the server returns for a file, none where it returns no content. Raises
        NoAnswer."""
        return await self._open_questions().hashes_of(file_id, functions)

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hashes of a file's content, by ranges where some are given and the server serves them, else of all of
        it; of a content that has not `file_bytes` bytes only the length. Raises NoAnswer."""
        return await self._open_questions().read_back(
            file_id, file_bytes=file_bytes, ranges=ranges, functions=functions
        )

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hashes and length. Raises NoAnswer."""
        return await self._open_questions().download(
            file_id, write, file_bytes=file_bytes, functions=functions
        )

    async def _upload(self, request: UploadRequest, body: UploadBody, sending: InFlight) -> UploadReport:
        answer = await self._exchanges.request(
            self._form.url(request),
            sending,
            sent=partial(sent_body, request, body),
            answer_bytes_max=ANSWER_BYTES_MAX,
            ask_first=request.ask_first,
        )
        sent = sent_body(request, body)
        if not isinstance(answer, HttpAnswer):
            return UploadReport(outcome=answer, sent=sent)
        now = moment(self._clock)
        self._server_clock.note_date(http_date_s(answer.headers.get("date", "")), now)
        outcome = decipher(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            sent=sent,
            now_utc_s=now.utc_s,
            profile=self._profile,
        )
        if isinstance(outcome, Accepted):
            self._note_accepted(outcome, answer, now)
        elif (
            isinstance(outcome, Rejected) and answer.asked and answer.status == HTTPStatus.EXPECTATION_FAILED
        ):
            self._exchanges.ignores_expect = True
            outcome = _to_send_again(outcome, outcome.reason)
        else:
            outcome = await self._unless_key_changed(outcome, answer)
        return UploadReport(outcome=without_secret(outcome, self._credentials), sent=sent)

    async def _upload_bundle(
        self, sending: InFlight, sent: Callable[[], tuple[SentBody, ...]]
    ) -> BundleReport:
        answer = await self._exchanges.request(
            self._form.bundle_url,
            sending,
            sent=lambda: sent()[0],
            answer_bytes_max=answer_bytes_max(sending.file_count),
        )
        members = sent()
        if not isinstance(answer, HttpAnswer):
            return BundleReport(answer=of_all(answer, members), sent=members)
        self._note_clock(answer.headers)
        found = decipher_bundle(
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            sent=members,
            now_utc_s=self._clock.utc_s(),
            profile=self._profile,
        )
        # One of them shows the server's time as well as all.
        if isinstance(found.whole, Accepted):
            self._note_accepted(found.whole, answer, moment(self._clock))
        if not found.is_by_file:
            whole = await self._unless_key_changed(found.whole, answer)
            found = found if whole is found.whole else of_all(whole, members)
        return BundleReport(answer=bundle_without_secret(found, self._credentials), sent=members)

    def _note_accepted(self, outcome: Accepted, answer: HttpAnswer, now: Moment) -> None:
        self._credentials.worked(answer.key)
        self._server_clock.note_accepted(outcome.file_id, outcome.created_at, began_s=answer.began_s, now=now)

    async def _unless_key_changed(self, outcome: Outcome, answer: HttpAnswer) -> Outcome:
        """Return an outcome; of a key that was refused, and is another one by now, one that the next attempt changes."""
        if not (isinstance(outcome, Refused) and outcome.http_status == HTTPStatus.UNAUTHORIZED):
            return outcome
        if not await self._credentials.renew(answer.key):
            return outcome
        return _to_send_again(outcome, f"{outcome.reason} (the key was read again)")

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        self._server_clock.note_date(http_date_s(headers.get("date", "")), moment(self._clock))

    def _open_questions(self) -> FilesApi:
        if self._files_api is None:
            raise RuntimeError("the transport is not running")
        return self._files_api


def sent_body(request: UploadRequest, body: UploadBody) -> SentBody:
    """Return what a body has put on the wire so far."""
    return SentBody(
        sent_name=request.sent_name,
        purpose=request.purpose,
        file_bytes=body.fingerprint.size,
        complete=body.complete,
        handed_bytes=body.handed_bytes,
        content_hash=body.content_hash,
        fingerprint=body.fingerprint,
    )


def sent_bodies(
    request: BundleRequest, files: Sequence[LoadedFile], body: BundleBody
) -> tuple[SentBody, ...]:
    """Return what a body has put on the wire so far, for each of its files; `handed_bytes` are those of the whole form."""
    return tuple(
        SentBody(
            sent_name=member.sent_name,
            purpose=member.purpose,
            file_bytes=file.fingerprint.size,
            complete=body.complete,
            handed_bytes=body.handed_bytes,
            content_hash=file.content_hash if body.complete else None,
            fingerprint=file.fingerprint,
        )
        for member, file in zip(request.members, files, strict=True)
    )


def _to_send_again(outcome: Rejected | Refused, reason: str) -> Unavailable:
    """Return a refusal of the way the request was made, which the next attempt will change."""
    return Unavailable(reason=reason, http_status=outcome.http_status, request_id=outcome.request_id)
