"""Runs one agent: what `bulk-upload agent`, the processes of `--processes` and a cluster's workers call."""

from __future__ import annotations

import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.api.secret import Secret
from bulk_upload.core.content_hash import is_installed
from bulk_upload.core.fleet.wire import bytes_text
from bulk_upload.core.machine.shortage import naming_shortage
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.files import READING_THREADS, FileReader
from bulk_upload.edge.fleet import Dialer, boot_s
from bulk_upload.edge.machine import usable_processors
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport import Transport, TransportSettings
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.fleet.agent import Agent, AgentEnd, Identity, Serving, Surroundings
from bulk_upload.engine.fleet.share_cap import ShareCap
from bulk_upload.engine.limits.bandwidth import BandwidthGate
from bulk_upload.engine.objects.readers import Readers
from bulk_upload.engine.sending.local_sender import LocalSender
from bulk_upload.engine.validation.validating import CheckTarget
from bulk_upload.engine.validation.while_sent import SentChecks
from bulk_upload.errors import UsageError
from bulk_upload.version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bulk_upload.core.fleet.messages import AgentJob, FirstFile
    from bulk_upload.core.objects.options import SourceOptions
    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.edge.validation.workers import Workers
    from bulk_upload.engine.validation.file_validator import FileValidator

PATIENCE_S = 900.0
"""How long an agent looks for its coordinator, by default."""

LOOK_S = 3.0
"""How long stores may take to show that an agent can read from them, before it begins without: a session must not wait."""


