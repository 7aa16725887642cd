"""Agents on this machine: fresh interpreters that end with the process that started them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import msgspec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

# Not `-m`, and not multiprocessing: the package is imported from where this process found it, and the main script of the
# library's user does not run a second time.
_START = "import sys; sys.path[:] = sys.argv[2:]; from importlib import import_module; import_module(sys.argv[1]).main()"

ENTRY = "bulk_upload.agent_process"
"""The module whose `main` is an agent that reads an `AgentStart` from standard input, and ends when that is closed."""

END_S = 5.0
"""How long a dismissed process may take to end before it is killed."""

KILLED_S = 1.0
"""How long a killed process may take to be gone before nobody waits for it any more."""


class AgentStart(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent's process reads: it is in no argument and no variable, which other users may see."""

    url: str
    secret: str


class EarlyProcesses:
    """Agents-to-be of this machine: each imports what it needs, and waits for where to connect to.

    So they start while the run is still planned. What is not taken is killed in the end.
    """

    def __init__(self) -> None:
        self._waiting: list[subprocess.Popen[bytes]] = []

    def start(self, count: int, surroundings: Mapping[str, str]) -> None:
        """Start some; fewer where the system does not start them."""
        with suppress(OSError):
            for _ in range(count):
                self._waiting.append(_spawned(surroundings))

    def take(self) -> subprocess.Popen[bytes] | None:
        """Return one that waits, for good; None where there is none."""
        return self._waiting.pop() if self._waiting else None

    def end(self, *, but: int = 0) -> None:
        """Kill those that nobody took, save some: they did nothing yet."""
        while len(self._waiting) > but:
            process = self._waiting.pop()
            process.kill()
            _close_input(process)
            with suppress(subprocess.TimeoutExpired):
                process.wait(KILLED_S)


class AgentProcesses:
    """Starts agents, and starts another one where one ended that was not dismissed.

    Args:
        count: how many run at once.
        issue_ticket: returns what admits one agent, once.
        surroundings: the variables of their environment.
        has_joined: whether a process with this number ever joined the run; one that did not has nothing to end.
        on_ended: called with the exit code of one that ended by itself; returns whether another one takes its place.
        on_unstarted: called where the system does not start one.
        early: those that were started before, with the same surroundings.
    """

    def __init__(
        self,
        count: int,
        *,
        issue_ticket: Callable[[], str],
        surroundings: Mapping[str, str],
        has_joined: Callable[[int], bool],
        on_ended: Callable[[int], bool],
        on_unstarted: Callable[[OSError], None],
        early: EarlyProcesses | None = None,
    ) -> None:
        self._count = count
        self._issue_ticket = issue_ticket
        self._surroundings = dict(surroundings)
        self._has_joined = has_joined
        self._on_ended = on_ended
        self._on_unstarted = on_unstarted
        self._early = early or EarlyProcesses()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._dismissed = False

    @asynccontextmanager
    async def running(self, url: str) -> AsyncIterator[None]:
        """Run the agents while the block runs. They are ended after it, by force where they do not end by themselves."""
        loop = asyncio.get_running_loop()
        watching = [loop.create_task(self._keep(url)) for _ in range(self._count)]
        try:
            yield
        finally:
            self._dismissed = True
            for one in self._running:
                _close_input(one)
                if not self._has_joined(one.pid):
                    one.kill()
            await self._end(watching)
        for task in watching:
            task.result()

    async def _end(self, watching: list[asyncio.Task[None]]) -> None:
        with anyio.CancelScope(shield=True):
            _, late = await asyncio.wait(watching, timeout=END_S)
            for one in self._running:
                one.kill()
            if late:
                await asyncio.wait(late)

    async def _keep(self, url: str) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_dismissed():
            try:
                process = self._started(url)
            except OSError as error:
                self._on_unstarted(error)
                return
            self._running.add(process)
            try:
                code = await loop.run_in_executor(None, process.wait)
            finally:
                self._running.discard(process)
                _close_input(process)
            if self._is_dismissed() or not self._on_ended(code):
                return

    def _is_dismissed(self) -> bool:
        return self._dismissed

    def _started(self, url: str) -> subprocess.Popen[bytes]:
        process = self._early.take() or _spawned(self._surroundings)
        start = AgentStart(url=url, secret=self._issue_ticket())
        if process.stdin is None:
            raise AssertionError("there is a pipe")
        with suppress(BrokenPipeError):
            os.write(process.stdin.fileno(), msgspec.json.encode(start) + b"\n")
        return process


def _spawned(surroundings: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _START, ENTRY, *sys.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=surroundings,
        # A Ctrl-C at the terminal is for the coordinator.
        start_new_session=True,
    )


def _close_input(process: subprocess.Popen[bytes]) -> None:
    """Let a process know that it is no longer needed."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
