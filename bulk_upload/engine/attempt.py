"""One attempt: slot, intent, request, record. The order is the guarantee."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.events import AttemptStarted
from bulk_upload.core.model import NotSent, SentBody, SourceFailed
from bulk_upload.core.multipart import form_fields
from bulk_upload.core.records import AttemptOver, Intent
from bulk_upload.core.source import LoadedFile, SourceError
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.transport import SendReport, Shipment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bulk_upload.core.limit import Ticket
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.records import Concluded
    from bulk_upload.core.source import Source
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.engine.parts import Parts


@dataclass(slots=True)
class Passage:
    """One entry's way through a run: what is known of it now.

    `loaded` and `attempt_id` are set when the file was read and its intent recorded ahead; both serve the first
    attempt only. `attempts_used` counts the attempts that count against the limit.
    """

    work: StagedEntry
    entry_id: int
    source: Fingerprint
    loaded: LoadedFile | None = None
    attempt_id: int | None = None
    attempt_no: int = 0
    attempts_used: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """A recorded attempt. `began_utc_s` is when its intent was recorded, `ended_utc_s` when it was over."""

    attempt_id: int
    concluded: Concluded
    sent: SentBody
    duration_s: float
    began_utc_s: float
    ended_utc_s: float


class Resized(Exception):
    """The file no longer has the size it was planned with: nothing was sent, its twins must be looked at anew."""

    def __init__(self, source: Fingerprint) -> None:
        super().__init__("resized")
        self.source = source


class Attempter:
    """Makes attempts. Holds nothing between them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def attempt(self, passage: Passage) -> AttemptResult | SourceError | None:
        """Make one attempt and record it.

        Returns None when the run drains before it began, SourceError when the file cannot be opened. Raises
        Resized, LedgerUnusable.
        """
        ticket = await self._parts.permits.acquire()
        if ticket is None:
            await self.withdraw(passage)
            return None
        try:
            async with self._opened(passage) as source:
                return await self._send(passage, ticket, source)
        except SourceError as error:
            self._parts.permits.cancel(ticket)
            await self.withdraw(passage)
            return error
        except Resized:
            self._parts.permits.cancel(ticket)
            raise

    async def withdraw(self, passage: Passage) -> None:
        """Record that an intent that was recorded ahead will not be acted on."""
        attempt_id, passage.attempt_id, passage.loaded = passage.attempt_id, None, None
        if attempt_id is not None:
            now = self._parts.clock.utc_s()
            await self._parts.ledger.run(
                lambda store: store.withdraw([attempt_id], reason="not sent", utc_s=now)
            )

    @asynccontextmanager
    async def _opened(self, passage: Passage) -> AsyncIterator[Source]:
        loaded, passage.loaded = passage.loaded, None
        path = passage.work.entry.path
        if loaded is None and passage.source.size <= SMALL_FILE_BYTES_MAX:
            (result,) = await self._parts.reader.load([path])
            if isinstance(result, SourceError):
                raise result
            loaded = result
        if loaded is not None:
            _require_size(loaded.fingerprint, passage)
            yield loaded
            return
        async with await self._parts.reader.open(path) as stream:
            _require_size(stream.fingerprint, passage)
            yield stream

    async def _send(self, passage: Passage, ticket: Ticket, source: Source) -> AttemptResult:
        parts = self._parts
        work = passage.work
        passage.attempt_no += 1
        began_utc_s = parts.clock.utc_s()
        attempt_id = passage.attempt_id
        if attempt_id is None:
            try:
                attempt_id = await self._intend(passage, source, began_utc_s)
            except BaseException:
                parts.permits.cancel(ticket)
                raise
        passage.attempt_id = None
        parts.emit(
            AttemptStarted(
                path=work.entry.path, attempt_no=passage.attempt_no, file_bytes=source.fingerprint.size
            )
        )
        started = parts.clock.monotonic()
        cancelled: list[SendReport] = []
        shipment = Shipment(
            sent_name=work.sent_name,
            purpose=work.entry.purpose,
            fields=tuple(form_fields(work.entry, parts.profile)),
            source=source,
        )
        try:
            report = await parts.transport.send(
                shipment, on_handed=parts.permits.handed, on_cancelled=cancelled.append
            )
        except BaseException:
            # Cancelled from outside: what is known of the request is recorded before the cancellation goes on.
            with anyio.CancelScope(shield=True):
                if cancelled:
                    await self._record(passage, ticket, attempt_id, cancelled[0])
            raise
        duration_s = parts.clock.monotonic() - started
        concluded = await self._record(passage, ticket, attempt_id, report)
        return AttemptResult(
            attempt_id=attempt_id,
            concluded=concluded,
            sent=report.sent,
            duration_s=duration_s,
            began_utc_s=began_utc_s,
            ended_utc_s=parts.clock.utc_s(),
        )

    async def _intend(self, passage: Passage, source: Source, now_utc_s: float) -> int:
        intent = Intent(
            entry_id=passage.entry_id,
            attempt_no=passage.attempt_no,
            sent_name=passage.work.sent_name,
            fingerprint=source.fingerprint,
            at_utc_s=now_utc_s,
        )
        (attempt_id,) = await self._parts.ledger.run(lambda store: store.intend([intent]))
        return attempt_id

    async def _record(
        self, passage: Passage, ticket: Ticket, attempt_id: int, report: SendReport
    ) -> Concluded:
        parts = self._parts
        parts.permits.answered(ticket, report.outcome, report.sent.file_bytes)
        try:
            judgement = parts.oversight.review(report.outcome, passage.entry_id)
            over = AttemptOver(
                attempt_id=attempt_id,
                entry_id=passage.entry_id,
                outcome=judgement.outcome,
                sent=report.sent,
                at_utc_s=parts.clock.utc_s(),
            )
            return await parts.ledger.run(lambda store: store.conclude(over, reopen=judgement.reopen))
        finally:
            parts.permits.recorded()


def _require_size(found: Fingerprint, passage: Passage) -> None:
    if found.size != passage.source.size:
        raise Resized(found)


def failed_to_open(error: SourceError) -> SourceFailed | NotSent:
    """Return the outcome of an attempt that never had a file to send."""
    if error.local_limit:
        return NotSent(reason=error.reason, local_limit=True)
    return SourceFailed(reason=error.reason)
