"""Makes the ledger of a job anew, from the server's list and the files of its manifest."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bulk_upload.core.api.secret import key_and_source
from bulk_upload.core.doubt.content import COMPARE_MAX_BYTES
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.ledger import Staging, open_ledger
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.transport import Transport, TransportSettings
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import ContentInquiry
from bulk_upload.engine.manifest_marks import record_manifest
from bulk_upload.engine.objects.readers import Readers
from bulk_upload.engine.planned_entries import StagedEntries
from bulk_upload.engine.recovery.contents import Contents
from bulk_upload.engine.recovery.rebuild import COMPARED_AT_ONCE, Rebuilder
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner, opened_manifest
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.edge.ledger import Ledger
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.recovery.rebuild import Rebuilt


class JobRebuild:
    """Gives a job's ledger the receipts that it lacks, for files that the server has. Sends and deletes nothing.

    Args:
        connection: the server.
        api_key: as for `Uploader`.
        decided_by: who rebuilds, as recorded in the ledger.
        trust_names: take a file by name, size and purpose where these name one entry only.
        compare_max_bytes: larger files are compared by ranges.
        purposes: the rules of each purpose; by default those of the profile.
        clock: time and randomness.

    Raises UsageError where the server has no list, or where neither names nor contents can decide.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        api_key: str | Callable[[], str],
        decided_by: str,
        trust_names: bool = False,
        compare_max_bytes: int = COMPARE_MAX_BYTES,
        purposes: Mapping[str, Purpose] | None = None,
        clock: Clock | None = None,
    ) -> None:
        _require_evidence(connection, trust_names=trust_names)
        self._connection = connection
        self._api_key, self._read_key_again = key_and_source(api_key)
        self._decided_by = decided_by
        self._trust_names = trust_names
        self._compare_max_bytes = compare_max_bytes
        self._planner = JobPlanner(connection, purposes=purposes)
        self._clock = clock or SystemClock()

    def ledger_path(self, job: Job) -> str:
        """Return the path of a job's ledger. Raises UsageError for a manifest that has no folder."""
        return self._planner.ledger_path(job)

    @property
    def planner(self) -> JobPlanner:
        """Plans jobs of this server, and lists folders."""
        return self._planner

    async def rebuild(
        self,
        job: Job,
        *,
        listing: FolderListing | None = None,
        on_started: Callable[[Rebuilt], None] = lambda _: None,
    ) -> Rebuilt:
        """Look for the file of every entry that a run would send, and record what is found.

        `listing` has the entries of a folder's job; `on_started` gets the counts, which go up meanwhile. What was found before an error stays recorded. Raises
        ManifestInvalid, LedgerUnusable, UsageError, CredentialsRefused and ServerUnusable.
        """
        path = self.ledger_path(job)
        with ExitStack() as closing:
            pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-prepare")
            closing.callback(pool.shutdown, wait=False)
            on_thread = asyncio.get_running_loop().run_in_executor
            manifest = await on_thread(pool, opened_manifest, job, listing)
            closing.callback(manifest.close)
            staging = Staging(None)
            closing.callback(staging.close)
            # Before anything is closed that its thread may use: SQLite would crash.
            closing.callback(pool.shutdown)
            closing.callback(staging.abandon)
            preparation = self._planner.preparation(job, manifest, staging, None, listing=listing)
            root = preparation.tree.root
            existed = await on_thread(pool, os.path.exists, path)
            ledger = self._open(path, job, root) if existed else None
            try:
                if existed:
                    staging.attach(path)
                await on_thread(pool, preparation.plan, manifest.lines())
                if ledger is None:
                    ledger = self._open(path, job, root)
                    staging.attach(path)
                files = FileReader(
                    preparation.tree,
                    thread_count=COMPARED_AT_ONCE,
                    stuck_s=self._connection.stall_s,
                    ignore_ctime=job.ignore_ctime,
                )
                reader = Readers(files, ObjectReader(self._planner.stores(job)))
                closing.callback(reader.close)
                entries = StagedEntries(staging)
                closing.callback(entries.close)
                rebuilt = await self._rebuild(ledger, entries, reader, on_started)
                now = self._clock.utc_s()
                if not rebuilt.undecided_count:
                    # From here on the next run knows what is at the server, and says nothing.
                    await record_manifest(ledger.writer, entries, manifest=manifest.path, utc_s=now)
                await ledger.writer.run(lambda store: store.end_run(exit_status=ExitStatus.DONE, utc_s=now))
            finally:
                if ledger is not None:
                    await ledger.close()
        return rebuilt

    async def _rebuild(
        self,
        ledger: Ledger,
        entries: StagedEntries,
        reader: Readers,
        on_started: Callable[[Rebuilt], None],
    ) -> Rebuilt:
        async with self._transport().running() as transport:
            inquiry = ContentInquiry(transport, ApiRetry(self._clock))
            rebuilder = Rebuilder(
                inquiry=inquiry,
                contents=Contents(files=reader, server=inquiry, compare_max_bytes=self._compare_max_bytes),
                profile=self._connection.profile,
                entries=entries,
                ledger=ledger.writer,
                clock=self._clock,
                decided_by=self._decided_by,
                trust_names=self._trust_names,
            )
            on_started(rebuilder.rebuilt)
            return await rebuilder.rebuild()

    def _open(self, path: str, job: Job, root: str) -> Ledger:
        return open_ledger(
            path,
            self._planner.identity(root),
            version=__version__,
            moved_root=job.moved_root,
            utc_s=self._clock.utc_s(),
            private=job.private,
        )

    def _transport(self) -> Transport:
        settings = TransportSettings(
            connection=self._connection,
            api_key=self._api_key,
            read_key_again=self._read_key_again,
            connection_limit=1,
            question_limit=COMPARED_AT_ONCE,
            user_agent=f"bulk-upload/{__version__}",
        )
        return Transport(settings, self._clock)


def _require_evidence(connection: Connection, *, trust_names: bool) -> None:
    """Raise UsageError where nothing could show which file is an entry's."""
    profile = connection.profile
    if not profile.can_list:
        raise UsageError(
            f"the profile {profile.name} says that the server has no list (can-list = false)",
            hint="without a list no ledger can be rebuilt: restore a copy of it",
        )
    if not profile.keeps_names and (trust_names or not profile.can_read_back):
        raise UsageError(
            f"the profile {profile.name} says that the server changes names (keeps-names = false)",
            hint="only contents can show which file is which: leave --trust-names out"
            if profile.can_read_back
            else "and it returns no contents: restore a copy of the ledger",
        )
