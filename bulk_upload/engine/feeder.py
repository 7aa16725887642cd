"""Starts entries as slots come free; small files are read, and their intents recorded, a batch ahead."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from bulk_upload.core.plan import Step
from bulk_upload.core.records import Intent
from bulk_upload.core.source import LoadedFile
from bulk_upload.core.work import StagedEntry
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.attempt import Passage
from bulk_upload.engine.twins import TwinKey
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskGroup

    from bulk_upload.core.source import SourceError
    from bulk_upload.engine.checking import Checking
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts

BATCH_ENTRIES_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024
PARKED_MIN = 256
"""More than two batches: fewer could all be waiting for a look-alike that was read ahead and has no room to start."""


class Feeder:
    """Turns the plan's entries into tasks, in order, never many more than can be at work.

    Args:
        checking: says what may be sent.
        carry: carries one entry to its end; told whether the entry holds its twin key already.
    """

    def __init__(
        self,
        parts: Parts,
        parking: Parking,
        checking: Checking,
        carry: Callable[[Passage, bool], Coroutine[Any, Any, None]],
    ) -> None:
        self._parts = parts
        self._parking = parking
        self._checking = checking
        self._carry = carry
        self._room = anyio.Event()
        self._intended: dict[int, Passage] = {}
        """Passages with an intent that are not started yet, by the intent's attempt."""

    def on_change(self) -> None:
        """Look again whether there is room."""
        if not self._room.is_set() and self._has_room():
            self._room.set()

    async def feed(self, pages: AsyncIterator[list[StagedEntry]], tasks: TaskGroup) -> None:
        """Start a task for every entry; return when all are started or the run drains."""
        try:
            send, receive = anyio.create_memory_object_stream[list[tuple[Passage, bool]]](0)
            async with receive, anyio.create_task_group() as ahead:
                ahead.start_soon(self._prepare, self._checked(pages, ahead), send)
                async for batch in receive:
                    await self._start(batch, tasks)
        finally:
            # Cancelled or not: the ledger must not expect the end of what was never begun.
            with anyio.CancelScope(shield=True):
                await self._give_back()

    async def _start(self, batch: list[tuple[Passage, bool]], tasks: TaskGroup) -> None:
        for passage, holds_twin_key in batch:
            await self._wait_for_room()
            if self._parts.drain.begun:
                return
            if passage.attempt_id is not None:
                del self._intended[passage.attempt_id]
            tasks.start_soon(self._carry, passage, holds_twin_key)
            # It counts as live from its first step on, which comes before our next one.
            await anyio.lowlevel.checkpoint()

    async def _prepare(
        self,
        pages: AsyncIterator[list[StagedEntry]],
        send: ObjectSendStream[list[tuple[Passage, bool]]],
    ) -> None:
        async with send:
            async for page in pages:
                for start in range(0, len(page), BATCH_ENTRIES_MAX):
                    if self._parts.drain.begun:
                        return
                    await send.send(await self._batch(page[start : start + BATCH_ENTRIES_MAX]))

    def _checked(
        self, pages: AsyncIterator[list[StagedEntry]], ahead: TaskGroup
    ) -> AsyncIterator[list[StagedEntry]]:
        """Return the pages of entries that may be sent, where files are looked into ahead."""
        if not self._checking.runs_ahead:
            return pages
        send, receive = anyio.create_memory_object_stream[list[StagedEntry]](math.inf)
        ahead.start_soon(self._checking.run_ahead, pages, send)
        return self._taken(receive)

    async def _taken(
        self, receive: ObjectReceiveStream[list[StagedEntry]]
    ) -> AsyncIterator[list[StagedEntry]]:
        async with receive:
            async for page in receive:
                self._checking.taken(len(page))
                yield page

    async def _batch(self, works: list[StagedEntry]) -> list[tuple[Passage, bool]]:
        batch = [(passage, False) for passage in map(_passage, works)]
        ahead: list[tuple[int, TwinKey]] = []
        bytes_left = BATCH_BYTES_MAX
        for index, (passage, _) in enumerate(batch):
            size = passage.source.size
            if not self._checking.may_send(passage):
                # What has no certain content yet has no intent either.
                continue
            if passage.work.step is Step.COMPARE or size > SMALL_FILE_BYTES_MAX or size > bytes_left:
                continue
            key = TwinKey(passage.work.sent_name, size, passage.work.entry.purpose)
            if self._parts.twins.try_hold(key):
                bytes_left -= size
                ahead.append((index, key))
        await self._read_ahead(batch, ahead)
        return batch

    async def _read_ahead(self, batch: list[tuple[Passage, bool]], ahead: list[tuple[int, TwinKey]]) -> None:
        loaded: list[LoadedFile | SourceError] = []
        with self._parts.drain.cut():
            loaded = await self._parts.reader.load([batch[index][0].work.entry.path for index, _ in ahead])
        if self._parts.drain.begun:
            return
        intents: list[Intent] = []
        meant: list[Passage] = []
        now = self._parts.clock.utc_s()
        for (index, key), file in zip(ahead, loaded, strict=True):
            passage = batch[index][0]
            if not isinstance(file, LoadedFile) or not _is_meant(file, passage):
                # The attempt meets the same trouble again and says what it is.
                self._parts.twins.release(key)
                continue
            passage.loaded = file
            batch[index] = (passage, True)
            meant.append(passage)
            intents.append(
                Intent(
                    entry_id=passage.entry_id,
                    attempt_no=1,
                    sent_name=passage.work.sent_name,
                    fingerprint=file.fingerprint,
                    at_utc_s=now,
                    sha256=file.sha256,
                )
            )
        if intents:
            # Shielded: an intent whose id nobody knows could not be withdrawn.
            with anyio.CancelScope(shield=True):
                attempt_ids = await self._parts.ledger.run(lambda store: store.intend(intents))
                for passage, attempt_id in zip(meant, attempt_ids, strict=True):
                    passage.attempt_id = attempt_id
                    self._intended[attempt_id] = passage

    async def _give_back(self) -> None:
        """Record as not sent what was read ahead and will not be started."""
        attempt_ids = list(self._intended)
        self._intended.clear()
        if attempt_ids:
            now = self._parts.clock.utc_s()
            # A ledger that fails now is noticed by the verdict; raising would hide a cancellation.
            with suppress(LedgerUnusable):
                await self._parts.ledger.run(
                    lambda store: store.withdraw(attempt_ids, reason="not sent", utc_s=now)
                )

    async def _wait_for_room(self) -> None:
        # Looked at again after each wake: an entry that is parked for an instant only leaves no room.
        while not self._has_room():
            self._room = anyio.Event()
            await self._room.wait()

    def _has_room(self) -> bool:
        if self._parts.drain.begun:
            return True
        busy = self._parking.active_count >= self._parts.permits.limit
        return not busy and self._parking.parked_count < max(PARKED_MIN, self._parts.settings.parked_max)


def _is_meant(file: LoadedFile, passage: Passage) -> bool:
    """Whether what was read ahead is what was planned, and what was found good."""
    return file.fingerprint.size == passage.source.size and passage.checked in (None, file.fingerprint)


def _passage(work: StagedEntry) -> Passage:
    if work.known is None or work.source is None:
        raise AssertionError("only registered entries with a file are sent")
    return Passage(work=work, entry_id=work.known.entry_id, source=work.source, checked=work.checked)
