"""Starts entries as slots come free; intents are recorded, and small files read, a batch ahead.

What was made ready ahead goes to the senders, everything else gets a task of its own.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio
import anyio.lowlevel

from bulk_upload.core.plan import Step
from bulk_upload.core.records import Intent
from bulk_upload.core.source import LoadedFile
from bulk_upload.core.work import StagedEntry
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.passage import Passage
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from bulk_upload.core.source import Look, SourceError
    from bulk_upload.engine.checking import Checking
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.senders import Senders

BATCH_ENTRIES_MAX = 64
BATCH_BYTES_MAX = 4 * 1024 * 1024
BATCH_LARGE_MAX = 16
"""Fewer large files than small ones are intended ahead: after a crash nobody knows of an intent whether it was acted on."""

PARKED_MIN = 256
"""More than two batches: fewer could all be waiting for a look-alike that was read ahead and has no room to start."""

READY_LEFT_MAX = 16
"""The next batch is handed on while so many entries of the last one are left: uploads never wait for it."""


class _Ahead(NamedTuple):
    """An entry whose file is to be read ahead, and looked at then."""

    passage: Passage
    look: Look | None


class Feeder:
    """Turns the plan's entries into tasks, in order, never many more than can be at work.

    Args:
        checking: says what may be sent.
        senders: take what is ready to be sent.
        carry: carries any other entry to its end.
    """

    def __init__(
        self,
        parts: Parts,
        parking: Parking,
        checking: Checking,
        senders: Senders,
        carry: Callable[[Passage], Coroutine[Any, Any, None]],
    ) -> None:
        self._parts = parts
        self._parking = parking
        self._checking = checking
        self._senders = senders
        self._carry = carry
        self._wanted: Callable[[], bool] | None = None
        self._change = asyncio.Event()
        self._intended: dict[int, Passage] = {}
        """Passages with an intent that the senders do not have yet, by the intent's attempt."""

    def on_change(self) -> None:
        """Look again whether what is waited for has come true."""
        if self._wanted is not None and (self._parts.drain.begun or self._wanted()):
            self._wanted = None
            self._change.set()

    async def feed(self, pages: AsyncIterator[list[StagedEntry]], tasks: TaskGroup) -> None:
        """Start a task for every entry; return when all are started or the run drains."""
        try:
            with ExitStack() as streams:
                send, receive = anyio.create_memory_object_stream[list[Passage]](0)
                _close_at_end(streams, send, receive)
                async with anyio.create_task_group() as ahead:
                    ahead.start_soon(self._prepare, self._checked(pages, ahead, streams), send)
                    async for batch in receive:
                        await self._start(batch, tasks)
            await self._until(self._nothing_is_ready)
        finally:
            # Cancelled or not: the ledger must not expect the end of what was never begun.
            with anyio.CancelScope(shield=True):
                await self._give_back()

    async def _start(self, batch: list[Passage], tasks: TaskGroup) -> None:
        for passage in batch:
            if passage.attempt_id is not None:
                del self._intended[passage.attempt_id]
                self._senders.put(passage)
                continue
            # In order: what is ready and comes before it has started by then.
            if not await self._until(self._has_room):
                return
            tasks.start_soon(self._carry, passage)
            # It counts as live from its first step on, which comes before our next one.
            await anyio.lowlevel.checkpoint()
        await self._until(self._little_is_ready)

    async def _prepare(
        self,
        pages: AsyncIterator[list[StagedEntry]],
        send: ObjectSendStream[list[Passage]],
    ) -> None:
        async with send:
            async for page in pages:
                for works in _batches(page):
                    if self._parts.drain.begun:
                        return
                    await send.send(await self._batch(works))

    def _checked(
        self, pages: AsyncIterator[list[StagedEntry]], ahead: TaskGroup, streams: ExitStack
    ) -> AsyncIterator[list[StagedEntry]]:
        """Return the pages of entries that may be sent, where files are looked into ahead."""
        if not self._checking.runs_ahead:
            return pages
        send, receive = anyio.create_memory_object_stream[list[StagedEntry]](math.inf)
        _close_at_end(streams, send, receive)
        ahead.start_soon(self._checking.run_ahead, pages, send)
        return self._taken(receive)

    async def _taken(
        self, receive: ObjectReceiveStream[list[StagedEntry]]
    ) -> AsyncIterator[list[StagedEntry]]:
        async with receive:
            async for page in receive:
                self._checking.taken(len(page))
                yield page

    async def _batch(self, works: list[StagedEntry]) -> list[Passage]:
        batch = list(map(_passage, works))
        ahead: list[_Ahead] = []
        large: list[Passage] = []
        bytes_left = BATCH_BYTES_MAX
        for passage in batch:
            size = passage.source.size
            is_small = size <= SMALL_FILE_BYTES_MAX
            if passage.work.step is Step.COMPARE or (is_small and size > bytes_left):
                continue
            look = None
            if not self._checking.may_send(passage):
                look = self._checking.look(passage)
                if look is None:
                    # What has no certain content yet has no intent either.
                    continue
            if not self._parts.twins.try_hold(passage.twin_key):
                continue
            if is_small:
                bytes_left -= size
                ahead.append(_Ahead(passage, look))
            else:
                large.append(passage)
        meant, ended = await self._read_ahead(ahead)
        await self._intend([*meant, *large])
        return [passage for passage in batch if passage.entry_id not in ended]

    async def _read_ahead(self, ahead: list[_Ahead]) -> tuple[list[Passage], set[int]]:
        """Read files and look at them; return what is to be sent, and which entries ended because of what was seen."""
        meant: list[Passage] = []
        ended: set[int] = set()
        loaded: list[LoadedFile | SourceError] = []
        if ahead:
            with self._parts.drain.cut():
                paths = [one.passage.work.entry.path for one in ahead]
                loaded = await self._parts.reader.load(paths, [one.look for one in ahead])
        if self._parts.drain.begun:
            return meant, ended
        for (passage, _), file in zip(ahead, loaded, strict=True):
            if not isinstance(file, LoadedFile) or not _is_meant(file, passage):
                # The attempt meets the same trouble again and says what it is.
                self._parts.twins.release(passage.twin_key)
                continue
            if not await self._checking.admits(passage, file):
                self._parts.twins.release(passage.twin_key)
                ended.add(passage.entry_id)
                continue
            passage.loaded = file
            meant.append(passage)
        return meant, ended

    async def _intend(self, meant: list[Passage]) -> None:
        """Record that attempts are about to be made."""
        if not meant or self._parts.drain.begun:
            return
        now = self._parts.clock.utc_s()
        intents = [
            Intent(
                entry_id=passage.entry_id,
                attempt_no=1,
                sent_name=passage.work.sent_name,
                fingerprint=passage.source if passage.loaded is None else passage.loaded.fingerprint,
                at_utc_s=now,
                sha256=None if passage.loaded is None else passage.loaded.sha256,
            )
            for passage in meant
        ]
        # Shielded: an intent whose id nobody knows could not be withdrawn.
        with anyio.CancelScope(shield=True):
            attempt_ids = await self._parts.ledger.run(lambda store: store.intend(intents))
            for passage, attempt_id in zip(meant, attempt_ids, strict=True):
                passage.attempt_id = attempt_id
                self._intended[attempt_id] = passage

    async def _give_back(self) -> None:
        """Record as not sent what was read ahead and will not be started."""
        left = (*self._intended.values(), *self._senders.withdraw())
        self._intended.clear()
        attempt_ids = [passage.attempt_id for passage in left if passage.attempt_id is not None]
        if attempt_ids:
            now = self._parts.clock.utc_s()
            # A ledger that fails now is noticed by the verdict; raising would hide a cancellation.
            with suppress(LedgerUnusable):
                await self._parts.ledger.run(
                    lambda store: store.withdraw(attempt_ids, reason="not sent", utc_s=now)
                )

    async def _until(self, wanted: Callable[[], bool]) -> bool:
        """Wait for something to come true; False when the run drains."""
        # Looked at again after each wake: an entry that is parked for an instant only leaves no room.
        while not (self._parts.drain.begun or wanted()):
            self._wanted = wanted
            self._change.clear()
            await self._change.wait()
        return not self._parts.drain.begun

    def _has_room(self) -> bool:
        busy = self._parking.active_count >= self._parts.permits.limit
        return not (busy or self._parking.is_full or self._senders.ready_count)

    def _little_is_ready(self) -> bool:
        return self._senders.ready_count < min(READY_LEFT_MAX, self._parts.permits.limit)

    def _nothing_is_ready(self) -> bool:
        return not self._senders.ready_count


