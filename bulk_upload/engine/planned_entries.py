"""The plan's entries for a run: read in pages on a thread of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from bulk_upload.edge.ledger.reading.new_entries import new_entries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bulk_upload.core.model import EntryState
    from bulk_upload.core.run.plan import Step
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.edge.ledger import Staging
    from bulk_upload.edge.ledger.reading.new_entries import EntryRow

T = TypeVar("T")


class PlannedEntries(Protocol):
    """What a run needs of its plan's entries."""

    @property
    def busy_count(self) -> int:
        """How many calls wait for the disk now."""

    def pages(
        self, steps: tuple[Step, ...], *, only_known: bool = False
    ) -> AsyncIterator[list[PlannedEntry]]:
        """Yield the entries planned for one of `steps`, in manifest order, as the ledger knows them now.

        `only_known` leaves out those that the ledger does not have.
        """

    def new_rows(self) -> AsyncIterator[list[EntryRow]]:
        """Yield the entries to send that were new when they were planned, in manifest order, as rows for the ledger."""

    async def find(self, entry_id: int) -> PlannedEntry | None:
        """Return the entry of a ledger row, None where the manifest no longer has it."""

    async def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""


class StagedEntries:
    """`PlannedEntries` out of a Staging, which blocks."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-plan")
        self.busy_count = 0

    async def pages(
        self, steps: tuple[Step, ...], *, only_known: bool = False
    ) -> AsyncIterator[list[PlannedEntry]]:
        """Yield the entries planned for one of `steps`, a page at a time."""
        pages = self._staging.pages(steps, only_known=only_known)
        while (page := await self._on_thread(lambda: next(pages, None))) is not None:
            yield page

    def new_rows(self) -> AsyncIterator[list[EntryRow]]:
        """Yield the entries to send that were new when they were planned, a page at a time."""
        return self.each(new_entries)

    async def find(self, entry_id: int) -> PlannedEntry | None:
        """Return the entry of a ledger row, None where the manifest no longer has it."""
        return await self._on_thread(lambda: self._staging.find_by_entry_id(entry_id))

    async def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""
        return await self._on_thread(self._staging.states)

    async def each(self, read: Callable[[Staging], Iterator[T]]) -> AsyncIterator[T]:
        """Yield what `read` finds."""
        found = read(self._staging)
        while (one := await self._on_thread(lambda: next(found, None))) is not None:
            yield one

    async def call(self, act: Callable[[Staging], T]) -> T:
        """Return what `act` makes of the staging."""
        return await self._on_thread(lambda: act(self._staging))

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True)

    async def _on_thread(self, act: Callable[[], T]) -> T:
        self.busy_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, act)
        finally:
            self.busy_count -= 1
