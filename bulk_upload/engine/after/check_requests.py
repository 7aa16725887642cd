"""The few requests that the closing check may make."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bulk_upload.engine.waits import Wait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.waits import Waits

T = TypeVar("T")


class BudgetSpent(Exception):
    """The check has made all requests that it may."""


class RequestBudget:
    """Makes requests, repeated ones too, until so many are made.

    Args:
        api_retry: repeats what gets no answer, a few times.
    """

    def __init__(self, requests_max: int, *, api_retry: ApiRetry, waits: Waits) -> None:
        self.used_count = 0
        self._requests_max = requests_max
        self._api_retry = api_retry
        self._waits = waits

    @property
    def left_count(self) -> int:
        """How many requests may still be made."""
        return self._requests_max - self.used_count

    async def answer(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the server's answer to a call. Raises NoAnswer, BudgetSpent."""

        async def once() -> T:
            if self.left_count <= 0:
                raise BudgetSpent
            self.used_count += 1
            with self._waits.on(Wait.SERVER):
                return await call()

        return await self._api_retry.answer(once)
