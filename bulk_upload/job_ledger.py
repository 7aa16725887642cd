"""A job opened by its ledger, after its runs: verify it, resolve entries in doubt, undo it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulk_upload.core.api.connection import STALL_S, Connection
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.network import DIRECT
from bulk_upload.core.api.secret import key_and_source
from bulk_upload.core.doubt.content import COMPARE_MAX_BYTES
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.ledger import Inventory, JobIdentity, LedgerReader, open_ledger, run_is_at_work
from bulk_upload.edge.ledger.recovery.missing import record_missing
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.edge.profiles import BUILT_IN
from bulk_upload.edge.transport import Transport, TransportSettings
from bulk_upload.engine.after.resolve import Resolving
from bulk_upload.engine.after.sent_files import SentFiles
from bulk_upload.engine.after.undo import Undoing
from bulk_upload.engine.after.verify import Verifier
from bulk_upload.engine.after.withdrawing import Withdrawals
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.comparing import Comparer
from bulk_upload.engine.doubt.inquiry import ContentInquiry, Inquiry
from bulk_upload.engine.doubt.reconciler import Reconciler
from bulk_upload.engine.doubt.resolution import Doubts
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.errors import LedgerLocked, LedgerMismatch, LedgerUnusable
from bulk_upload.exit_status import ExitStatus
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.objects.options import SourceOptions
    from bulk_upload.edge.ledger import JobFacts, Ledger
    from bulk_upload.engine.after.undo import Undone

QUESTIONS_AT_ONCE = 4


class JobLedger:
    """One job, identified by its ledger, and the server it belongs to.

    Args:
        path: the ledger. It says which endpoint, team and profile the job is for.
        api_key: as for `Uploader`.
        allow_plain_http: the key may go unencrypted to a server that is not this machine.
        stall_s: abort a query after this long without a byte.
        network: proxy and certificates.
        clock: time and randomness.
        profiles: the profiles that a ledger may be for, by name.
        sources: how stores of objects are reached, see `Job.sources`.

    Raises LedgerUnusable or one of its subclasses, and UsageError.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        api_key: str | Callable[[], str],
        allow_plain_http: bool = False,
        stall_s: float = STALL_S,
        network: Network = DIRECT,
        clock: Clock | None = None,
        profiles: Mapping[str, Profile] = BUILT_IN,
        sources: Sequence[SourceOptions] = (),
    ) -> None:
        path = os.fspath(path)
        self._stores = Stores(sources, allow_plain_http=allow_plain_http, stall_s=stall_s)
        self._path = path
        self._clock = clock or SystemClock()
        self.facts = facts_of(path)
        """Whose ledger it is."""
        profile = profile_of_job(self.facts, profiles)
        self._api_key, self._read_key_again = key_and_source(api_key)
        endpoint_of(self.facts.endpoint, allow_plain_http=allow_plain_http)
        self._connection = Connection(
            endpoint=self.facts.endpoint,
            profile=profile,
            team=self.facts.team,
            network=network,
            stall_s=stall_s,
        )

    @asynccontextmanager
    async def verifying(self) -> AsyncIterator[Verifier]:
        """Yield a verifier. Raises LedgerLocked while a run is active: its files are in flight."""
        if run_is_at_work(self._path):
            raise LedgerLocked(
                "a run is active on this ledger: its uploads would be reported as orphans",
                hint="verify after it has ended; `bulk-upload watch` shows its progress",
            )
        inventory = Inventory(self._path)
        try:
            async with self._transport().running() as transport:
                verifier = Verifier(
                    inventory,
                    ContentInquiry(transport, ApiRetry(self._clock)),
                    profile=self._connection.profile,
                    job_began_utc_s=utc_seconds(self.facts.created_utc) or 0.0,
                    questions_max=QUESTIONS_AT_ONCE,
                )
                try:
                    yield verifier
                finally:
                    verifier.close()
        finally:
            inventory.close()

    @asynccontextmanager
    async def resolving(
        self,
        *,
        decided_by: str,
        settle_s: float = 30.0,
        compare_max_bytes: int = COMPARE_MAX_BYTES,
        on_event: Callable[[Event], None] = lambda _: None,
    ) -> AsyncIterator[Resolving]:
        """Lock the ledger and yield an object that resolves its doubts. `decided_by` is recorded in the ledger.

        Files of more than `compare_max_bytes` bytes are compared by ranges before they are adopted.
        """
        settings = RunSettings(settle_s=settle_s, compare_max_bytes=compare_max_bytes)
        async with self._locked() as ledger, self._transport().running() as transport:
            drain, api_retry = Drain(lambda _: None), ApiRetry(self._clock)
            reconciler = Reconciler(
                files_api=transport,
                api_retry=api_retry,
                ledger=ledger.writer,
                profile=self._connection.profile,
                clock=self._clock,
                drain=drain,
                emit=on_event,
            )
            files = SentFiles(self.facts.root, stuck_s=self._connection.stall_s, stores=self._stores)
            comparer = Comparer(
                files_api=transport,
                api_retry=api_retry,
                files=files,
                ledger=ledger.writer,
                drain=drain,
                emit=on_event,
                compare_max_bytes=settings.compare_max_bytes,
                habits=reconciler.habits,
            )
            doubts = Doubts(
                reconciler=reconciler,
                comparer=comparer,
                files=files,
                profile=self._connection.profile,
                settings=settings,
                ledger=ledger.writer,
                drain=drain,
                clock=self._clock,
                decided_by=decided_by,
            )
            try:
                yield Resolving(
                    ledger=ledger.writer,
                    inquiry=Inquiry(transport, api_retry),
                    reconciler=reconciler,
                    doubts=doubts,
                    comparer=comparer,
                    settings=settings,
                    clock=self._clock,
                    decided_by=decided_by,
                )
            finally:
                files.close()

    @asynccontextmanager
    async def undoing(self, *, asked_by: str, on_undone: Callable[[Undone], None]) -> AsyncIterator[Undoing]:
        """Lock the ledger and yield an object that deletes its files. `asked_by` is recorded in the ledger."""
        async with self._locked() as ledger, self._transport().running() as transport:
            yield Undoing(
                ledger=ledger.writer,
                inquiry=Inquiry(transport, ApiRetry(self._clock)),
                clock=self._clock,
                asked_by=asked_by,
                on_undone=on_undone,
                questions_max=QUESTIONS_AT_ONCE,
                keeps_names=self._connection.profile.keeps_names,
            )

    @asynccontextmanager
    async def withdrawing(
        self, *, decided_by: str, on_event: Callable[[Event], None] = lambda _: None
    ) -> AsyncIterator[Withdrawals]:
        """Lock the ledger and yield an object that withdraws receipts. `decided_by` is recorded in the ledger."""
        async with self._locked() as ledger:
            yield Withdrawals(ledger=ledger.writer, clock=self._clock, emit=on_event, decided_by=decided_by)

    def note_missing(self, file_ids: Sequence[str], *, settle_s: float) -> int:
        """Record that the server no longer has the files of these receipts, and has those of all others; blocks.

        Return how many are recorded. Receipts younger than `settle_s` are left out: a file may be shown late. Raises
        LedgerLocked while a run is active, and LedgerUnusable.
        """
        return record_missing(self._path, file_ids, utc_s=self._clock.utc_s(), settle_s=settle_s)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[Ledger]:
        facts = self.facts
        identity = JobIdentity(
            profile=facts.profile, endpoint=facts.endpoint, team=facts.team, root=facts.root
        )
        ledger = open_ledger(
            self._path, identity, version=__version__, moved_root=False, utc_s=self._clock.utc_s()
        )
        try:
            yield ledger
            now = self._clock.utc_s()
            await ledger.writer.run(lambda store: store.end_run(exit_status=ExitStatus.DONE, utc_s=now))
        finally:
            await ledger.close()

    def _transport(self) -> Transport:
        settings = TransportSettings(
            connection=self._connection,
            api_key=self._api_key,
            read_key_again=self._read_key_again,
            connection_limit=1,
            question_limit=QUESTIONS_AT_ONCE,
            user_agent=f"bulk-upload/{__version__}",
        )
        return Transport(settings, self._clock)


def facts_of(path: str) -> JobFacts:
    """Return whose ledger it is. Raises LedgerUnusable, also for one that no run has claimed yet."""
    with LedgerReader(path) as reader:
        facts = reader.job()
    if facts is None:
        raise LedgerUnusable("the ledger has no job yet: no run has sent anything", hint="run its job first")
    return facts


def profile_of_job(facts: JobFacts, profiles: Mapping[str, Profile]) -> Profile:
    """Return the profile that a job is for. Raises LedgerMismatch for an unknown one."""
    if facts.profile not in profiles:
        raise LedgerMismatch(
            f"the ledger is for the profile {facts.profile}, which is not defined here",
            hint="run this in the folder of the bulk-upload.toml that defines it, or pass --config FILE",
        )
    return profiles[facts.profile]
