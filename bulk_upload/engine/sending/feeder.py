"""Feeds the plan's entries as slots come free; small files are read, and intents may be recorded, a batch ahead.

What is ready to be sent goes to the workers, everything else gets a task of its own.
"""

from __future__ import annotations

import math
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import anyio

from bulk_upload.core.bundle.grouping import FILES_MIN, Member, bundles_of, may_join
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.planned import PlannedEntry
from bulk_upload.core.run.records import NOBODY_YET, Intent
from bulk_upload.core.run.sender import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, PreparedFile, PrepareRequest
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.engine.upload import Upload
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from anyio.abc import ObjectReceiveStream, ObjectSendStream, TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.source import SourceError
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.clock_watch import ClockWatch
    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.limits.twins import TwinGate
    from bulk_upload.engine.sending.bundle_tasks import BundleTasks
    from bulk_upload.engine.sending.entry_task import EntryTasks
    from bulk_upload.engine.sending.workers import Workers
    from bulk_upload.engine.validation.gate import Gate

BATCH_LARGE_MAX = 16
"""Fewer large files than small ones are intended ahead: after a crash it is unknown whether an intent was acted on."""

PARKED_MIN = 256
"""More than two batches: fewer could all be waiting for a twin that was read ahead and has no room to start."""

READY_LEFT_MAX = 16
"""The next batch is handed on while this many entries of the last one are left, so that uploads never wait for it."""


