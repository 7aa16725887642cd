"""Checks many files, several at once, and reports on them in the order they were named in."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.run.source import SourceError
from bulk_upload.core.validation.report import unreadable
from bulk_upload.engine.validation.validating import CheckTarget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bulk_upload.core.model import Entry
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.engine.validation.validating import Validating

AHEAD_PER_JOB = 8
"""How many checked files may wait for their turn to be reported, for each that is being checked: enough behind one large file."""


class Inspected(NamedTuple):
    """A file and what was found in it."""

    entry: Entry
    report: FileReport


class Inspection:
    """Has files checked.

    Args:
        job_count: how many at once.
    """

    def __init__(self, validator: Validating, *, job_count: int) -> None:
        self._validator = validator
        self._ahead = job_count * AHEAD_PER_JOB

    async def look(self, entries: Iterable[Entry], tell: Callable[[Inspected], Awaitable[None]]) -> None:
        """Await `tell` for every file with its report, in order."""
        waiting: deque[tuple[Entry, asyncio.Task[FileReport]]] = deque()

        async def tell_first() -> None:
            entry, task = waiting.popleft()
            await tell(Inspected(entry, await task))

        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                waiting.append((entry, tasks.create_task(self._report(entry))))
                if len(waiting) >= self._ahead:
                    await tell_first()
            while waiting:
                await tell_first()

    async def _report(self, entry: Entry) -> FileReport:
        (result,) = await self._validator.check_all([CheckTarget(entry.path, entry.purpose)], are_small=False)
        return unreadable(entry.path, result.reason) if isinstance(result, SourceError) else result.report