def _close_at_end(
    streams: ExitStack, send: MemoryObjectSendStream[Any], receive: MemoryObjectReceiveStream[Any]
) -> None:
    """Close both ends whatever happens: a task that never came to its first step closes nothing."""
    streams.enter_context(send)
    streams.enter_context(receive)


def _batches(page: list[StagedEntry]) -> Iterator[list[StagedEntry]]:
    """Yield entries in order, so many and with so many large files as are made ready at once."""
    batch: list[StagedEntry] = []
    large_count = 0
    for work in page:
        is_large = work.source is not None and work.source.size > SMALL_FILE_BYTES_MAX
        if len(batch) == BATCH_ENTRIES_MAX or (is_large and large_count == BATCH_LARGE_MAX):
            yield batch
            batch, large_count = [], 0
        batch.append(work)
        large_count += is_large
    if batch:
        yield batch


def _is_meant(file: LoadedFile, passage: Passage) -> bool:
    """Whether what was read ahead is what was planned, and what was found good."""
    return file.fingerprint.size == passage.source.size and passage.checked in (None, file.fingerprint)


def _passage(work: StagedEntry) -> Passage:
    if work.known is None or work.source is None:
        raise AssertionError("only registered entries with a file are sent")
    return Passage(work=work, entry_id=work.known.entry_id, source=work.source, checked=work.checked)
