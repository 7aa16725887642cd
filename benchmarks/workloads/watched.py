"""What it costs a run to be looked at: its own display, ten `watch` in other terminals, ten browsers on its live page.

Every run begins held back by `--rate`, until all who look at it do so: the start of eleven processes is not measured.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio

from bulk_upload.core.run.control import ControlRequest
from bulk_upload.edge.control import ask
from bulk_upload.errors import NoRunAtWork
from measuring.cache import cache_folder
from measuring.file_sets import KIB, equal_files
from measuring.processes import bulk_upload_command
from measuring.rounds import in_turn
from measuring.tables import table
from servers.sink import Sink
from workloads.measurement import IN_FLIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from measuring.file_sets import FileSet

WATCHERS = 10
BARE = "no terminal"
READY_S_MAX = 300.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_ENVIRONMENT = {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "SEEKR_API_KEY": "benchmark"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What a run took from the moment it was let go, without those who looked at it."""

    wall_s: float
    cpu_s: float
    failure: str | None


class Terminal:
    """A terminal whose output is read and dropped; `shows` waits for a word."""

    def __init__(self, word: bytes) -> None:
        self._ours, self.theirs = pty.openpty()
        self._word = word
        self._shown = threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # the other end was closed
            while data := os.read(self._ours, 65536):
                if self._word in data:
                    self._shown.set()

    def wait(self) -> None:
        """Wait until the word was shown."""
        if not self._shown.wait(READY_S_MAX):
            raise SystemExit("a watcher shows nothing")

    def close(self) -> None:
        """End it, once the program on it has ended."""
        os.close(self.theirs)
        self._reader.join()
        os.close(self._ours)


def watched(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure the same run with nobody who looks, with its display, and with ten watchers of both kinds."""
    files = equal_files(max(200, round(40_000 * scale)), 4 * KIB)
    files.warm()
    kinds: dict[str, Callable[[], Watched]] = {
        BARE: lambda: _measure(files),
        "live display": lambda: _measure(files, is_displayed=True),
        f"{WATCHERS} `watch`": lambda: _measure(files, watch_count=WATCHERS),
        f"{WATCHERS} browsers": lambda: _measure(files, browser_count=WATCHERS),
    }
    runs: dict[str, list[Watched]] = {kind: [] for kind in kinds}
    for _, kind in in_turn(list(kinds), rounds):
        runs[kind].append(kinds[kind]())
    rows = [["", "wall s", "CPU s", f"wall ÷ {BARE}", f"CPU ÷ {BARE}"]]
    for kind, measured in runs.items():
        pairs = list(zip(measured, runs[BARE], strict=True))
        rows.append(
            [
                kind,
                f"{statistics.median(one.wall_s for one in measured):.2f}",
                f"{statistics.median(one.cpu_s for one in measured):.2f}",
                f"{statistics.median(one.wall_s / bare.wall_s for one, bare in pairs):.3f}",
                f"{statistics.median(one.cpu_s / bare.cpu_s for one, bare in pairs):.3f}",
            ]
        )
    print(
        f"\na run that is looked at, {files.count:,} files of 4 KiB, {rounds} rounds\n\n{table(rows)}",
        flush=True,
    )
    return [{"runs": {kind: [asdict(one) for one in measured] for kind, measured in runs.items()}}]


def _measure(
    files: FileSet, *, is_displayed: bool = False, watch_count: int = 0, browser_count: int = 0
) -> Watched:
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=cache_folder()))
        sink = stack.enter_context(Sink())
        manifest, ledger = os.path.join(scratch, "job.jsonl"), os.path.join(scratch, "job.ledger.db")
        said = os.path.join(scratch, "said.txt")
        shutil.copyfile(files.manifest, manifest)
        command = bulk_upload_command(
            "run", manifest, "--root", files.root, "--base-url", sink.url, "--confirm", "off", "--validate", "off",
            "--concurrency", str(IN_FLIGHT), "--rate", "1/h", "--ledger", ledger, *(["--serve"] if browser_count else []),
        )  # fmt: skip
        terminal = _terminal(stack, b"files") if is_displayed else None
        output = terminal.theirs if terminal else stack.enter_context(open(said, "wb")).fileno()
        run = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **_ENVIRONMENT},
        )
        _until(lambda: _is_planned(ledger), "the run makes no plan")
        if terminal:
            terminal.wait()
        for _ in range(watch_count):
            stack.enter_context(_watching(stack, ledger))
        if browser_count:
            stack.enter_context(_browsing(_address(said), browser_count))
        cpu_s, began = _cpu_s(run.pid), time.monotonic()
        ask(ledger, ControlRequest(starts_per_s=None))
        _, status, usage = os.wait4(run.pid, 0)
        wall_s = time.monotonic() - began
        run.returncode = os.waitstatus_to_exitcode(status)
        counts = sink.finish()
    failure = None
    if run.returncode or counts.accepted != files.count:
        failure = f"exit code {run.returncode}, {counts.accepted} of {files.count} files arrived"
    return Watched(wall_s=wall_s, cpu_s=usage.ru_utime + usage.ru_stime - cpu_s, failure=failure)


def _terminal(stack: ExitStack, word: bytes) -> Terminal:
    terminal = Terminal(word)
    stack.callback(terminal.close)
    return terminal


@contextmanager
def _watching(stack: ExitStack, ledger: str) -> Iterator[None]:
    terminal = _terminal(stack, b"files")
    process = subprocess.Popen(
        bulk_upload_command("watch", ledger),
        stdin=subprocess.DEVNULL, stdout=terminal.theirs, stderr=terminal.theirs, env={**os.environ, **_ENVIRONMENT},
    )  # fmt: skip
    try:
        terminal.wait()
        yield
    finally:
        process.wait(READY_S_MAX)


@contextmanager
def _browsing(where: str, count: int) -> Iterator[None]:
    """Follow the live page's events as browsers do."""
    ready = threading.Barrier(2)
    thread = threading.Thread(target=lambda: asyncio.run(_browse(where, count, ready)))
    thread.start()
    ready.wait(READY_S_MAX)
    yield
    thread.join(READY_S_MAX)


async def _browse(where: str, count: int, ready: threading.Barrier) -> None:
    address, _, token = where.partition("/#")
    watching = 0

    async def one() -> None:
        nonlocal watching
        jar = aiohttp.CookieJar(unsafe=True)
        timeout = aiohttp.ClientTimeout(total=None)
        with suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as client:
                await client.post(f"{address}/session", json={"token": token})
                async with client.get(f"{address}/events") as events:
                    await events.content.readany()
                    watching += 1
                    if watching == count:
                        ready.wait()
                    while await events.content.readany():
                        pass

    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(one)


def _is_planned(ledger: str) -> bool:
    try:
        return ask(ledger, ControlRequest(uploads=1)).numbers is not None
    except NoRunAtWork:
        return False


def _address(said: str) -> str:
    def found() -> list[str]:
        with open(said, encoding="utf-8") as lines:
            return re.findall(r"^live page: (\S+)$", lines.read(), re.MULTILINE)

    _until(lambda: bool(found()), "the run serves no page")
    return found()[0]


def _until(condition: Callable[[], bool], complaint: str) -> None:
    until = time.monotonic() + READY_S_MAX
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(complaint)
        time.sleep(0.1)


def _cpu_s(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
