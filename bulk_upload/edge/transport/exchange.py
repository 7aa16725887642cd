"""One request with a form: it goes out, and what came back is an HTTP answer or the reason why there is none."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import aiohttp
import anyio
import msgspec

from bulk_upload.core.api.responses import lost_answer
from bulk_upload.core.clock import moment
from bulk_upload.core.machine.shortage import shortage_in
from bulk_upload.core.model import NotSent, Unavailable
from bulk_upload.core.run.source import outcome_of
from bulk_upload.edge.transport.answers import lower_case_headers, read_at_most, remedy_of, words_of
from bulk_upload.edge.transport.watchdog import GivenUp, InFlight, Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from yarl import URL

    from bulk_upload.core.api.secret import Secret
    from bulk_upload.core.api.server_clock import ServerClock
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import Outcome, SentBody
    from bulk_upload.edge.transport.body import FormBody
    from bulk_upload.edge.transport.credentials import Credentials
    from bulk_upload.edge.transport.settings import TransportSettings

T = TypeVar("T")


class HttpAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete answer. `headers` has lower-case names and shows no key; nor has a refusal's `body`.

    `began_s` is when the request began, by the monotonic clock; `key` what it was made with, and `asked` whether it sent
    `Expect: 100-continue`.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    began_s: float
    key: Secret
    asked: bool


class Exchanges:
    """Makes requests on one session, as many at once as there are connections, and ends those that stand still."""

    def __init__(
        self,
        settings: TransportSettings,
        *,
        credentials: Credentials,
        server_clock: ServerClock,
        clock: Clock,
    ) -> None:
        connection = settings.connection
        self._profile = connection.profile
        self._credentials = credentials
        self._server_clock = server_clock
        self._clock = clock
        self._continue_s = min(connection.continue_s, connection.stall_s / 2)
        # Connections are limited here and not in aiohttp's pool, to distinguish waiting for one from connecting.
        self._turns = anyio.Semaphore(settings.connection_limit, fast_acquire=True)
        self.watchdog = Watchdog(
            stall_s=connection.stall_s,
            answer_s=connection.answer_s,
            min_bytes_per_s=connection.min_bytes_per_s,
        )
        self.session: aiohttp.ClientSession | None = None
        self.ignores_expect = False
        """Whether the server was seen not to know `Expect: 100-continue`."""

        self._over_bytes = 0

    @property
    def partial_bytes(self) -> int:
        """Bytes of bodies in flight that have left this process."""
        return sum(one.body.left_bytes for one in self.watchdog.sending)

    @property
    def wire_bytes(self) -> int:
        """Bytes of all bodies that have left this process, also of attempts that failed."""
        return self._over_bytes + self.partial_bytes

    async def carry(
        self,
        sending: InFlight,
        exchange: Callable[[], Awaitable[T]],
        *,
        ended: Callable[[GivenUp], T],
        on_cancelled: Callable[[T], None],
    ) -> T:
        """Return what an exchange comes to, or what it means that it was `ended` from our side.

        When the calling task is cancelled, `on_cancelled` gets what is known before the cancellation propagates.
        """
        body = sending.body
        self.watchdog.add(sending)
        try:
            try:
                # Nearly always there is one; to ask with `async with` would cost as much as all of the rest here.
                self._turns.acquire_nowait()
            except anyio.WouldBlock:
                await self._turns.acquire()
            try:
                sending.moved_at = asyncio.get_running_loop().time()
                result = await exchange()
            finally:
                self._turns.release()
            sending.takes_back()
        except asyncio.CancelledError:
            if sending.error is not None or not sending.takes_back() or sending.given_up is None:
                on_cancelled(ended(GivenUp("the run was cancelled")))
                sending.raise_error()
                raise
            result = ended(sending.given_up)
        finally:
            self.watchdog.remove(sending)
            body.abandon()
            self._over_bytes += body.left_bytes
        return result

    async def request(
        self,
        url: URL,
        sending: InFlight,
        *,
        sent: Callable[[], SentBody],
        answer_bytes_max: int,
        ask_first: bool = False,
    ) -> HttpAnswer | Outcome:
        """Make one request with a body; `sent` returns what that has put on the wire so far."""
        if self.session is None:
            raise RuntimeError("the transport is not running")
        body = sending.body
        key = self._credentials.current
        asks = ask_first and not self.ignores_expect
        began = moment(self._clock)
        self._server_clock.note_ours(began)
        try:
            asking = self.session.request(
                self._profile.method,
                url,
                data=body,
                headers=self.authorization(key),
                expect100=asks,
                allow_redirects=False,
            )
            if asks:
                with self._asking(sending):
                    response = await asking
            else:
                response = await asking
            try:
                answer = await _read_answer(response, body, answer_bytes_max)
            finally:
                _let_go(response, body)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return self._lost(error, body, sent)
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
            return lost_answer(sent(), "the connection held an answer to another request")
        if response.status >= 300:
            # Before the text is cut: a partial key would no longer be found.
            answer = self._credentials.redact_bytes(answer)
        return HttpAnswer(
            status=response.status,
            headers=self._credentials.clean(lower_case_headers(response)),
            body=answer,
            began_s=began.monotonic_s,
            key=key,
            asked=asks,
        )

    def authorization(self, key: Secret) -> dict[str, str]:
        """Return the header with a key."""
        return {self._profile.auth_header: self._profile.auth_prefix + key.reveal()}

    def _lost(self, error: Exception, body: FormBody, sent: Callable[[], SentBody]) -> Outcome:
        if body.failure is not None:
            return outcome_of(body.failure)
        if not body.complete and shortage_in(error) is not None:
            return NotSent(reason=f"this machine is short of resources: {words_of(error)}", local_limit=True)
        words = self._credentials.redact(words_of(error))
        if (remedy := remedy_of(error)) is not None:
            return Unavailable(reason=words, remedy=remedy)
        return lost_answer(sent(), words, connection_lost=True)

    @contextmanager
    def _asking(self, sending: InFlight) -> Iterator[None]:
        """Abort the request when the server does not answer `Expect`, and do not use `Expect` again.

        aiohttp waits for the answer without any limit, and has no way to send the body after all.
        """

        def give_up() -> None:
            if not sending.body.handed_bytes:
                self.ignores_expect = True
                sending.end(GivenUp("the server does not answer `Expect: 100-continue`", stalled=True))

        # Before the watchdog would: it reports a stall, and the next request would use `Expect` again.
        timer = asyncio.get_running_loop().call_later(self._continue_s, give_up)
        try:
            yield
        finally:
            timer.cancel()


def this_task() -> asyncio.Task[Any]:
    """Return the task that makes a request."""
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("requests are made by tasks")
    return task


def ended_by_us(body: FormBody, sent: SentBody, given_up: GivenUp) -> Outcome:
    """Return the outcome of a request that was ended from our side."""
    if body.failure is not None:
        return outcome_of(body.failure)
    if not (body.complete or given_up.stalled):
        return NotSent(reason=given_up.reason)
    return lost_answer(sent, given_up.reason)


async def _read_answer(response: aiohttp.ClientResponse, body: FormBody, bytes_max: int) -> bytes:
    try:
        return await read_at_most(response, bytes_max)
    except aiohttp.ClientError:
        # An early refusal counts by its status, even where the server's close cut its body off.
        if body.complete or response.status < 400:
            raise
        return b""


def _let_go(response: aiohttp.ClientResponse, body: FormBody) -> None:
    """Keep the connection for the next request after a complete exchange, and only then."""
    # At the end of an answer aiohttp has closed the response and released its connection.
    if body.complete and response.closed:
        body.settle()
    else:
        response.close()
