"""One attempt: slot, intent, request, record. The order is the guarantee."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from bulk_upload.core.events import AttemptStarted
from bulk_upload.core.model import Accepted, NotSent, SourceFailed, Unavailable
from bulk_upload.core.multipart import form_fields
from bulk_upload.core.records import AttemptOver, Intent
from bulk_upload.core.source import LoadedFile, SourceError, SourceGrew
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.transport import SendReport, Shipment
from bulk_upload.engine.passage import AttemptResult, Resized
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.limit import Ticket
    from bulk_upload.core.model import Fingerprint, Outcome
    from bulk_upload.core.records import Concluded
    from bulk_upload.core.source import Source
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import Passage


GOES_FIRST_ATTEMPTS = 3
"""An entry that was turned away this often lets others go first: an outage must not be asked about with it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A request that began: times are the clock's then."""

    attempt_id: int
    began_at: float
    began_utc_s: float


class Attempter:
    """Makes attempts. Holds nothing between them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def attempt(self, passage: Passage) -> AttemptResult | SourceError | None:
        """Make one attempt and record it.

        Returns None when the run drains before it began, SourceError when the file cannot be opened. Raises
        Resized, LedgerUnusable.
        """
        try:
            ticket = await self._parts.permits.acquire(ahead=0 < passage.attempt_no < GOES_FIRST_ATTEMPTS)
            return None if ticket is None else await self._use(ticket, passage)
        except SourceError as error:
            return error
        finally:
            await self._give_back(passage)

    async def attempt_ahead(
        self, passage: Passage, then: Callable[[AttemptResult | LedgerUnusable], None]
    ) -> Outcome | None:
        """Make the first attempt of an entry whose intent was recorded ahead; a small file was read then, too.

        Returns the outcome as soon as there is one: the slot is another's from then on. `then` hears later how it was
        recorded. None when the run drains before the request began; `then` hears nothing. Raises SourceError, Resized
        when the file is not what was intended: nothing was sent; and LedgerUnusable.
        """
        permits = self._parts.permits
        ticket = None
        local_limit = False
        try:
            ticket = permits.try_acquire() or await permits.acquire()
            if ticket is None:
                return None
            async with AsyncExitStack() as opened:
                source = await self._intended_source(passage, opened)
                if source is not None and permits.pause_since_s(ticket) > 0:
                    await self._outlast_pause(ticket)
                if source is None or self._parts.drain.begun:
                    return None
                request = self._begin(passage, source)
                report = await self._send(passage, ticket, source, request)
        except SourceError as error:
            local_limit = error.local_limit
            raise
        finally:
            if passage.attempt_id is not None:
                if ticket is not None:
                    permits.cancel(ticket, local_limit=local_limit)
                await self._give_back(passage)
        # The file is closed by now: its place may be another's as soon as the slot is.
        self._conclude(passage, ticket, request, report, then)
        return report.outcome

    async def _intended_source(self, passage: Passage, opened: AsyncExitStack) -> Source | None:
        """Return what was read ahead, or open the file that was intended; None when the run drains meanwhile."""
        loaded, passage.loaded = passage.loaded, None
        if loaded is not None:
            return loaded
        source: Source | None = None
        with self._parts.drain.cut():
            source = await opened.enter_async_context(self._opened(passage))
        if source is not None and source.fingerprint != passage.source:
            raise Resized(source.fingerprint)
        return source

    async def _use(self, ticket: Ticket, passage: Passage) -> AttemptResult | None:
        """Make a ticket a request, or give it back."""
        async with AsyncExitStack() as opened:
            try:
                source: Source | None = None
                with self._parts.drain.cut():
                    source = await opened.enter_async_context(self._opened(passage))
                if source is not None:
                    await self._intend(passage, source)
                    await self._outlast_pause(ticket)
                if source is None or self._parts.drain.begun:
                    self._parts.permits.cancel(ticket)
                    return None
            except BaseException as error:
                local_limit = isinstance(error, SourceError) and error.local_limit
                self._parts.permits.cancel(ticket, local_limit=local_limit)
                raise
            request = self._begin(passage, source)
            report = await self._send(passage, ticket, source, request)
            # It may be a whole file, and the ledger may take its time.
            del source
        # The file is closed by now: its place may be another's as soon as the slot is.
        return await self._record(passage, ticket, request, report)

    async def _give_back(self, passage: Passage) -> None:
        """Record that an intent will not be acted on, where there is one, whatever kept its request from beginning."""
        passage.loaded = None
        if passage.attempt_id is not None:
            # A cancellation may have: the ledger must not expect its end all the same.
            with anyio.CancelScope(shield=True):
                await self._withdraw(passage)

    async def _withdraw(self, passage: Passage) -> None:
        """Record that an intent will not be acted on, where there is one."""
        attempt_id, passage.attempt_id = passage.attempt_id, None
        if attempt_id is not None:
            now = self._parts.clock.utc_s()
            await self._parts.ledger.run(
                lambda store: store.withdraw([attempt_id], reason="not sent", utc_s=now)
            )

    async def _outlast_pause(self, ticket: Ticket) -> None:
        """Wait out a pause that the server asked for while the file was opened and its intent recorded."""
        parts = self._parts
        while (pause_s := parts.permits.pause_since_s(ticket)) > 0 and not parts.drain.begun:
            await parts.drain.sleep(pause_s)

    @asynccontextmanager
    async def _opened(self, passage: Passage) -> AsyncIterator[Source]:
        path = passage.work.entry.path
        if passage.source.size <= SMALL_FILE_BYTES_MAX:
            (result,) = await self._parts.reader.load([path])
            if isinstance(result, SourceGrew):
                raise Resized(result.fingerprint)
            if isinstance(result, SourceError):
                raise result
            _require_size(result.fingerprint, passage)
            yield result
            return
        async with self._parts.reader.source(path) as source:
            _require_size(source.fingerprint, passage)
            yield source

    async def _intend(self, passage: Passage, source: Source) -> None:
        """Record that an attempt is about to be made."""
        intent = Intent(
            entry_id=passage.entry_id,
            attempt_no=passage.attempt_no + 1,
            sent_name=passage.work.sent_name,
            fingerprint=source.fingerprint,
            at_utc_s=self._parts.clock.utc_s(),
            # A stream has read nothing yet.
            sha256=source.sha256 if isinstance(source, LoadedFile) else None,
        )
        # Shielded: an intent whose id nobody knows could not be withdrawn.
        with anyio.CancelScope(shield=True):
            (passage.attempt_id,) = await self._parts.ledger.run(lambda store: store.intend([intent]))
        await anyio.lowlevel.checkpoint_if_cancelled()

    def _begin(self, passage: Passage, source: Source) -> _Request:
        """Make the intent a request, and tell listeners."""
        clock = self._parts.clock
        attempt_id, passage.attempt_id = passage.attempt_id, None
        if attempt_id is None:
            raise AssertionError("only an intended attempt is made")
        passage.attempt_no += 1
        self._parts.emit(
            AttemptStarted(
                path=passage.work.entry.path,
                attempt_no=passage.attempt_no,
                file_bytes=source.fingerprint.size,
            )
        )
        return _Request(attempt_id=attempt_id, began_at=clock.monotonic(), began_utc_s=clock.utc_s())

    async def _send(self, passage: Passage, ticket: Ticket, source: Source, request: _Request) -> SendReport:
        parts = self._parts
        work = passage.work
        cancelled: list[SendReport] = []
        handed_bytes = 0

        def on_handed(count: int) -> None:
            nonlocal handed_bytes
            handed_bytes += count
            parts.permits.handed(count)

        shipment = Shipment(
            sent_name=work.sent_name,
            purpose=work.entry.purpose,
            fields=tuple(form_fields(work.entry, parts.profile)),
            source=source,
            ask_first=passage.ask_first,
            path=work.entry.path,
        )
        try:
            report = await parts.transport.send(
                shipment, on_handed=on_handed, on_cancelled=cancelled.append, pace=parts.throttle
            )
        except BaseException:
            # Cancelled from outside: what is known of the request is recorded before the cancellation goes on.
            with anyio.CancelScope(shield=True):
                if cancelled:
                    await self._record(passage, ticket, request, cancelled[0])
            raise
        if not isinstance(report.outcome, Accepted):
            parts.permits.taken_back(handed_bytes)
        return report

    async def _record(
        self, passage: Passage, ticket: Ticket, request: _Request, report: SendReport
    ) -> AttemptResult:
        recorded: asyncio.Future[AttemptResult] = asyncio.get_running_loop().create_future()
        self._conclude(passage, ticket, request, report, partial(_hand_over, recorded))
        return await recorded

    def _conclude(
        self,
        passage: Passage,
        ticket: Ticket,
        request: _Request,
        report: SendReport,
        then: Callable[[AttemptResult | LedgerUnusable], None],
    ) -> None:
        """Give the slot back and have the ledger record the outcome; `then` hears of it once it is durable."""
        parts = self._parts
        # Judged before the slot is given back: an answer that ends the run lets nothing more start.
        judgement = parts.oversight.review(report.outcome, passage.entry_id)
        parts.permits.answered(ticket, report.outcome, report.sent.file_bytes)
        if isinstance(report.outcome, Unavailable) and report.outcome.cut_off:
            passage.ask_first = True
        duration_s = parts.clock.monotonic() - request.began_at
        over = AttemptOver(
            attempt_id=request.attempt_id,
            entry_id=passage.entry_id,
            outcome=judgement.outcome,
            sent=report.sent,
            at_utc_s=parts.clock.utc_s(),
            began_utc_s=request.began_utc_s,
        )

        def recorded(concluded: Concluded | LedgerUnusable) -> None:
            parts.permits.recorded()
            if isinstance(concluded, LedgerUnusable):
                then(concluded)
                return
            then(
                AttemptResult(
                    attempt_id=over.attempt_id,
                    concluded=concluded,
                    probe=ticket.probe,
                    sent=over.sent,
                    duration_s=duration_s,
                    began_utc_s=request.began_utc_s,
                    ended_utc_s=over.at_utc_s,
                )
            )

        try:
            parts.ledger.conclude(over, recorded, reopen=judgement.reopen)
        except LedgerUnusable:
            parts.permits.recorded()
            raise


def _hand_over(future: asyncio.Future[AttemptResult], result: AttemptResult | LedgerUnusable) -> None:
    if future.done():
        return
    if isinstance(result, LedgerUnusable):
        future.set_exception(result)
    else:
        future.set_result(result)


def _require_size(found: Fingerprint, passage: Passage) -> None:
    if found.size != passage.source.size or passage.checked not in (None, found):
        raise Resized(found)


def failed_to_open(error: SourceError) -> SourceFailed | NotSent:
    """Return the outcome of an attempt that never had a file to send."""
    if error.local_limit:
        return NotSent(reason=error.reason, local_limit=True)
    return SourceFailed(reason=error.reason)
