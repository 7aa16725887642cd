"""Errors raised where no task could raise them: in timers, signal handlers and calls from outside."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


class CallbackErrors:
    """Takes errors out of callbacks and ends the run with the first one."""

    def __init__(self) -> None:
        self._first: BaseException | None = None
        self._raised = asyncio.Event()

    def take(self, error: BaseException) -> None:
        """End the run with an error; later ones are dropped."""
        if self._first is None:
            self._first = error
            self._raised.set()

    def guarded(self, act: Callable[[], object]) -> Callable[[], None]:
        """Return a callback that does `act`, whose error ends the run."""

        def call() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - it is raised by `raise_first`
                self.take(error)

        return call

    async def raise_first(self) -> NoReturn:
        """Wait for an error and raise it. A task of the run does this."""
        await self._raised.wait()
        if self._first is None:
            raise AssertionError("woken without an error")
        raise self._first
