"""Questions about the server's files, asked again while an answer may still come. One 429 slows all of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.errors import CredentialsRefused, ServerUnusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import ListedFile

T = TypeVar("T")

TRIES_MAX = 6
BACKOFF_S_MAX = 30.0
PATIENCE_S = 900.0
"""A server that asks for a longer wait ends the command, which then says when to come back."""


class Server(Protocol):
    """What a server says about its files. All of it may raise NoAnswer, and may be asked again."""

    clock_offset_s: float

    async def list_page(self, *, limit: int, offset: int) -> list[ListedFile]:
        """Return one page of the list, newest first."""

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file, None where the server does not know it."""

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it."""

    async def sha256_of(self, file_id: str) -> str | None:
        """Return the hash of what the server gives back for a file, None where it does not."""


class RequestDenied(ServerUnusable):
    """The server understood a question about one file and said no: asking again will not help."""


class Inquiry:
    """A server that is asked patiently. Every question may raise CredentialsRefused, RequestDenied, ServerUnusable."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        self._open_at = 0.0

    @property
    def clock_offset_s(self) -> float:
        """The server's clock minus ours."""
        return self._server.clock_offset_s

    async def list_page(self, *, limit: int, offset: int) -> list[ListedFile]:
        """Return one page of the list, newest first."""
        return await self._ask(partial(self._server.list_page, limit=limit, offset=offset))

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return one file, None where the server does not know it."""
        return await self._ask(partial(self._server.look_up, file_id))

    async def delete(self, file_id: str) -> bool:
        """Delete a file; return False where the server does not know it."""
        return await self._ask(partial(self._server.delete, file_id))

    async def sha256_of(self, file_id: str) -> str | None:
        """Return the hash of what the server gives back for a file, None where it does not."""
        return await self._ask(partial(self._server.sha256_of, file_id))

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_be_answered_yet),
            stop=stop_after_attempt(TRIES_MAX),
            wait=self._wait_s,
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return await retrying(self._once, question)
        except NoAnswer as error:
            raise _translated(error) from None

    async def _once(self, question: Callable[[], Awaitable[T]]) -> T:
        while (wait_s := self._open_at - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait_s)
        return await question()

    def _wait_s(self, state: RetryCallState) -> float:
        backoff_s = min(BACKOFF_S_MAX, 2.0**state.attempt_number) * (0.5 + 0.5 * self._clock.jitter())
        error = None if state.outcome is None else state.outcome.exception()
        asked_s = error.retry_after_s if isinstance(error, NoAnswer) else None
        if asked_s is not None:
            # For every other question, too.
            self._open_at = max(self._open_at, self._clock.monotonic() + asked_s)
        return max(backoff_s, asked_s or 0.0)


def _may_be_answered_yet(error: BaseException) -> bool:
    return isinstance(error, NoAnswer) and not error.final and (error.retry_after_s or 0.0) <= PATIENCE_S


def _translated(error: NoAnswer) -> ServerUnusable | CredentialsRefused:
    if error.http_status in (401, 403):
        return CredentialsRefused(
            f"the server does not accept the API key: {error}", hint="use a valid key of the job's team"
        )
    if error.remedy is not None:
        return ServerUnusable(f"the server cannot be reached: {error}", hint=error.remedy)
    if error.final:
        return RequestDenied(str(error), hint="see the server's message; running again will not help")
    if error.retry_after_s is not None and error.retry_after_s > PATIENCE_S:
        return ServerUnusable(
            f"the server asks to wait {human_seconds(error.retry_after_s)}: {error}",
            hint="run the same command again then",
        )
    return ServerUnusable(str(error), hint="run the same command again once the server answers")
