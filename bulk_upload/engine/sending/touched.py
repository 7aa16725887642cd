"""Finds out whether a file that was touched since it was accepted is still what the server has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.content_hash import NOT_INSTALLED, HashFunction, function_of, usable
from bulk_upload.core.doubt.content import TWO_CONTENTS
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import NOT_COMPARABLE, Step, same_content
from bulk_upload.core.run.retry import TryAgain
from bulk_upload.core.run.sender import PrepareRequest
from bulk_upload.core.run.source import SourceError, outcome_of
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.ledger import receipt_of, refresh
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.waits import Wait, Waits

if TYPE_CHECKING:
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.plan import KnownEntry
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import FilesApi, Ledger
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.core.run.sender import PreparedFile, Sender
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.doubt.api_retry import ApiRetry
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import Upload


class TouchedFiles:
    """Compares touched files with what was sent of them. Holds no slot."""

    def __init__(
        self,
        *,
        sender: Sender,
        files_api: FilesApi,
        api_retry: ApiRetry,
        settler: Settler,
        occupancy: Occupancy,
        stop_rules: StopRules,
        retry_policy: RetryPolicy,
        hashing: HashFunction | None,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        waits: Waits,
    ) -> None:
        self._sender = sender
        self._files_api = files_api
        self._api_retry = api_retry
        self._settler = settler
        self._occupancy = occupancy
        self._stop_rules = stop_rules
        self._retry_policy = retry_policy
        self._hashing = hashing
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._waits = waits
        self.compared_count = 0
        """Entries that were planned to be compared, and were, or cannot be in this run."""

    async def settles(self, upload: Upload, known: KnownEntry) -> bool:
        """Whether nothing is to be sent: the file has the content its receipt is for, or that cannot be found out now."""
        planned = upload.planned
        only_ctime = known.fingerprint is not None and upload.fingerprint.same_but_ctime(known.fingerprint)
        try:
            hashed = await self._hash(planned.entry.path, self._function_for(known))
        except SourceError as error:
            self.compared_count += planned.step is Step.COMPARE
            await self._unreadable(planned, known.entry_id, error, only_ctime=only_ctime)
            return True
        if hashed is None:
            return True
        self.compared_count += planned.step is Step.COMPARE
        content_hash, fingerprint = hashed
        upload.fingerprint = fingerprint
        only_ctime = known.fingerprint is not None and fingerprint.same_but_ctime(known.fingerprint)
        sent_hash = usable(known.content_hash)
        if sent_hash is None:
            try:
                sent_hash = await self._read_back(known.entry_id, like=content_hash)
                if sent_hash is None and known.content_hash is not None:
                    raise NoAnswer(f"{NOT_INSTALLED}, and the server returns no content")
            except NoAnswer as error:
                # Its receipt stays valid, whatever the file is by now.
                self._not_compared(planned, str(error))
                await self._settler.accepted(planned, known.entry_id)
                return True
        same = same_content(sent_hash, content_hash, only_ctime=only_ctime)
        if same.step is not Step.SETTLED:
            await self.put_back(known.entry_id, same.reason)
            return False
        if sent_hash is None:
            self._settler.notice(planned, NOT_COMPARABLE)
        same_hash = None if sent_hash is None else content_hash
        await self._ledger.run(
            lambda store: refresh(store, known.entry_id, fingerprint, content_hash=same_hash)
        )
        await self._settler.accepted(planned, known.entry_id)
        return True

    async def prepared(self, planned: PlannedEntry) -> tuple[PlannedEntry, SourceError | None]:
        """Return an entry with its file as it is now, or why that cannot be read."""
        entry = planned.entry
        # Opened, not read: a file of unknown size.
        request = PrepareRequest(
            path=entry.path, purpose=entry.purpose, planned_bytes=SMALL_FILE_BYTES_MAX + 1
        )
        found: PreparedFile | SourceError = SourceError(
            "the run ended before the file was read", transient=True
        )
        with self._drain.cut():
            (found,) = await self._sender.prepare([request])
        if isinstance(found, SourceError):
            return planned, found
        await self._sender.drop(found.number)
        return replace(planned, fingerprint=found.fingerprint), None

    def _function_for(self, known: KnownEntry) -> HashFunction:
        """Return what to hash a file with to compare it with its receipt, whatever the run hashes with."""
        sent_hash = usable(known.content_hash)
        if sent_hash is not None:
            return function_of(sent_hash)
        return self._hashing or HashFunction.SHA256

    async def _hash(self, path: str, function: HashFunction) -> tuple[str, Fingerprint] | None:
        """Hash a file as it is now; None when the run drains first. Raises SourceError."""
        tries = 0
        while not self._drain.begun:
            try:
                with self._drain.cut():
                    return await self._sender.hash_content(path, function)
            except SourceError as error:
                tries += 1
                if error.transient:
                    self._stop_rules.on_unreadable(error.reason, wire_bytes=self._sender.wire_bytes)
                decision = self._retry_policy.decide(
                    outcome_of(error), attempts_used=tries, budget_empty=False, jitter=self._clock.jitter()
                )
                if not isinstance(decision, TryAgain):
                    raise
                with self._occupancy.parked():
                    await self._drain.sleep(decision.delay_s)
        return None

    async def _unreadable(
        self, planned: PlannedEntry, entry_id: int, error: SourceError, *, only_ctime: bool
    ) -> None:
        """End an entry whose file cannot be compared.

        Where only the change time is another one, as after chmod, nothing else speaks against its receipt.
        """
        if not (error.transient or error.inaccessible or only_ctime):
            await self._settler.settle(planned, entry_id, EntryState.FAILED_LOCAL, error.reason)
            return
        # Pending, it would be sent without a comparison, and perhaps twice. Its receipt stays valid.
        self._not_compared(planned, error.reason)
        await self._settler.accepted(planned, entry_id)

    def _not_compared(self, planned: PlannedEntry, reason: str) -> None:
        self._settler.notice(
            planned, f"not compared with what was accepted: {reason}; the next run compares again"
        )

    async def _read_back(self, entry_id: int, *, like: str) -> str | None:
        """Return the hash of what the server has for an entry whose receipt has none; None where it gives nothing back.

        One that is not `like` the file's own is read twice: a single answer may be no content of the file. Raises
        NoAnswer, also when the run drains meanwhile.
        """
        function = function_of(like)
        receipt = await self._ledger.run(lambda store: receipt_of(store, entry_id))
        with self._occupancy.parked(), self._drain.cut():
            try:
                found = await self._api_retry.answer(partial(self._hash_of, receipt.file_id, function))
                if found in (None, like):
                    return found
                again = await self._api_retry.answer(partial(self._hash_of, receipt.file_id, function))
                if again not in (found, like):
                    raise NoAnswer(TWO_CONTENTS)
                return again
            except NoAnswer as error:
                if error.final:
                    return None
                raise
        raise NoAnswer("the run ended before the server gave the file back")

    async def _hash_of(self, file_id: str, function: HashFunction) -> str | None:
        with self._waits.on(Wait.SERVER):
            return next(iter(await self._files_api.hashes_of(file_id, (function,))), None)

    async def put_back(self, entry_id: int, reason: str) -> None:
        """Record that an accepted entry is to be sent again."""
        now = self._clock.utc_s()
        await self._ledger.run(
            lambda store: store.settle(entry_id, EntryState.PENDING, reason=reason, utc_s=now)
        )
