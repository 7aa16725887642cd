"""The agents of one job's run: what they are told, where they connect to, and who starts them."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from bulk_upload.core.events import Noticed
from bulk_upload.core.fleet.messages import AgentJob, FirstFile
from bulk_upload.core.fleet.settings import FleetAddress, FleetParts
from bulk_upload.core.fleet.wire import text_bytes
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.fleet import Access, AgentProcesses, EarlyProcesses
from bulk_upload.edge.ledger import expect_agents, first_of_each_home
from bulk_upload.edge.validation.surroundings import surroundings
from bulk_upload.engine.fleet.run_keys import RunKeys
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import FleetSettings
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.objects.reader import ObjectReader
    from bulk_upload.engine.fleet.crew import Crew
    from bulk_upload.engine.fleet.run_keys import Renewing
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.planned_entries import StagedEntries

RESTARTS_MAX = 20
"""How often agents on this machine are started again in one run: one that ends at once would be started for ever."""

LOOPBACK = "127.0.0.1"

LOOK_S = 3.0
"""How long stores may take to answer before agents start."""


class JobFleet:
    """The agents of one run.

    Args:
        settings: where they come from.
        emit: takes the events about them.
    """

    def __init__(self, settings: FleetSettings, emit: Callable[[Event], None]) -> None:
        self._settings = settings
        self._emit = emit
        self._agent_count = 0
        self._key_variable: str | None = None
        self._access = Access(settings.token)
        self._restarts_left = RESTARTS_MAX
        self._reads_stores = False
        self._keys: RunKeys | None = None
        self._early = EarlyProcesses()

    @contextmanager
    def preparing(self) -> Iterator[JobFleet]:
        """Have the agents of this machine start while the run is planned, where their number is known; with the block those
        end that were not needed."""
        try:
            self._early.start(self._settings.processes - 1, surroundings())
            yield self
        finally:
            self._early.end()

    async def parts(
        self,
        *,
        connection: Connection,
        credentials: Renewing,
        settings: RunSettings,
        job: Job,
        root: str,
        purposes: Mapping[str, Purpose],
        entries: StagedEntries,
        objects: ObjectReader,
        plan: Plan,
        ledger: Ledger[LedgerStore],
    ) -> FleetParts | None:
        """Return what a run must know of its agents, None where it has none; the ledger knows of them from now on.

        There are never more processes than the run has files to read or send.
        """
        process_count = self._settings.processes
        if self._settings.processes_for is not None:
            process_count = self._settings.processes_for(plan.total(Step.SEND).file_bytes)
        file_count = sum(plan.total(step).entry_count for step in (Step.SEND, Step.COMPARE, Step.RECONCILE))
        # This process is one of them.
        self._agent_count = max(0, min(process_count, file_count) - 1)
        self._early.end(but=self._agent_count)
        if not self._agent_count and self._settings.listen is None:
            return None
        self._key_variable = connection.profile.key_variable
        self._keys = RunKeys(credentials)
        first = await _first(entries)
        self._reads_stores = bool(first.objects)
        await ledger.run(partial(expect_agents, ttl_s=self._settings.ttl_s))
        agent_job = AgentJob(
            connection=connection,
            key=None,
            root=text_bytes(self._settings.agent_root or root),
            follow_symlinks=job.follow_symlinks,
            allow_outside=job.allow_outside,
            ignore_ctime=job.ignore_ctime,
            hashing=settings.hashing,
            connections_max=settings.caps.capacity,
            checks=settings.validate is not ValidateMode.OFF,
            purposes=tuple(purposes.values()),
            rules=settings.rules,
            sends_invalid=settings.sends_invalid,
            first_file=first.file,
            sources=job.sources,
            plain_sources=job.plain_sources,
            first_objects=await _readable(objects, first.objects),
        )
        return FleetParts(
            job=agent_job,
            key=self._keys,
            token=self._access.token,
            ttl_s=self._settings.ttl_s,
            expected_count=self._agent_count,
            sends_itself=process_count > 0,
        )

    @asynccontextmanager
    async def at_work(self, crew: Crew | None) -> AsyncIterator[None]:
        """Let agents join while the block runs, and start those of this machine. Raises UsageError."""
        settings = self._settings
        if crew is None or self._keys is None:
            yield
            return
        from bulk_upload.edge.fleet import AgentServer, tls_context  # noqa: PLC0415 - imported by now

        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(plain_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(self._keys.serve)
            if settings.listen is not None:
                tls = settings.tls
                if tls is None and settings.certificate is not None:
                    tls = tls_context(settings.certificate, settings.certificate_key)
                server = AgentServer(self._access, crew)
                url = await stack.enter_async_context(server.listening(*settings.listen, tls=tls))
                if settings.on_listening is not None:
                    settings.on_listening(url)
                if settings.recruit is not None:
                    is_private = tls is not None or settings.listen[0] == LOOPBACK
                    address = FleetAddress(
                        url=url,
                        issue_ticket=self._access.issue_ticket,
                        key_variable=None if is_private else self._key_variable,
                        note=lambda words: self._emit(Noticed(message=words)),
                    )
                    await stack.enter_async_context(settings.recruit(address))
            if self._agent_count:
                server = AgentServer(self._access, crew)
                url = await stack.enter_async_context(server.listening(LOOPBACK, 0))
                if self._reads_stores:
                    # They have no way to the stores.
                    self._early.end()
                processes = AgentProcesses(
                    self._agent_count,
                    issue_ticket=self._access.issue_ticket,
                    surroundings=surroundings(with_stores=self._reads_stores),
                    has_joined=crew.knows,
                    on_ended=self._starts_again,
                    on_unstarted=self._say_unstarted,
                    early=self._early,
                )
                await stack.enter_async_context(processes.running(url))
            yield

    def _say_unstarted(self, error: OSError) -> None:
        reason = error.strerror or str(error)
        self._emit(Noticed(message=f"the process of an agent could not be started: {reason}"))

    def _starts_again(self, code: int) -> bool:
        """Whether another agent takes the place of one that ended by itself."""
        if code == ExitStatus.DONE:
            # Dismissed: the run is over.
            return False
        self._restarts_left -= 1
        words = f"signal {-code}" if code < 0 else f"exit code {code}"
        what = "another one is started" if self._restarts_left > 0 else "no other one is started"
        self._emit(Noticed(message=f"the process of an agent ended with {words}; {what}"))
        return self._restarts_left > 0


class _First(NamedTuple):
    """What is to be sent first: a file, if any, and an object of each store."""

    file: FirstFile | None
    objects: tuple[str, ...]


async def _first(entries: StagedEntries) -> _First:
    """Return what every agent must see as it is here."""
    file: FirstFile | None = None
    objects: list[str] = []
    for path, fingerprint in await entries.call(first_of_each_home):
        if is_address(path):
            objects.append(path)
        elif file is None and fingerprint is not None:
            file = FirstFile(path=text_bytes(path), size=fingerprint.size, mtime_ns=fingerprint.mtime_ns)
    return _First(file, tuple(objects))


async def _readable(objects: ObjectReader, addresses: Sequence[str]) -> tuple[str, ...]:
    """Return which objects this process can read now: of another one an agent shows nothing."""
    found: list[str] = []

    async def look(address: str) -> None:
        with suppress(SourceError):
            await objects.version(address)
            found.append(address)

    with anyio.move_on_after(LOOK_S):
        async with anyio.create_task_group() as tasks:
            for one in addresses:
                tasks.start_soon(look, one)
    return tuple(found)
