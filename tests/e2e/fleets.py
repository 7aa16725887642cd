"""A run with agents, all in one event loop: they can be cut off, killed and made careless."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from bulk_upload.agent_runner import serve_agent
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.events import AgentJoined, AttemptEnded, Event
from bulk_upload.core.fleet.settings import FleetAddress, FleetSettings
from bulk_upload.core.run.job import Job
from bulk_upload.core.run.settings import RunSettings
from bulk_upload.job_run import Result
from bulk_upload.job_runner import JobRunner
from bulk_upload.sandbox import Sandbox, SandboxConfig, parse_faults
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
        self._broken: list[asyncio.StreamWriter] = []
        self._passing: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Hold back everything from now on."""
        self._open.clear()

    def mend(self) -> None:
        """Pass on what was held back, and all that follows."""
        self._open.set()

    def break_off(self) -> None:
        """Close every connection there is."""
        for one in self._broken:
            one.transport.abort()
        self._broken.clear()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Listen while the block runs; yields the port."""
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.break_off()
            for one in self._passing:
                one.cancel()
            await asyncio.gather(*self._passing, return_exceptions=True)
            # An aborted connection is closed in the next turn: without it the loop may end before.
            await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self._broken.append(writer)
        with suppress(OSError):
            behind_reader, behind_writer = await asyncio.open_connection(self._host, self._port)
            self._broken.append(behind_writer)
            await asyncio.gather(self._pipe(reader, behind_writer), self._pipe(behind_reader, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
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
