"""The aiohttp edge: a request goes out, an outcome comes back; no aiohttp type leaves this module."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp

from bulk_upload.core.api.responses import (
    ANSWER_BYTES_MAX,
    decipher,
    lost_answer,
)
from bulk_upload.core.api.retry_after import http_date_s
from bulk_upload.core.api.server_clock import ServerClock
from bulk_upload.core.clock import moment
from bulk_upload.core.events import BodyNow
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.model import (
    Accepted,
    NotSent,
    Refused,
    Rejected,
    SentBody,
    Unavailable,
)
from bulk_upload.core.run.records import without_secret
from bulk_upload.core.run.sender import UploadReport
from bulk_upload.core.run.source import outcome_of
from bulk_upload.edge.transport.answers import lower_case_headers, read_at_most, remedy_of, words_of
from bulk_upload.edge.transport.body import UploadBody
from bulk_upload.edge.transport.content import READ_AT_ONCE_MAX
from bulk_upload.edge.transport.credentials import Credentials
from bulk_upload.edge.transport.files_api import FilesApi
from bulk_upload.edge.transport.sessions import bare_session, server_session
from bulk_upload.edge.transport.tls import tls_context
from bulk_upload.edge.transport.upload_form import UploadForm
from bulk_upload.edge.transport.watchdog import GivenUp, InFlight, Watchdog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.api.paging import ListedPage, PageRequest
    from bulk_upload.core.api.secret import Secret
    from bulk_upload.core.api.server_clock import ClockOffset
    from bulk_upload.core.clock import Clock, Moment
    from bulk_upload.core.doubt.content import ByteRange, ReadBack
    from bulk_upload.core.model import ListedFile, Outcome
    from bulk_upload.core.run.sender import UploadRequest
    from bulk_upload.core.run.source import Source
    from bulk_upload.edge.transport.settings import TransportSettings


class Transport:
    """A session with one endpoint. Use as an async context manager; safe for many tasks at once."""

    def __init__(self, settings: TransportSettings, clock: Clock) -> None:
        self._settings = settings
        self._connection = connection = settings.connection
        self._profile = connection.profile
        self._clock = clock
        self._form = UploadForm(connection.endpoint, connection.profile)
        # Connections are limited here and not in aiohttp's pool, to distinguish waiting for one from connecting.
        self._turns = asyncio.Semaphore(settings.connection_limit)
        self._credentials = Credentials(settings.api_key, settings.read_key_again)
        self._watchdog = Watchdog(
            stall_s=connection.stall_s,
            answer_s=connection.answer_s,
            min_bytes_per_s=connection.min_bytes_per_s,
        )
        self._session: aiohttp.ClientSession | None = None
        self._files_api: FilesApi | None = None
        self._over_bytes = 0
        self._ignores_expect = False
        self._server_clock = ServerClock()

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
            self._session = session
            self._files_api = FilesApi(
                session,
                self._connection.endpoint,
                self._profile,
                asked_at_once_max=self._settings.question_limit,
                quiet_s=self._connection.stall_s,
                credentials=self._credentials,
                authorization=self._authorization,
                clock=self._clock,
                on_headers=self._note_clock,
                bare_session=bare,
            )
            try:
                with self._watchdog.running():
                    yield self
            finally:
                self._session = self._files_api = None

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
        return sum(one.body.left_bytes for one in self._watchdog.sending)

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that have left this process, also of attempts that failed."""
        return self._over_bytes + self.partial_bytes

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
            )
            for one in self._watchdog.sending
        ]

    def has_time_left(self, grace_s: float) -> bool:
        """Whether a request in flight has not yet outlived its own limits by `grace_s`."""
        return self._watchdog.has_time_left(asyncio.get_running_loop().time(), grace_s)

    def end_all(self, reason: str) -> None:
        """Abort every request in flight; each `send` returns with what is known of its body."""
        for one in self._watchdog.sending:
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
        )
        sending = InFlight(body, _this_task(), request.path)
        self._watchdog.add(sending)
        try:
            async with self._turns:
                sending.moved_at = asyncio.get_running_loop().time()
                outcome = await self._request(request, body, sending)
            sending.takes_back()
        except asyncio.CancelledError:
            if sending.error is not None or not sending.takes_back() or sending.given_up is None:
                on_cancelled(_report(request, body, _ended(request, body, GivenUp("the run was cancelled"))))
                sending.raise_error()
                raise
            outcome = _ended(request, body, sending.given_up)
        finally:
            self._watchdog.remove(sending)
            body.abandon()
            self._over_bytes += body.left_bytes
        return _report(request, body, outcome)

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

    async def sha256_of(self, file_id: str) -> str | None:
        """Return the hash of the content that the server returns for a file, None where it returns none. Raises
        NoAnswer."""
        return await self._open_questions().sha256_of(file_id)

    async def read_back(
        self, file_id: str, *, file_bytes: int, ranges: tuple[ByteRange, ...] = ()
    ) -> ReadBack:
        """Return the hash of a file's content, by ranges where some are given and the server serves them, else of all of
        it; of a content that has not `file_bytes` bytes only the length. Raises NoAnswer."""
        return await self._open_questions().read_back(file_id, file_bytes=file_bytes, ranges=ranges)

    async def download(
        self, file_id: str, write: Callable[[bytes], object], *, file_bytes: int | None
    ) -> ReadBack:
        """Write a file's content, piece by piece, and return its hash and length. Raises NoAnswer."""
        return await self._open_questions().download(file_id, write, file_bytes=file_bytes)

    async def _request(self, request: UploadRequest, body: UploadBody, sending: InFlight) -> Outcome:
        session = self._open_session()
        key = self._credentials.current
        asks = request.ask_first and not self._ignores_expect
        self._server_clock.note_ours(moment(self._clock))
        began_s = self._clock.monotonic()
        try:
            with self._asking(sending) if asks else nullcontext():
                response = await session.request(
                    self._profile.method,
                    self._form.url(request),
                    data=body,
                    headers=self._authorization(key),
                    expect100=asks,
                    allow_redirects=False,
                )
            try:
                answer = await _read_answer(response, body)
            finally:
                _let_go(response, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._lost(error, request, body)
        except RuntimeError as error:
            # Names are resolved on a thread.
            shortage = shortage_in(error)
            if shortage is None or body.complete:
                raise
            return NotSent(reason=str(shortage), local_limit=True)
        if body.failure is not None:
            return outcome_of(body.failure)
        if not (body.handed_bytes or body.complete or asks):
            # Nothing of the request has left, its head included: this cannot be the answer to it.
            return lost_answer(sent_body(request, body), "the connection held an answer to another request")
        headers = self._credentials.clean(lower_case_headers(response))
        self._note_clock(headers)
        if response.status >= 300:
            # Before the text is cut: a partial key would no longer be found.
            answer = self._credentials.redact_bytes(answer)
        outcome = decipher(
            status=response.status,
            headers=headers,
            body=answer,
            sent=sent_body(request, body),
            now_utc_s=self._clock.utc_s(),
            profile=self._profile,
        )
        if isinstance(outcome, Accepted):
            self._credentials.worked(key)
            self._server_clock.note_accepted(
                outcome.file_id, outcome.created_at, began_s=began_s, now=moment(self._clock)
            )
        elif isinstance(outcome, Rejected) and asks and response.status == HTTPStatus.EXPECTATION_FAILED:
            self._ignores_expect = True
            outcome = _to_send_again(outcome, outcome.reason)
        elif (
            isinstance(outcome, Refused) and outcome.http_status == 401 and await self._credentials.renew(key)
        ):
            outcome = _to_send_again(outcome, f"{outcome.reason} (the key was read again)")
        return without_secret(outcome, self._credentials)

    def _lost(self, error: Exception, request: UploadRequest, body: UploadBody) -> Outcome:
        if body.failure is not None:
            return outcome_of(body.failure)
        if not body.complete and shortage_in(error) is not None:
            return NotSent(reason=f"this machine is short of resources: {words_of(error)}", local_limit=True)
        words = self._credentials.redact(words_of(error))
        if (remedy := remedy_of(error)) is not None:
            return Unavailable(reason=words, remedy=remedy)
        return lost_answer(sent_body(request, body), words, connection_lost=True)

    @contextmanager
    def _asking(self, sending: InFlight) -> Iterator[None]:
        """Abort the request when the server does not answer `Expect`, and do not use `Expect` again.

        aiohttp waits for the answer without any limit, and has no way to send the body after all.
        """

        def give_up() -> None:
            if not sending.body.handed_bytes:
                self._ignores_expect = True
                sending.end(GivenUp("the server does not answer `Expect: 100-continue`", stalled=True))

        # Before the watchdog would: it reports a stall, and the next request would use `Expect` again.
        patience_s = min(self._connection.continue_s, self._connection.stall_s / 2)
        timer = asyncio.get_running_loop().call_later(patience_s, give_up)
        try:
            yield
        finally:
            timer.cancel()

    def _note_clock(self, headers: Mapping[str, str]) -> None:
        self._server_clock.note_date(http_date_s(headers.get("date", "")), moment(self._clock))

    def _authorization(self, key: Secret) -> dict[str, str]:
        return {self._profile.auth_header: self._profile.auth_prefix + key.reveal()}

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the transport is not running")
        return self._session

    def _open_questions(self) -> FilesApi:
        if self._files_api is None:
            raise RuntimeError("the transport is not running")
        return self._files_api


def _this_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("requests are made by tasks")
    return task


def sent_body(request: UploadRequest, body: UploadBody) -> SentBody:
    """Return what a body has put on the wire so far."""
    return SentBody(
        sent_name=request.sent_name,
        purpose=request.purpose,
        file_bytes=body.fingerprint.size,
        complete=body.complete,
        handed_bytes=body.handed_bytes,
        sha256=body.sha256,
        fingerprint=body.fingerprint,
    )


def _to_send_again(outcome: Rejected | Refused, reason: str) -> Unavailable:
    """Return a refusal of the way the request was made, which the next attempt will change."""
    return Unavailable(reason=reason, http_status=outcome.http_status, request_id=outcome.request_id)


def _report(request: UploadRequest, body: UploadBody, outcome: Outcome) -> UploadReport:
    return UploadReport(outcome=outcome, sent=sent_body(request, body))


async def _read_answer(response: aiohttp.ClientResponse, body: UploadBody) -> bytes:
    try:
        return await read_at_most(response, ANSWER_BYTES_MAX)
    except aiohttp.ClientError:
        # An early refusal counts by its status, even where the server's close cut its body off.
        if body.complete or response.status < 400:
            raise
        return b""


def _let_go(response: aiohttp.ClientResponse, body: UploadBody) -> None:
    """Keep the connection for the next request after a complete exchange, and only then."""
    # At the end of an answer aiohttp has closed the response and released its connection.
    if body.complete and response.closed:
        body.settle()
    else:
        response.close()


def _ended(request: UploadRequest, body: UploadBody, given_up: GivenUp) -> Outcome:
    """Return the outcome of a request that was ended from our side."""
    if body.failure is not None:
        return outcome_of(body.failure)
    if not (body.complete or given_up.stalled):
        return NotSent(reason=given_up.reason)
    return lost_answer(sent_body(request, body), given_up.reason)
