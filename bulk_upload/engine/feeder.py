"""Starts entries as slots come free; small files are read, and their intents recorded, a batch ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from bulk_upload.core.plan import Step
from bulk_upload.core.records import Intent
from bulk_upload.core.source import LoadedFile
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.attempt import Passage
from bulk_upload.engine.twins import TwinKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from anyio.abc import ObjectSendStream, TaskGroup

    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.attempt import Attempter
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts

BATCH_ENTRIES_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024


class Feeder:
    """Turns the plan's entries into tasks, in order, never many more than can be at work.

    Args:
        carry: carries one entry to its end; told whether the entry holds its twin key already.
    """

    def __init__(
        self,
        parts: Parts,
        parking: Parking,
        attempter: Attempter,
        carry: Callable[[Passage, bool], Coroutine[Any, Any, None]],
    ) -> None:
        self._parts = parts
        self._parking = parking
        self._attempter = attempter
        self._carry = carry
        self._room = anyio.Event()

    def on_change(self) -> None:
        """Look again whether there is room."""
        if not self._room.is_set() and self._has_room():
            self._room.set()

    async def feed(self, pages: AsyncIterator[list[StagedEntry]], tasks: TaskGroup) -> None:
        """Start a task for every entry; return when all are started or the run drains."""
        send, receive = anyio.create_memory_object_stream[list[tuple[Passage, bool]]](0)
        async with anyio.create_task_group() as ahead, receive:
            ahead.start_soon(self._prepare, pages, send)
            async for batch in receive:
                for index, (passage, holds_twin_key) in enumerate(batch):
                    await self._wait_for_room()
                    if self._parts.drain.begun:
                        await self._give_back(batch[index:])
                        break
                    tasks.start_soon(self._carry, passage, holds_twin_key)

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

    async def _batch(self, works: list[StagedEntry]) -> list[tuple[Passage, bool]]:
        batch = [(passage, False) for passage in map(_passage, works)]
        ahead: list[tuple[int, TwinKey]] = []
        bytes_left = BATCH_BYTES_MAX
        for index, (passage, _) in enumerate(batch):
            size = passage.source.size
            if passage.work.step is Step.COMPARE or size > SMALL_FILE_BYTES_MAX or size > bytes_left:
                continue
            key = TwinKey(passage.work.sent_name, size, passage.work.entry.purpose)
            if self._parts.twins.try_hold(key):
                bytes_left -= size
                ahead.append((index, key))
        await self._read_ahead(batch, ahead)
        return batch

    async def _read_ahead(self, batch: list[tuple[Passage, bool]], ahead: list[tuple[int, TwinKey]]) -> None:
        loaded = await self._parts.reader.load([batch[index][0].work.entry.path for index, _ in ahead])
        intents: list[Intent] = []
        meant: list[Passage] = []
        now = self._parts.clock.utc_s()
        for (index, key), file in zip(ahead, loaded, strict=True):
            passage = batch[index][0]
            if not isinstance(file, LoadedFile) or file.fingerprint.size != key.file_bytes:
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
                )
            )
        if intents:
            attempt_ids = await self._parts.ledger.run(lambda store: store.intend(intents))
            for passage, attempt_id in zip(meant, attempt_ids, strict=True):
                passage.attempt_id = attempt_id

    async def _give_back(self, batch: list[tuple[Passage, bool]]) -> None:
        """Record as not sent what was read ahead and will not be started."""
        for passage, _ in batch:
            await self._attempter.withdraw(passage)

    async def _wait_for_room(self) -> None:
        if self._has_room():
            return
        self._room = anyio.Event()
        await self._room.wait()

    def _has_room(self) -> bool:
        if self._parts.drain.begun:
            return True
        busy = self._parking.active_count >= self._parts.permits.limit
        return not busy and self._parking.parked_count < self._parts.settings.parked_max


def _passage(work: StagedEntry) -> Passage:
    if work.known is None or work.source is None:
        raise AssertionError("only registered entries with a file are sent")
    return Passage(work=work, entry_id=work.known.entry_id, source=work.source)
