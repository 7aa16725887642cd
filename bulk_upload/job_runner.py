"""Runs jobs against one server: opens the manifest, the ledger and the transport, and starts the engine."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from importlib import import_module
from threading import Event as Flag
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from bulk_upload.core.api.secret import key_and_source
from bulk_upload.core.content_hash import require
from bulk_upload.core.events import Noticed
from bulk_upload.core.machine.shortage import naming_shortage
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.control import listening
from bulk_upload.edge.files import READING_THREADS, FileReader
from bulk_upload.edge.ledger import Staging, has_receipts, open_ledger, remembered
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.engine.manifest_marks import record_manifest
from bulk_upload.engine.objects.readers import Readers
from bulk_upload.engine.plan_progress import PlanProgress
from bulk_upload.engine.planned_entries import StagedEntries
from bulk_upload.job_closing import close_plan, close_unwanted
from bulk_upload.job_plan import JobInput, JobPlanner, opened_manifest
from bulk_upload.job_run import JobRun, Result
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from typing import Self

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import FleetSettings
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import AnyPath
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.core.run.ports import Reader
    from bulk_upload.edge.ledger import Ledger
    from bulk_upload.edge.transport import Transport, TransportSettings
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.plan import Plan, Preparation
    from bulk_upload.engine.recovery.first_look import FirstLook
    from bulk_upload.engine.run import Run
    from bulk_upload.engine.validation.validating import Validating
    from bulk_upload.job_fleet import JobFleet

SENDS = "bulk_upload.engine.assembly"
"""The module that imports all that sends, an HTTP library above all, which takes as long as everything else together.
Only a run needs it, and imports it on its thread: neither a program that starts nor an event loop waits for it."""


class JobRunner:
    """Plans and runs jobs against one server.

    Args:
        connection: the server.
        api_key: sent as it is, in the profile's header. A callable is asked for it, and asked again, once, when the
            server refuses the key during a run.
        settings: of every run.
        purposes: the rules of each purpose; by default those of the profile.
        on_event: called with every event of every run, on the event loop; must be quick and must not raise.
        clock: time and randomness.
        fleet: where the agents come from that read and send in place of this process.

    Raises UsageError when the key cannot be used.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        api_key: str | Callable[[], str],
        settings: RunSettings | None = None,
        purposes: Mapping[str, Purpose] | None = None,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
        fleet: FleetSettings | None = None,
    ) -> None:
        self._connection = connection
        self._api_key, self._read_key_again = key_and_source(api_key)
        self._settings = settings or RunSettings()
        require(self._settings.hashing)
        self._purposes = purposes_of(connection.profile.name) if purposes is None else purposes
        self._planner = JobPlanner(connection, settings=self._settings, purposes=self._purposes)
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._fleet = fleet
        self._runs: WeakSet[JobRun] = WeakSet()
        self._given_up: WeakSet[Future[Any]] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in list(self._runs):
            await one.aclose()

    def run(self, job: Job | AnyPath, *, listing: FolderListing | None = None) -> JobRun:
        """Return a run of a job, or of a manifest with defaults. `listing` has the entries of a folder's job.

        `await` it for the Result, or iterate it (`async for entry in …`) to have each entry as it is settled;
        the iteration ends with the run, and `result` is set then.
        """
        known = JobInput(job=job if isinstance(job, Job) else Job(job), listing=listing)
        return self._run_of(lambda _: known)

    def run_input(self, given: JobInput) -> JobRun:
        """Return a run of a job with what is known of its folder: the verdict counts files that are left out."""
        return self._run_of(lambda _: given)

    def _run_of(self, source: Callable[[Callable[[int], None]], JobInput]) -> JobRun:
        """Return a run of a job that is known once the run begins.

        `source` may block; it calls its argument with how many files it has found, which raises when the run is given up.
        """
        run = JobRun(partial(self._execute, source), self._on_event)
        self._runs.add(run)
        return run

    async def settled(self, timeout_s: float) -> None:
        """Wait until the plans that cancelled runs gave up are over, at most so long: a pipe may never answer."""
        given_up = [asyncio.wrap_future(one) for one in self._given_up if not one.done()]
        if given_up:
            over, _ = await asyncio.wait(given_up, timeout=timeout_s)
            for one in over:
                # Nobody else asks why it failed.
                one.exception()

    @property
    def planner(self) -> JobPlanner:
        """Plans jobs of this server, and lists folders."""
        return self._planner

    def ledger_path(self, job: Job) -> str:
        """Return the path of a job's ledger. Raises UsageError for a manifest that has no folder."""
        return self._planner.ledger_path(job)

    def plan(
        self,
        job: Job,
        *,
        listing: FolderListing | None = None,
        on_entry: Callable[[PlannedEntry], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Plan:
        """Return what a run of a job would do now; touches nothing, sends nothing. Blocks.

        `listing` has the entries of a folder's job; `on_entry` is called with every entry with its step and the reason for it, in manifest order;
        `on_progress` is called periodically with how many entries were read. Raises ManifestInvalid, LedgerUnusable,
        UsageError.
        """
        return self._planner.plan(job, listing=listing, on_entry=on_entry, on_progress=on_progress)

    async def _execute(
        self,
        source: Callable[[Callable[[int], None]], JobInput],
        emit: Callable[[Event], None],
        started: Callable[[Run], None],
    ) -> Result:
        with naming_shortage(), self._job_fleet(emit) as fleet:
            pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-prepare")
            try:
                given = await self._input(source, pool)
                for words in given.left_out:
                    emit(Noticed(message=words))
                try:
                    await asyncio.wrap_future(pool.submit(import_module, SENDS))
                    return await self._run_job(given, pool, emit, started, fleet)
                finally:
                    given.close()
            finally:
                pool.shutdown(wait=False)

    async def _input(
        self, source: Callable[[Callable[[int], None]], JobInput], pool: ThreadPoolExecutor
    ) -> JobInput:
        left = Flag()

        def on_count(_: int) -> None:
            if left.is_set():
                raise CancelledError

        found = pool.submit(source, on_count)
        try:
            return await asyncio.wrap_future(found)
        except asyncio.CancelledError:
            left.set()
            self._given_up.add(found)
            found.add_done_callback(close_unwanted)
            raise

    async def _run_job(
        self,
        given: JobInput,
        pool: ThreadPoolExecutor,
        emit: Callable[[Event], None],
        started: Callable[[Run], None],
        fleet: JobFleet | None,
    ) -> Result:
        from bulk_upload.engine.assembly import assemble  # noqa: PLC0415 - imported by now
        from bulk_upload.engine.sending.late_imports import RETRYING, late_imports  # noqa: PLC0415

        loop = asyncio.get_running_loop()
        job, listing = given.job, given.listing
        ledger_path = self.ledger_path(job)
        manifest = await loop.run_in_executor(pool, opened_manifest, job, listing)
        ledger = None
        staging = None
        planning: Future[Plan] | None = None
        try:
            existed = await loop.run_in_executor(pool, os.path.exists, ledger_path)
            staging = Staging(None)
            progress = PlanProgress(emit)
            preparation = self._planner.preparation(job, manifest, staging, progress.put, listing=listing)
            if existed:
                # Locked before planning: what the plan is based on must still be true when it is executed.
                ledger = self._open_ledger(ledger_path, job, preparation.tree.root, emit)
                staging.attach(ledger_path)
            async with progress.emitted():
                planning = pool.submit(preparation.plan, manifest.lines())
                plan = await asyncio.wrap_future(planning)
            if ledger is None:
                ledger = self._open_ledger(ledger_path, job, preparation.tree.root, emit)
                staging.attach(ledger_path)
            reader = self._readers(job, preparation)
            entries = StagedEntries(staging)
            async with (
                self._transport().running() as transport,
                self._validating(job, preparation, reader) as validator,
            ):
                try:
                    if self._settings.looks_first:
                        plan = await self._first_look(transport, reader, entries, ledger).look(plan)
                    run = assemble(
                        settings=self._planner.settings_for(job),
                        profile=self._connection.profile,
                        clock=self._clock,
                        reader=reader,
                        transport=transport,
                        files_api=transport,
                        ledger=ledger.writer,
                        entries=entries,
                        plan=plan,
                        emit=emit,
                        learned=await ledger.writer.run(remembered),
                        address_known=await ledger.writer.run(has_receipts),
                        validator=validator,
                        fleet=None
                        if fleet is None
                        else await fleet.parts(
                            connection=self._connection,
                            credentials=transport.credentials,
                            settings=self._planner.settings_for(job),
                            job=job,
                            root=preparation.tree.root,
                            purposes=self._purposes,
                            entries=entries,
                            objects=reader.objects,
                            plan=plan,
                            ledger=ledger.writer,
                        ),
                    )
                    started(run)
                    dropped_count = await record_manifest(
                        ledger.writer,
                        entries,
                        manifest=manifest.path,
                        is_partial=preparation.is_partial,
                        utc_s=self._clock.utc_s(),
                    )
                    async with (
                        listening(
                            ledger.path,
                            run.control,
                            on_trouble=lambda why: emit(Noticed(message=why)),
                            on_error=run.fail,
                        ),
                        nullcontext() if fleet is None else fleet.at_work(run.crew),
                        late_imports(RETRYING),
                    ):
                        result = await run.execute(is_short=given.is_short)
                finally:
                    reader.close()
                    entries.close()
            return Result(
                status=result.status,
                states=result.states,
                stop=result.stop,
                ledger=ledger_path,
                dropped_count=dropped_count,
                uncompared_count=result.uncompared_count,
                left_out=given.left_out,
                only=given.only,
            )
        finally:
            try:
                if ledger is not None:
                    await ledger.close()
            finally:
                if planning is not None:
                    self._given_up.add(planning)
                close_plan(pool, planning, staging, manifest)

    @asynccontextmanager
    async def _validating(
        self, job: Job, preparation: Preparation, reader: Readers
    ) -> AsyncIterator[Validating | None]:
        """Have what checks the content of files while the block runs; None where nothing is validated."""
        if self._settings.validate is ValidateMode.OFF:
            yield None
            return
        from bulk_upload.edge.machine import usable_processors  # noqa: PLC0415 - with validation
        from bulk_upload.edge.validation.workers import Workers  # noqa: PLC0415 - with validation
        from bulk_upload.engine.objects.validator import ObjectValidator  # noqa: PLC0415
        from bulk_upload.engine.validation.file_validator import FileValidator  # noqa: PLC0415

        workers = Workers(max(1, usable_processors() // 2))
        files = FileValidator(
            preparation.tree,
            workers,
            purposes=self._purposes,
            choice=self._settings.rules,
            ignore_ctime=job.ignore_ctime,
        )
        try:
            yield ObjectValidator(files, reader.objects)
        finally:
            workers.close()

    def _readers(self, job: Job, preparation: Preparation) -> Readers:
        hashing = self._settings.hashing
        files = FileReader(
            preparation.tree,
            thread_count=READING_THREADS,
            stuck_s=self._connection.stall_s,
            hashing=hashing,
            ignore_ctime=job.ignore_ctime,
        )
        return Readers(files, ObjectReader(self._planner.stores(job), hashing=hashing))

    def _first_look(
        self, transport: Transport, reader: Reader, entries: StagedEntries, ledger: Ledger
    ) -> FirstLook:
        from bulk_upload.engine.recovery.first_look import FirstLook  # noqa: PLC0415 - with what sends

        return FirstLook(
            files_api=transport,
            files=reader,
            profile=self._connection.profile,
            entries=entries,
            ledger=ledger.writer,
            runs=ledger.earlier,
            clock=self._clock,
        )

    def _open_ledger(self, path: str, job: Job, root: str, emit: Callable[[Event], None]) -> Ledger:
        now, identity = self._clock.utc_s(), self._planner.identity(root)
        ledger = open_ledger(
            path, identity, version=__version__, moved_root=job.moved_root, utc_s=now, private=job.private
        )
        if ledger.notice is not None:
            emit(Noticed(message=ledger.notice))
        return ledger

    @contextmanager
    def _job_fleet(self, emit: Callable[[Event], None]) -> Iterator[JobFleet | None]:
        if self._fleet is None:
            yield None
            return
        from bulk_upload.job_fleet import JobFleet  # noqa: PLC0415 - few runs have agents

        with JobFleet(self._fleet, emit).preparing() as fleet:
            yield fleet

    def _transport(self) -> Transport:
        from bulk_upload.edge.transport import Transport  # noqa: PLC0415 - with what sends

        return Transport(self._transport_settings(), self._clock)

    def _transport_settings(self) -> TransportSettings:
        from bulk_upload.edge.transport import TransportSettings  # noqa: PLC0415 - with what sends

        return TransportSettings(
            connection=self._connection,
            api_key=self._api_key,
            read_key_again=self._read_key_again,
            connection_limit=self._settings.caps.capacity,
            user_agent=f"bulk-upload/{__version__}",
        )