class Feeder:
    """Hands the plan's entries on, in order, never many more than can be in progress.

    Args:
        bundle_tasks: send several small files in one request; None where each goes by itself.
        has_agents: agents may get files that nobody holds yet when their intents are recorded.
        intends_ahead: record intents a batch ahead. After a crash all of them are in doubt, so only where the server's
            list shows which were not acted on; elsewhere each attempt records its own.
    """

    def __init__(
        self,
        *,
        sender: Sender,
        ledger: Ledger[LedgerStore],
        gate: Gate,
        workers: Workers,
        bundle_tasks: BundleTasks | None,
        entry_tasks: EntryTasks,
        twins: TwinGate,
        slots: SlotPool,
        occupancy: Occupancy,
        conditions: Conditions,
        drain: Drain,
        clock: Clock,
        clock_watch: ClockWatch,
        intends_ahead: bool,
        has_agents: bool = False,
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._gate = gate
        self._workers = workers
        self._bundle_tasks = bundle_tasks
        self._entry_tasks = entry_tasks
        self._twins = twins
        self._slots = slots
        self._occupancy = occupancy
        self._conditions = conditions
        self._drain = drain
        self._clock = clock
        self._clock_watch = clock_watch
        self._intends_ahead = intends_ahead
        self._has_agents = has_agents
        self._ahead: dict[int, Upload] = {}
        """Uploads that hold their twin key, and perhaps a file and an intent, and that the workers do not have yet; by
        entry."""

    async def feed(self, pages: AsyncIterator[list[PlannedEntry]]) -> None:
        """Hand every entry on; return when all are started or the run drains."""
        try:
            with ExitStack() as streams:
                send, receive = anyio.create_memory_object_stream[list[Upload]](0)
                _close_at_end(streams, send, receive)
                async with plain_task_group() as ahead:
                    checked = await self._checked(pages, ahead, streams)
                    ahead.start_soon(self._prepare, checked, send)
                    async for batch in receive:
                        await self._start(batch)
            await self._until(self._nothing_is_ready)
        finally:
            # Cancelled or not: the ledger must not expect the end of what was never begun.
            with anyio.CancelScope(shield=True):
                await self._give_back()

    async def _start(self, batch: list[Upload]) -> None:
        if self._bundle_tasks is not None:
            started = await self._start_bundles(self._bundle_tasks, batch)
            batch = [upload for upload in batch if upload.entry_id not in started]
        ready = []
        for upload in batch:
            if self._is_ready(upload):
                del self._ahead[upload.entry_id]
                ready.append(upload)
                continue
            self._workers.put(ready)
            ready = []
            # In order: what is ready and comes before it has started by then.
            if not await self._until(self._has_room):
                return
            await self._entry_tasks.start(upload)
        self._workers.put(ready)
        await self._until(self._little_is_ready)

    async def _start_bundles(self, tasks: BundleTasks, batch: list[Upload]) -> set[int]:
        """Start what may go in bundles; return the entries. What is left over has its intent then."""
        bundling = tasks.bundling
        started: set[int] = set()
        alone: list[Upload] = []
        waiting = [one for one in batch if one.entry_id in self._ahead and self._may_join(one)]
        while waiting and bundling.is_on:
            if not await self._until(
                lambda: not bundling.is_on or (self._has_room() and bundling.may_begin())
            ):
                return started
            first = set(bundles_of(list(map(_member, waiting)), bundling.files_max)[0])
            together = [one for number, one in enumerate(waiting) if number in first]
            waiting = [one for number, one in enumerate(waiting) if number not in first]
            if len(together) < FILES_MIN:
                alone += together
                continue
            for upload in together:
                del self._ahead[upload.entry_id]
                started.add(upload.entry_id)
            await tasks.start(together)
        await self._intend([*alone, *waiting])
        return started

    async def _prepare(
        self, pages: AsyncIterator[list[PlannedEntry]], send: ObjectSendStream[list[Upload]]
    ) -> None:
        async with send:
            async for page in pages:
                for entries in _batches(page):
                    if self._drain.begun:
                        return
                    await send.send(await self._batch(entries))

    async def _checked(
        self, pages: AsyncIterator[list[PlannedEntry]], ahead: TaskGroup, streams: ExitStack
    ) -> AsyncIterator[list[PlannedEntry]]:
        """Return the pages of entries that may be sent, where files are validated ahead."""
        if not self._gate.runs_ahead:
            return pages
        send, receive = anyio.create_memory_object_stream[list[PlannedEntry]](math.inf)
        _close_at_end(streams, send, receive)
        ahead.start_soon(self._gate.run_ahead, pages, send)
        return self._taken(receive)

    async def _taken(
        self, receive: ObjectReceiveStream[list[PlannedEntry]]
    ) -> AsyncIterator[list[PlannedEntry]]:
        async with receive:
            async for page in receive:
                self._gate.taken(len(page))
                yield page

    async def _batch(self, entries: list[PlannedEntry]) -> list[Upload]:
        """Get a batch ready: read what is small, and record the intents of all that may be sent as they are."""
        batch = list(map(_upload, entries))
        small: list[tuple[Upload, PrepareRequest]] = []
        large: list[Upload] = []
        bytes_left = BATCH_BYTES_MAX
        for upload in batch:
            size = upload.fingerprint.size
            entry = upload.planned.entry
            is_small = size <= SMALL_FILE_BYTES_MAX and not self._gate.sent_checks.wants(
                entry.path, entry.purpose, size
            )
            if upload.planned.step is Step.COMPARE or (is_small and size > bytes_left):
                continue
            is_checked = self._gate.may_send(upload)
            if not is_checked and not self._gate.checks_when_read(upload):
                # What has no certain content yet has no intent either.
                continue
            if not self._twins.try_hold(upload.twin_key):
                continue
            self._ahead[upload.entry_id] = upload
            if is_small:
                bytes_left -= size
                small.append((upload, _prepare_request(upload, checks_content=not is_checked)))
            else:
                large.append(upload)
        prepared, ended = await self._read_ahead(small)
        if self._intends_ahead:
            # A bundle records its own: which uploads it has is known only when it starts.
            await self._intend([one for one in (*prepared, *large) if not self._may_join(one)])
        return [upload for upload in batch if upload.entry_id not in ended]

    def _may_join(self, upload: Upload) -> bool:
        """Whether an upload can be one of several in a request."""
        return (
            self._bundle_tasks is not None
            and upload.prepared is not None
            and upload.attempt_id is None
            and may_join(upload.planned.entry)
        )

    def _is_ready(self, upload: Upload) -> bool:
        """Whether a worker can make the first attempt: it holds its twin key, and its intent is recorded if it should be."""
        return upload.entry_id in self._ahead and (upload.attempt_id is not None or not self._intends_ahead)

    async def _read_ahead(self, small: list[tuple[Upload, PrepareRequest]]) -> tuple[list[Upload], set[int]]:
        """Read and check files; return what is to be sent, and which entries ended because of what was found."""
        to_send: list[Upload] = []
        ended: set[int] = set()
        files: list[PreparedFile | SourceError] = []
        if small:
            with self._drain.cut():
                files = await self._sender.prepare([request for _, request in small])
        # All of them before anything is awaited: what goes wrong from here on must find them to let them go.
        for (upload, _), file in zip(small, files, strict=False):
            if isinstance(file, PreparedFile):
                upload.prepared = file
        for upload, _ in small:
            if self._drain.begun:
                break
            if upload.prepared is None or not upload.is_planned(upload.prepared):
                # The attempt meets the same error again and reports it.
                await self._let_go(upload)
            elif not await self._gate.admits(upload, upload.prepared):
                ended.add(upload.entry_id)
                await self._let_go(upload)
            else:
                to_send.append(upload)
        return to_send, ended

    async def _let_go(self, upload: Upload) -> None:
        """Give back what was taken ahead for an upload without an intent."""
        await self._drop(upload)
        del self._ahead[upload.entry_id]
        self._twins.release(upload.twin_key)

    async def _drop(self, upload: Upload) -> None:
        prepared, upload.prepared = upload.prepared, None
        if prepared is not None:
            await self._sender.drop(prepared.number)

    async def _intend(self, uploads: list[Upload]) -> None:
        """Record that attempts are about to be made."""
        if not uploads or self._drain.begun:
            return
        now, offset_s = self._clock.utc_s(), self._clock_watch.offset_s()
        intents = [
            Intent(
                entry_id=upload.entry_id,
                attempt_no=1,
                sent_name=upload.planned.sent_name,
                fingerprint=upload.fingerprint if upload.prepared is None else upload.prepared.fingerprint,
                at_utc_s=now,
                content_hash=None if upload.prepared is None else upload.prepared.content_hash,
                clock_offset_s=offset_s,
                agent=self._agent_of(upload),
            )
            for upload in uploads
        ]
        # Shielded: an intent whose id is lost could not be marked as not sent.
        with anyio.CancelScope(shield=True):
            attempt_ids = await self._ledger.run(lambda store: store.intend(intents))
            for upload, attempt_id in zip(uploads, attempt_ids, strict=True):
                upload.attempt_id = attempt_id

    def _agent_of(self, upload: Upload) -> str | None:
        if upload.prepared is not None:
            return upload.prepared.agent
        return NOBODY_YET if self._has_agents else None

    async def _give_back(self) -> None:
        """Record as not sent what was read ahead and will not be started."""
        left = [*self._ahead.values(), *self._workers.give_back()]
        self._ahead.clear()
        for upload in left:
            await self._drop(upload)
        if await self._mark_not_sent([upload.attempt_id for upload in left if upload.attempt_id is not None]):
            for upload in left:
                self._twins.release(upload.twin_key)
        else:
            # An intent that stays open is in doubt.
            for upload in left:
                self._twins.bar(upload.twin_key)

    async def _mark_not_sent(self, attempt_ids: list[int]) -> bool:
        """Record that attempts were not made; return whether the ledger could."""
        if not attempt_ids:
            return True
        now = self._clock.utc_s()
        # A ledger that fails now is noticed when the run ends; raising would hide a cancellation.
        with suppress(LedgerUnusable):
            await self._ledger.run(
                lambda store: store.mark_not_sent(attempt_ids, reason="not sent", utc_s=now)
            )
            return True
        return False

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Wait until a condition holds; False when the run drains."""
        await self._conditions.until(lambda: self._drain.begun or holds())
        return not self._drain.begun

    def _has_room(self) -> bool:
        return self._occupancy.may_hold(self._occupancy.active_count + 1) and not self._workers.ready_count

    def _little_is_ready(self) -> bool:
        ready_count = self._workers.ready_count
        return ready_count < READY_LEFT_MAX and ready_count < self._slots.limit

    def _nothing_is_ready(self) -> bool:
        return not self._workers.ready_count


def _close_at_end(
    streams: ExitStack, send: MemoryObjectSendStream[Any], receive: MemoryObjectReceiveStream[Any]
) -> None:
    """Close both ends whatever happens: a task that never came to its first step closes nothing."""
    streams.enter_context(send)
    streams.enter_context(receive)


def _batches(page: list[PlannedEntry]) -> Iterator[list[PlannedEntry]]:
    """Yield batches of entries in order, as many and with as many large files as are prepared at once."""
    batch: list[PlannedEntry] = []
    large_count = 0
    for planned in page:
        is_large = planned.fingerprint is not None and planned.fingerprint.size > SMALL_FILE_BYTES_MAX
        if len(batch) == BATCH_ENTRIES_MAX or (is_large and large_count == BATCH_LARGE_MAX):
            yield batch
            batch, large_count = [], 0
        batch.append(planned)
        large_count += is_large
    if batch:
        yield batch


def _member(upload: Upload) -> Member:
    agent = None if upload.prepared is None else upload.prepared.agent
    return Member(upload.planned.entry.purpose, upload.twin_key.sent_name, agent)


def _prepare_request(upload: Upload, *, checks_content: bool) -> PrepareRequest:
    entry = upload.planned.entry
    return PrepareRequest(
        path=entry.path,
        purpose=entry.purpose,
        planned_bytes=upload.fingerprint.size,
        checks_content=checks_content,
        expected=upload.fingerprint,
    )


def _upload(planned: PlannedEntry) -> Upload:
    if planned.known is None or planned.fingerprint is None:
        raise AssertionError("only registered entries with a file are sent")
    return Upload(
        planned=planned,
        entry_id=planned.known.entry_id,
        fingerprint=planned.fingerprint,
        checked=planned.checked,
    )
