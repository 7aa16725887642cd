"""Calls to the Files API, repeated while an answer may still come. A Retry-After holds all of them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bulk_upload.core.limits.pause import Pause
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.sending.late_imports import RETRYING, imported

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenacity import RetryCallState

    from bulk_upload.core.clock import Clock

T = TypeVar("T")

TRIES_MAX = 4
"""How many times a query is made to a server whose answers are unusable."""

BACKOFF_S_MAX = 30.0

AWAY_S = 30.0
"""How long a command waits for a server that it cannot connect to: its address is more likely wrong than the server
down."""

WAIT_S_MAX = 900.0
"""A server that asks a command to wait longer ends it; the message then says when to come back."""


class ApiRetry:
    """Repeats calls with exponential backoff and jitter, at most TRIES_MAX times, or until the server is reachable
    again.

    Args:
        clock: time and randomness.
        sleep: waits; a run passes one that its drain ends.
        away_s: returns how long to wait for a server that cannot be connected to.
        wait_s_max: a longer Retry-After is not waited for.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[None]] | None = None,
        away_s: Callable[[], float] = lambda: AWAY_S,
        wait_s_max: float = WAIT_S_MAX,
    ) -> None:
        self._clock = clock
        self._sleep = sleep or clock.sleep
        self._away_s = away_s
        self._wait_s_max = wait_s_max
        self._pause = Pause()

    def waits_for(self, error: NoAnswer) -> bool:
        """Whether the wait that the server asks for is short enough."""
        return (error.retry_after_s or 0.0) <= self._wait_s_max

    async def answer(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the answer to a call. Raises the last NoAnswer where none came.

        tenacity counts the tries, the first one included.
        """
        try:
            return await self._once(call)
        except NoAnswer as error:
            if not self._may_still_come(error):
                raise
            failed = error
        return await self._again(call, failed)

    async def _again(self, call: Callable[[], Awaitable[T]], failed: NoAnswer) -> T:
        await imported(RETRYING)
        from tenacity import AsyncRetrying, retry_if_exception  # noqa: PLC0415 - see late_imports

        first: NoAnswer | None = failed

        async def attempt() -> T:
            nonlocal first
            if first is not None:
                error, first = first, None
                raise error
            return await self._once(call)

        retrying = AsyncRetrying(
            retry=retry_if_exception(self._may_still_come),
            stop=_Patience(self._clock, self._away_s),
            wait=self._backoff_s,
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(attempt)

    async def _once(self, call: Callable[[], Awaitable[T]]) -> T:
        while (wait_s := self._pause.wait_s(self._clock.monotonic())) > 0:
            await self._sleep(wait_s)
        try:
            return await call()
        except NoAnswer as error:
            if error.retry_after_s is not None and self._may_still_come(error):
                self._pause.hold(self._clock.monotonic(), error.retry_after_s, self._clock.jitter())
            raise

    def _may_still_come(self, error: BaseException) -> bool:
        return isinstance(error, NoAnswer) and not error.final and self.waits_for(error)

    def _backoff_s(self, state: RetryCallState) -> float:
        return min(BACKOFF_S_MAX, 2.0**state.attempt_number) * (0.5 + 0.5 * self._clock.jitter())


class _Patience:
    """Decides when one call is abandoned."""

    def __init__(self, clock: Clock, away_s: Callable[[], float]) -> None:
        self._clock = clock
        self._away_s = away_s
        self._failing_since: float | None = None

    def __call__(self, state: RetryCallState) -> bool:
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        if state.attempt_number < TRIES_MAX:
            return False
        error = None if state.outcome is None else state.outcome.exception()
        away = isinstance(error, NoAnswer) and error.away
        return not (away and now - self._failing_since < self._away_s())