class AgentRunner:
    """One agent. `run` it once; `leave` and `abandon` may come at any time.

    Args:
        url: the coordinator's, as it printed it.
        secret: the run's token, or a ticket.
        root: where the files lie on this machine, if elsewhere than on the coordinator's.
        api_key: a key of its own; by default the coordinator's.
        read_key_again: reads that key where it came from, when the server refuses it; blocks.
        patience_s: how long the coordinator may be out of reach.
        ca_file: PEM file of the authorities to trust for the coordinator's certificate.
        tls: takes the place of `ca_file` where there is a context already.
        sources: how this agent reaches stores of objects, where not as the coordinator does.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        root: str | None = None,
        api_key: Secret | None = None,
        patience_s: float = PATIENCE_S,
        ca_file: str | None = None,
        tls: ssl.SSLContext | None = None,
        sources: Sequence[SourceOptions] = (),
        read_key_again: Callable[[], Secret] | None = None,
    ) -> None:
        self._root = root
        self._read_key_again = read_key_again
        self._sources = tuple(sources)
        self._api_key = api_key
        self._transport: Transport | None = None
        self._agent = Agent(
            dialer=Dialer(url, secret, ca_file=ca_file, tls=tls),
            identity=Identity(
                version=__version__,
                host=socket.gethostname(),
                pid=os.getpid(),
                cpu_count=usable_processors(),
                has_key=api_key is not None,
            ),
            serving=self._serving,
            now=boot_s,
            patience_s=patience_s,
        )

    async def run(self) -> AgentEnd:
        """Serve until the agent is dismissed or cannot go on; return why."""
        with naming_shortage():
            try:
                return await self._agent.run()
            except* UsageError as group:
                # From within a task group.
                raise _first(group) from None

    def leave(self, reason: str) -> None:
        """End once what is in flight has ended; said again, abort that."""
        self._agent.leave(reason)

    def abandon(self, reason: str) -> None:
        """Drop all that is in flight at once: nobody is left who could take its reports."""
        if self._transport is not None:
            self._transport.cut_off(reason)

    @asynccontextmanager
    async def _serving(self, job: AgentJob, given: Surroundings) -> AsyncIterator[Serving]:
        """Hold what one session works with."""
        tree = SourceTree(
            self._root or bytes_text(job.root),
            follow_symlinks=job.follow_symlinks,
            allow_outside=job.allow_outside,
        )
        clock, errors, share = SystemClock(), CallbackErrors(), ShareCap()
        gate = BandwidthGate(share, clock, errors)
        reader = self._readers(job, tree)
        workers, validator = _checking(job, tree) if job.checks else (None, None)
        transport = Transport(
            TransportSettings(
                connection=job.connection,
                api_key=self._key(job),
                connection_limit=job.connections_max,
                user_agent=f"bulk-upload/{__version__}",
                read_key_again=self._read_key_again,
                ask_key_again=None if self._api_key is not None else _asking(job, given),
                fence=given.fence,
            ),
            clock,
        )

        def pace(bytes_per_s: float | None) -> None:
            share.change(clock.monotonic(), bytes_per_s)
            gate.admit()

        try:
            async with transport.running():
                self._transport = transport
                sender = LocalSender(
                    reader,
                    transport,
                    check_for=None if validator is None else _content_check(validator),
                    pace=gate,
                    on_handed=given.on_handed,
                    # What is found goes to the coordinator, which says so.
                    sent_checks=SentChecks(
                        validator, sends_invalid=job.sends_invalid, emit=lambda _event: None
                    ),
                )
                yield Serving(
                    sender=sender,
                    pace=pace,
                    cut_off=transport.cut_off,
                    errors=errors,
                    unlike=await _unlike(job, tree, reader.objects),
                )
        finally:
            self._transport = None
            if workers is not None:
                workers.close()
            reader.close()

    def _readers(self, job: AgentJob, tree: SourceTree) -> Readers:
        files = FileReader(
            tree,
            thread_count=READING_THREADS,
            stuck_s=job.connection.stall_s,
            hashing=job.hashing,
            ignore_ctime=job.ignore_ctime,
        )
        own = {one.home for one in self._sources}
        stores = Stores(
            (*self._sources, *(one for one in job.sources if one.home not in own)),
            allow_plain_http=job.plain_sources,
            stall_s=job.connection.stall_s,
        )
        return Readers(files, ObjectReader(stores, hashing=job.hashing))

    def _key(self, job: AgentJob) -> Secret:
        if self._api_key is not None:
            return self._api_key
        if job.key is None:
            raise AssertionError("the coordinator refuses an agent without a key")
        return Secret(job.key)


async def serve_agent(
    url: str,
    secret: str,
    *,
    root: str | None = None,
    api_key: Secret | None = None,
    patience_s: float = PATIENCE_S,
    tls: ssl.SSLContext | None = None,
    sources: Sequence[SourceOptions] = (),
) -> AgentEnd:
    """Run one agent, see `AgentRunner`; when cancelled it drops all that is in flight.

    For programs that have an event loop and start agents in it, as a cluster's workers do.
    """
    runner = AgentRunner(
        url, secret, root=root, api_key=api_key, patience_s=patience_s, tls=tls, sources=sources
    )
    try:
        return await runner.run()
    except anyio.get_cancelled_exc_class():
        runner.abandon("the agent was cancelled")
        raise


def _asking(job: AgentJob, given: Surroundings) -> Callable[[], Awaitable[Secret]]:
    """Return what asks the coordinator for another API key."""
    number = job.key_number

    async def ask() -> Secret:
        nonlocal number
        found = await given.ask_key(number)
        if found.key is None:
            raise UsageError("the run has no other API key")
        number = found.number
        return Secret(found.key)

    return ask


def _checking(job: AgentJob, tree: SourceTree) -> tuple[Workers, FileValidator]:
    """Return what checks contents. Imported only where something does, since it takes a while."""
    from bulk_upload.edge.validation.workers import Workers  # noqa: PLC0415
    from bulk_upload.engine.validation.file_validator import FileValidator  # noqa: PLC0415

    workers = Workers(1)
    return workers, FileValidator(
        tree,
        workers,
        purposes={one.name: one for one in job.purposes},
        choice=job.rules,
        ignore_ctime=job.ignore_ctime,
    )


def _content_check(validator: FileValidator) -> Callable[[str, str], ContentCheck]:
    return lambda path, purpose: validator.content_check(CheckTarget(path, purpose))


async def _unlike(job: AgentJob, tree: SourceTree, objects: ObjectReader) -> str | None:
    """Return what is missing here, or how files or objects are not as the coordinator sees them; None where all is well."""
    if job.hashing is not None and not is_installed(job.hashing):
        return f"the run hashes with {job.hashing}, whose package is not installed here: pip install 'bulk-upload[blake3]'"
    found = None if job.first_file is None else _other_file(tree, job.first_file)
    return found or await _unreadable_object(objects, job.first_objects)


async def _unreadable_object(objects: ObjectReader, addresses: Sequence[str]) -> str | None:
    """Return which of some objects cannot be read here, and why; None where all can, or nobody knows in time."""
    found: list[str] = []

    async def look(address: str) -> None:
        try:
            await objects.version(address)
        except SourceError as error:
            # What may pass is no reason: the run tries such an object again.
            if error.inaccessible:
                found.append(f"the object {printable(address)} cannot be read here: {error.reason}")
        except UsageError as error:
            found.append(f"{error}; {error.hint}" if error.hint else str(error))

    with anyio.move_on_after(LOOK_S):
        async with anyio.create_task_group() as tasks:
            for one in addresses:
                tasks.start_soon(look, one)
    return found[0] if found else None


def _other_file(tree: SourceTree, expected: FirstFile) -> str | None:
    """Return how a file of the plan differs here from what the coordinator saw, None where it does not."""
    path = bytes_text(expected.path)
    found = tree.inspect(path)
    if isinstance(found, PathComplaint):
        return f"the files here are not those of the coordinator: {found.found}"
    if (found.st_size, found.st_mtime_ns) == (expected.size, expected.mtime_ns):
        return None
    return (
        f"the files here are not those of the coordinator: {tree.absolute(path)} has {found.st_size:,} bytes and the "
        f"modification time {found.st_mtime_ns / 1e9:.3f}, there {expected.size:,} and {expected.mtime_ns / 1e9:.3f}"
    )


def _first(group: BaseExceptionGroup[UsageError]) -> UsageError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, UsageError):
        raise AssertionError("the group was split by this type")
    return error
