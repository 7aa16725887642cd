"""Passes a plan's progress from the thread that makes it to the listeners on the event loop."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from bulk_upload.core.events import Preparing
from bulk_upload.engine.tasks import plain_task_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.events import Event


class PlanProgress:
    """Takes numbers of entries on any thread and emits them from a task, so that a listener's error ends the run."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._loop = asyncio.get_running_loop()
        self._counts: asyncio.Queue[int] = asyncio.Queue()

    def put(self, entry_count: int) -> None:
        """Report how many entries were planned so far."""
        # The loop is gone where the run was abandoned meanwhile: there is no listener then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._counts.put_nowait, entry_count)

    @asynccontextmanager
    async def emitted(self) -> AsyncIterator[None]:
        """Emit what is put while the block runs."""
        async with plain_task_group() as tasks:
            tasks.start_soon(self._emit_all)
            yield
            tasks.cancel_scope.cancel()

    async def _emit_all(self) -> None:
        while True:
            self._emit(Preparing(entry_count=await self._counts.get()))
