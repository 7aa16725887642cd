"""The library's front door: what the command line does, in a few lines of Python."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Required, TypedDict, Unpack
from weakref import WeakSet

import msgspec
from msgspec.structs import replace

from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.network import DIRECT
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.secret import key_and_source
from bulk_upload.core.events import Noticed
from bulk_upload.core.machine.shortage import naming_shortage
from bulk_upload.core.manifest.name_template import NameTemplate
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import EntryState
from bulk_upload.core.purposes import PURPOSES, known_purposes
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.control import listening
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.ledger import (
    JobIdentity,
    LedgerReader,
    Staging,
    default_ledger_path,
    open_ledger,
    remembered,
    require_same,
)
from bulk_upload.edge.manifest_file import ManifestFile, require_place_for_ledger
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport import Transport, TransportSettings
from bulk_upload.edge.validation import Workers, usable_processors
from bulk_upload.engine.assembly import assemble
from bulk_upload.engine.plan import Preparation
from bulk_upload.engine.plan_progress import PlanProgress
from bulk_upload.engine.planned_entries import StagedEntries
from bulk_upload.engine.validation.file_validator import FileValidator
from bulk_upload.job_run import JobRun, Result
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from bulk_upload.core.api.network import Network
    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.edge.ledger import Ledger
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.run import Run

READING_THREADS = 8
"""Enough for any disk, and fewer than the most uploads in flight: each thread costs memory of its own, which the C
library keeps for it (2 MB and more with blocks of this size). Threads that hang do not count."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to upload and where its ledger lies.

    Args:
        manifest: path of a JSONL or CSV manifest, `-` for standard input.
        ledger: path of the ledger; by default beside the manifest, named after it and the endpoint.
        ledger_dir: folder of the ledger in place of the manifest's; `ledger` goes before it.
        root: folder that relative paths start from; by default the manifest's folder.
        purpose: for entries that name none.
        follow_symlinks: symbolic links may lead out of the root.
        allow_outside: absolute paths and leading `..` may name files outside the root.
        force: send entries whose purpose is unknown, and files that validation found invalid.
        moved_root: the tree moved to another root since the ledger was made.
        name_template: makes the sent name of entries without a `remote_name`, such as `{folder}-{name}`.
        private: the ledger, and what lies beside it, is for its owner alone (mode 0600).
    """

    manifest: str
    ledger: str | None = None
    ledger_dir: str | None = None
    root: str | None = None
    purpose: str | None = None
    follow_symlinks: bool = False
    allow_outside: bool = False
    force: bool = False
    moved_root: bool = False
    name_template: str | None = None
    private: bool = False


class Uploader:
    """Uploads to one endpoint with one key.

    Args:
        api_key: sent as it is, in the profile's header. A callable is asked for it, and asked again, once, when the
            server refuses the key in the midst of a run.
        base_url: by default the profile's own.
        team: for the profile's team header.
        settings: of every run.
        stall_s: how long a request may stand still, and a call to the file system go unanswered.
        answer_s: how long a whole answer may take after the last byte of a body left.
        min_bytes_per_s: the least speed of a body over a minute; 0 lets any be.
        allow_plain_http: the key may go unencrypted to a server that is not this machine.
        network: proxy and certificates.
        purposes: what is known of each purpose; see `core.schema_file.read_schemas` for more than the usual ones.
        on_event: called with every event of every run, on the event loop; must be quick and must not raise.
        clock: time and chance.

    Raises UsageError when the key or the address cannot be used.
    """

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str],
        base_url: str | None = None,
        profile: Profile = FLOW,
        team: str | None = None,
        settings: RunSettings | None = None,
        stall_s: float = 60.0,
        answer_s: float = 300.0,
        min_bytes_per_s: float = 0.0,
        allow_plain_http: bool = False,
        network: Network = DIRECT,
        purposes: Mapping[str, Purpose] = PURPOSES,
        on_event: Callable[[Event], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._profile = profile
        self._endpoint = endpoint_of(
            profile.base_url if base_url is None else base_url, allow_plain_http=allow_plain_http
        )
        self._api_key, self._read_key_again = key_and_source(api_key)
        self._network = network
        self._purposes = purposes
        self._team = team
        self._settings = settings or RunSettings()
        self._stall_s = stall_s
        self._answer_s = answer_s
        self._min_bytes_per_s = min_bytes_per_s
        self._on_event = on_event
        self._clock = clock or SystemClock()
        self._runs: WeakSet[JobRun] = WeakSet()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for one in list(self._runs):
            await one.aclose()

    def run(self, job: Job | str | os.PathLike[str]) -> JobRun:
        """Return a run of a job, or of a manifest with defaults.

        `await` it for the Result, or iterate it (`async for receipt in …`) to have each receipt as it is
        recorded; the iteration ends with the run, and `result` is set then.
        """
        if not isinstance(job, Job):
            job = Job(manifest=os.fspath(job))
        run = JobRun(partial(self._execute, job), self._on_event)
        self._runs.add(run)
        return run

    def ledger_path(self, job: Job) -> str:
        """Return where a job's ledger lies. Raises UsageError for a manifest without a place of its own."""
        if job.ledger is not None:
            return job.ledger
        require_place_for_ledger(job.manifest)
        return default_ledger_path(
            job.manifest,
            folder=job.ledger_dir,
            endpoint=self._endpoint,
            home_endpoint=self._profile.base_url,
        )

    def plan(
        self,
        job: Job,
        *,
        on_entry: Callable[[PlannedEntry], None] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> Plan:
        """Return what a run of a job would do now; touches nothing, sends nothing. Blocks.

        `on_entry` is called with every entry with its step and the reason for it, in manifest order;
        `on_progress` is called now and then with how many entries were read. Raises ManifestInvalid, LedgerUnusable,
        UsageError.
        """
        ledger_path = self.ledger_path(job)
        known = os.path.exists(ledger_path)
        with ManifestFile(job.manifest) as manifest:
            staging = Staging(None)
            try:
                preparation = self._preparation(job, manifest, staging, on_progress)
                if known:
                    self._require_same(ledger_path, job, preparation.tree.root)
                    staging.attach(ledger_path)
                plan = preparation.plan(manifest.lines())
                if on_entry is not None:
                    for page in staging.pages():
                        for one in page:
                            on_entry(one)
                return plan
            finally:
                staging.close()

    def _preparation(
        self,
        job: Job,
        manifest: ManifestFile,
        staging: Staging,
        on_progress: Callable[[int], None] | None,
    ) -> Preparation:
        tree = SourceTree(
            job.root if job.root is not None else manifest.base_folder,
            follow_symlinks=job.follow_symlinks,
            allow_outside=job.allow_outside,
        )
        rules = ManifestRules(
            where=manifest.name,
            root=tree.root,
            root_as_typed=tree.root_as_typed,
            allow_outside=job.allow_outside,
            default_purpose=job.purpose,
            purposes=known_purposes(self._profile.purposes, self._purposes),
            allow_unknown_purpose=job.force,
            file_field=self._profile.file_field,
            name_template=None if job.name_template is None else NameTemplate(job.name_template),
        )
        return Preparation(
            rules=rules,
            tree=tree,
            staging=staging,
            profile=self._profile,
            retry=self._settings_for(job).retry,
            on_progress=on_progress,
        )

    def _settings_for(self, job: Job) -> RunSettings:
        if not job.force:
            return self._settings
        retry = self._settings.retry | {EntryState.INVALID}
        return replace(self._settings, retry=retry, sends_invalid=True)

    async def _execute(
        self, job: Job, emit: Callable[[Event], None], started: Callable[[Run], None]
    ) -> Result:
        with naming_shortage():
            return await self._run_job(job, emit, started)

    async def _run_job(
        self, job: Job, emit: Callable[[Event], None], started: Callable[[Run], None]
    ) -> Result:
        loop = asyncio.get_running_loop()
        pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-prepare")
        ledger_path = self.ledger_path(job)
        manifest = await loop.run_in_executor(pool, ManifestFile, job.manifest)
        ledger = None
        staging = None
        try:
            existed = await loop.run_in_executor(pool, os.path.exists, ledger_path)
            staging = Staging(None)
            progress = PlanProgress(emit)
            preparation = self._preparation(job, manifest, staging, progress.put)
            if existed:
                # Locked before anything is planned: what the plan saw must still hold when it is carried out.
                ledger = self._open_ledger(ledger_path, job, preparation.tree.root)
                staging.attach(ledger_path)
            async with progress.emitted():
                plan = await loop.run_in_executor(pool, preparation.plan, manifest.lines())
            if ledger is None:
                ledger = self._open_ledger(ledger_path, job, preparation.tree.root)
                staging.attach(ledger_path)
            reader = FileReader(
                preparation.tree,
                thread_count=READING_THREADS,
                stuck_s=self._stall_s,
                hashing=self._settings.hashing,
            )
            entries = StagedEntries(staging)
            workers = Workers(max(1, usable_processors() // 2))
            transport = Transport(self._transport_settings(), self._clock)
            async with transport.running():
                run = assemble(
                    settings=self._settings_for(job),
                    profile=self._profile,
                    clock=self._clock,
                    reader=reader,
                    transport=transport,
                    files_api=transport,
                    ledger=ledger.writer,
                    entries=entries,
                    plan=plan,
                    emit=emit,
                    learned=await ledger.writer.run(remembered),
                    validator=FileValidator(preparation.tree, workers, purposes=self._purposes),
                )
                started(run)
                try:
                    async with listening(
                        ledger.path,
                        run.control,
                        on_trouble=lambda why: emit(Noticed(message=why)),
                        on_error=run.fail,
                    ):
                        result = await run.execute()
                finally:
                    workers.close()
                    reader.close()
                    entries.close()
            return Result(status=result.status, states=result.states, stop=result.stop, ledger=ledger_path)
        finally:
            if ledger is not None:
                await ledger.close()
            if staging is not None:
                staging.close()
            manifest.close()
            pool.shutdown(wait=False)

    def _require_same(self, ledger_path: str, job: Job, root: str) -> None:
        with LedgerReader(ledger_path) as reader:
            facts = reader.job()
        if facts is not None:
            theirs = JobIdentity(
                profile=facts.profile, endpoint=facts.endpoint, team=facts.team, root=facts.root
            )
            require_same(self._identity(root), theirs, moved_root=job.moved_root)

    def _identity(self, root: str) -> JobIdentity:
        return JobIdentity(profile=self._profile.name, endpoint=self._endpoint, team=self._team, root=root)

    def _open_ledger(self, path: str, job: Job, root: str) -> Ledger:
        return open_ledger(
            path,
            self._identity(root),
            version=__version__,
            moved_root=job.moved_root,
            utc_s=self._clock.utc_s(),
            private=job.private,
        )

    def _transport_settings(self) -> TransportSettings:
        return TransportSettings(
            endpoint=self._endpoint,
            profile=self._profile,
            api_key=self._api_key,
            read_key_again=self._read_key_again,
            network=self._network,
            team=self._team,
            connection_limit=self._settings.caps.capacity,
            stall_s=self._stall_s,
            answer_s=self._answer_s,
            min_bytes_per_s=self._min_bytes_per_s,
            user_agent=f"bulk-upload/{__version__}",
        )


class UploaderOptions(TypedDict, total=False):
    """The arguments of `Uploader`, for `upload`."""

    api_key: Required[str | Callable[[], str]]
    base_url: str | None
    profile: Profile
    team: str | None
    settings: RunSettings | None
    stall_s: float
    answer_s: float
    min_bytes_per_s: float
    allow_plain_http: bool
    network: Network
    purposes: Mapping[str, Purpose]
    on_event: Callable[[Event], None] | None
    clock: Clock | None


def upload(job: Job | str | os.PathLike[str], **options: Unpack[UploaderOptions]) -> Result:
    """Run a job to its end and return the Result: the synchronous one-call form of `Uploader`.

    Keyword arguments are those of `Uploader`. Also works where an event loop is already running (a notebook):
    the run then has a thread of its own.
    """

    async def whole() -> Result:
        async with Uploader(**options) as up:
            return await up.run(job)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(whole())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(whole())).result()
