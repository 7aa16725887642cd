"""Agents on a Dask cluster of real processes, which are killed, stopped and joined while a run goes on.

By hand: pytest -m cluster
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from bulk_upload import (
    AgentJoined,
    AgentLeft,
    AgentLost,
    AttemptStarted,
    EntryState,
    ExitStatus,
    Job,
    RunSettings,
    Uploader,
)
from bulk_upload.core.run.control import ControlRequest
from bulk_upload.dask import DaskFleet
from bulk_upload.edge.control import ask
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import assert_at_rest
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload import Event
    from bulk_upload.core.fleet.settings import FleetSettings

pytest.importorskip("distributed")
pytestmark = pytest.mark.cluster

FILE_COUNT = 200
FILE_BYTES = 300_000


class QuickFleet(DaskFleet):
    """A fleet whose lost agents are noticed after three seconds."""

    def settings(self) -> FleetSettings:
        return replace(super().settings(), ttl_s=3.0)


class Cluster:
    """A scheduler and workers, each a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.running: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        """Start it at any free port, or again at the one that it had."""
        port = "0"
        if self.file.exists():
            port = json.loads(self.file.read_text())["address"].rpartition(":")[2]
        return self._start("scheduler", "--port", port, "--dashboard-address", "127.0.0.1:0")

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker of one process."""
        return self._start("worker", "--no-nanny", "--nthreads", "1", "--no-dashboard")

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{what}-{len(self.running)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{what}", "--host", "127.0.0.1", "--scheduler-file",
                 str(self.file), *options],
                stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip
        self.running.append(process)
        return process


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Yield a cluster without processes yet; those that were started end with the block."""
    folder.mkdir()
    found = Cluster(folder)
    try:
        yield found
    finally:
        for one in found.running:
            one.kill()
        for one in found.running:
            one.wait()


def manifest_in(folder: Path) -> Path:
    lines = []
    for number in range(FILE_COUNT):
        (folder / f"{number}.txt").write_bytes(os.urandom(FILE_BYTES // 2).hex().encode())
        lines.append(json.dumps({"path": f"{number}.txt", "purpose": "alignment"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "manifest.jsonl"


@pytest.mark.timeout(300)
async def test_workers_are_killed_stopped_and_joined(tmp_path: Path) -> None:
    """SIGKILL, SIGTERM, a late joiner, a scheduler that is killed and started again: every file is there, once."""
    events: list[Event] = []
    manifest = manifest_in(tmp_path)

    def count(kind: type[Event]) -> int:
        return sum(isinstance(one, kind) for one in events)

    faults = parse_faults("read-rate=150000")
    with cluster(tmp_path / "dask") as dask, sandbox_in_thread(SandboxConfig(faults=faults)) as sandbox:
        scheduler = dask.start_scheduler()
        await until(dask.file.exists)
        first, second = dask.start_worker(), dask.start_worker()
        settings = RunSettings(concurrency=6, rate_per_s=1.5, settle_s=1.0)
        fleet = QuickFleet(str(dask.file))
        async with Uploader(
            api_key="key", base_url=sandbox.url, settings=settings, fleet=fleet, on_event=events.append
        ) as up:
            run = asyncio.ensure_future(up.run(manifest))
            await until(lambda: count(AgentJoined) == 2 and count(AttemptStarted) > 4)
            first.send_signal(signal.SIGKILL)
            await until(lambda: count(AgentLost) == 1)
            third = dask.start_worker()
            await until(lambda: count(AgentJoined) == 3)
            second.send_signal(signal.SIGTERM)
            await until(lambda: count(AgentLost) + count(AgentLeft) == 2)
            scheduler.send_signal(signal.SIGKILL)
            scheduler.wait()
            await until(lambda: count(AgentLost) + count(AgentLeft) == 3)
            third.wait()
            dask.start_scheduler()
            dask.start_worker()
            await until(lambda: count(AgentJoined) == 4)
            # So far it was slow, to have something to do whatever the machine's load is.
            ledger = up.ledger_path(Job(manifest=manifest))
            await asyncio.to_thread(ask, ledger, ControlRequest(starts_per_s=None))
            result = await run
    assert result.status is ExitStatus.DONE
    assert result.states == {EntryState.ACCEPTED: FILE_COUNT}
    assert sorted(one.filename for one in sandbox.files) == sorted(
        f"{number}.txt" for number in range(FILE_COUNT)
    )
    assert_at_rest(result.ledger)
