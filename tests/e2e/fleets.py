"""A run with agents, all in one event loop: they can be cut off, killed and made careless."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakSet

import anyio

from bulk_upload.agent_runner import serve_agent
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AgentJoined, AgentLost, AttemptEnded, Event
from bulk_upload.core.fleet.settings import FleetAddress, FleetSettings
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.engine.fleet.agent import AgentEnd
from bulk_upload.job_run import Result
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults
from tests.fakes.stream_server import stream_server
from tests.waiting import until

KEY = "sandbox-key-of-agents"
TOKEN = "token-for-the-agents-of-one-test"


def job_in(folder: Path, sizes: Iterable[int]) -> Path:
    """Write files of these sizes and a manifest with them; return the manifest."""
    lines = []
    for number, size in enumerate(sizes):
        name = f"f{number:04}.txt"
        (folder / name).write_bytes((f"{number} " * (size // 2 + 1)).encode()[:size])
        lines.append(json.dumps({"path": name, "purpose": "alignment"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join([*lines, ""]), "utf-8")
    return manifest


def with_agents(*, processes: int) -> FleetSettings:
    """Return settings with two agents in this process, which join at once; `processes` is 1 where the run sends as well."""

    @asynccontextmanager
    async def recruited(address: FleetAddress) -> AsyncIterator[None]:
        agents = [asyncio.create_task(serve_agent(address.url, address.issue_ticket())) for _ in range(2)]
        try:
            yield
        finally:
            for one in agents:
                one.cancel()
            await asyncio.gather(*agents, return_exceptions=True)

    return FleetSettings(listen=("127.0.0.1", 0), recruit=recruited, processes=processes)


class CutProxy:
    """Passes bytes in both directions until it is cut: then it says nothing, and closes nothing."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._writers: WeakSet[asyncio.StreamWriter] = WeakSet()

    def cut(self) -> None:
        """Hold back everything from now on."""
        self._open.clear()

    def mend(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._open.set()

    def break_off(self) -> None:
        """Close every connection there is."""
        for one in self._writers:
            one.transport.abort()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Listen while the block runs; yields the port."""
        async with stream_server(self._pass) as port:
            yield port

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            behind_reader, behind_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            await self._open.wait()
            return
        self._writers.add(behind_writer)
        try:
            await asyncio.gather(self._pipe(reader, behind_writer), self._pipe(behind_reader, writer))
        except asyncio.CancelledError:
            behind_writer.transport.abort()
            raise

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        await self._open.wait()
        writer.close()


class FleetRun:
    """One run, and the agents that a test lets join."""

    def __init__(
        self, manifest: Path, sandbox: Sandbox, *, ttl_s: float, settings: RunSettings, processes: int = 0
    ) -> None:
        self.manifest = manifest
        self.sandbox = sandbox
        self.events: list[Event] = []
        self.timed: list[tuple[float, Event]] = []
        """The events with the event loop's time."""
        self.hooks: list[Callable[[Event], object]] = []
        self.urls: list[str] = []
        self.result: Result | None = None
        self._fleet = FleetSettings(
            listen=("127.0.0.1", 0),
            token=TOKEN,
            ttl_s=ttl_s,
            on_listening=self.urls.append,
            processes=processes,
        )
        self._settings = settings
        self._agents: list[asyncio.Task[Any]] = []

    def seen(self, kind: type[Event]) -> list[Any]:
        """Return the events of one kind so far."""
        return [one for one in self.events if isinstance(one, kind)]

    def has_ended(self, count: int) -> bool:
        """Whether so many attempts have ended."""
        return len(self.seen(AttemptEnded)) >= count

    async def join(self, *, port: int | None = None, root: str | None = None) -> asyncio.Task[Any]:
        """Let one more agent join, over another port of this machine if one is given; return its task."""
        await until(lambda: self.urls)
        parts = urlsplit(self.urls[-1])
        if port is not None:
            parts = parts._replace(netloc=f"127.0.0.1:{port}")
        count = len(self.seen(AgentJoined))
        agent = asyncio.create_task(serve_agent(urlunsplit(parts), TOKEN, root=root))
        self._agents.append(agent)
        await until(lambda: len(self.seen(AgentJoined)) > count or agent.done())
        return agent

    async def proxied(self) -> CutProxy:
        """Return a proxy to where agents connect."""
        await until(lambda: self.urls)
        parts = urlsplit(self.urls[-1])
        return CutProxy(str(parts.hostname), parts.port or 0)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Awaitable[Result]]:
        """Run while the block runs; yields what becomes the result."""
        connection = Connection(endpoint=self.sandbox.url, profile=FLOW)
        async with JobRunner(
            connection, api_key=KEY, settings=self._settings, on_event=self._on_event, fleet=self._fleet
        ) as runner:
            running = asyncio.ensure_future(self._run(runner))
            try:
                yield running
            finally:
                running.cancel()
                for one in self._agents:
                    one.cancel()
                await asyncio.gather(running, *self._agents, return_exceptions=True)

    async def _run(self, runner: JobRunner) -> Result:
        self.result = await runner.run(Job(self.manifest))
        return self.result

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        self.timed.append((asyncio.get_running_loop().time(), event))
        for hook in self.hooks:
            hook(event)


@asynccontextmanager
async def fleet_run(
    folder: Path,
    sizes: Iterable[int],
    *,
    faults: str = "",
    ttl_s: float = 20.0,
    processes: int = 0,
    **settings: Any,
) -> AsyncIterator[FleetRun]:
    """Serve a sandbox and prepare a run with agents over files of these sizes."""
    async with Sandbox(SandboxConfig(faults=parse_faults(faults))) as sandbox:
        yield FleetRun(
            job_in(folder, sizes),
            sandbox,
            ttl_s=ttl_s,
            processes=processes,
            settings=RunSettings(**{"settle_s": 1.0, "settle_answered_s": 1.0, **settings}),
        )


async def answered_late(fleet: FleetRun) -> Result:
    """Run with one agent that is cut off while it sends, is lost, and joins again with the answers it got meanwhile."""
    async with fleet.running() as running:
        proxy = await fleet.proxied()
        async with proxy.running() as port:
            await fleet.join(port=port)
            await until(lambda: fleet.sandbox.in_flight)
            proxy.cut()
            await until(lambda: fleet.seen(AgentLost))
            joined = len(fleet.seen(AgentJoined))
            proxy.mend()
            await until(lambda: len(fleet.seen(AgentJoined)) > joined)
            return await running


def agents_here(*serving: Callable[[FleetAddress], Coroutine[Any, Any, object]]) -> FleetSettings:
    """Return settings that start agents in this event loop."""

    @asynccontextmanager
    async def recruit(address: FleetAddress) -> AsyncIterator[None]:
        async with anyio.create_task_group() as agents:
            for serve in serving:
                agents.start_soon(serve, address)
            yield
            agents.cancel_scope.cancel()

    return FleetSettings(listen=("127.0.0.1", 0), recruit=recruit)


async def serve(address: FleetAddress) -> AgentEnd:
    """Be one of them until the run ends."""
    return await serve_agent(address.url, address.issue_ticket())
