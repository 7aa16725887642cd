"""An hour's work in a few minutes: the real command under mixed faults, with flat memory, descriptors and threads.

    pytest -n 0 -s -m soak tests/hazards/test_soak.py

An hour at ten files a second is 36,000 files. The run makes no difference between one hour and a few minutes
but for its timers: what grows, grows with requests, faults and listings.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from tests.cli.stage import environment
from tests.hazards.fault_kinds import KINDS
from tests.hazards.fault_scenes import Play
from tests.hazards.fault_server import FaultServer, serving
from tests.hazards.fault_wire import Exchange

FILE_COUNT = 36_000
FAULT_SHARE = 0.1
CONCURRENCY = 16
RSS_SLACK_KIB = 16 * 1024
COUNT_SLACK = 12
"""Descriptors and threads come and go with connections and reads."""

SLOW_KINDS = frozenset(
    {"closes_idle_connections", "refused_for_a_while", "retry_after_date", "retry_after_1"}
)
MIXED: tuple[tuple[str, Play], ...] = tuple(
    (name, kind.play)
    for name, kind in KINDS.items()
    if kind.play is not None
    and kind.family in ("lost", "malformed", "odd", "statuses", "waits")
    and kind.state == kind.final == ("accepted",)
    and kind.copies == 1
    and kind.strikes == 1
    and not (kind.slow or kind.victim_last or name in SLOW_KINDS or name.startswith("endless"))
)


@dataclass(frozen=True)
class Sample:
    """What a process held at one moment."""

    at_s: float
    rss_kib: int
    descriptor_count: int
    thread_count: int


def sample(pid: int, at_s: float) -> Sample | None:
    """Look at a process, None when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    values = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if "VmRSS" not in values:
        return None
    return Sample(at_s, int(values["VmRSS"].split()[0]), descriptors, int(values["Threads"]))


def mixed(seed: int, met: Counter[str]) -> Play:
    """Strike one upload in ten, each with another kind of fault."""
    random = Random(seed)

    async def play(server: FaultServer, exchange: Exchange) -> None:
        if random.random() >= FAULT_SHARE:
            await server.accept(exchange)
            return
        name, struck = random.choice(MIXED)
        met[name] += 1
        await struck(server, exchange)

    return play


def job_of(folder: Path, count: int) -> Path:
    """Write so many small files, each of its own content and size."""
    random = Random(count)
    lines = []
    for number in range(count):
        name = f"{number % 100:02d}/{number:06d}.jsonl"
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b'{"text": "%d"}\n' % number * random.randrange(1, 60))
        lines.append(json.dumps({"path": name, "purpose": "pre-train"}))
    manifest = folder / "m.jsonl"
    manifest.write_text("\n".join(lines))
    return manifest


@contextmanager
def running(manifest: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command; its words go to a file."""
    options = ["--concurrency", str(CONCURRENCY), "--settle", "1s", "--no-progress", "--stall", "5s"]
    command = [sys.executable, "-m", "bulk_upload", "run", str(manifest), *options]
    env = environment({"SEEKR_BASE_URL": url})
    with open(manifest.with_suffix(".log"), "ab") as log:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def run_to_end(manifest: Path, url: str) -> tuple[int, list[Sample]]:
    """Run the command to its end; return its exit code and what it held on the way."""
    began = time.monotonic()
    samples: list[Sample] = []
    with running(manifest, url) as process:
        while process.poll() is None:
            one = sample(process.pid, time.monotonic() - began)
            if one is not None:
                samples.append(one)
            time.sleep(0.25)
        return process.returncode, samples


def assert_flat(samples: list[Sample]) -> None:
    """The last third holds no more than the second, up to a little."""
    third = len(samples) // 3
    assert third >= 8, "too short to tell"
    middle, last = samples[third : 2 * third], samples[2 * third :]

    def grown(name: str) -> int:
        def most(part: list[Sample]) -> int:
            return max(int(getattr(one, name)) for one in part)

        return most(last) - most(middle)

    assert grown("rss_kib") < RSS_SLACK_KIB
    assert grown("descriptor_count") <= COUNT_SLACK
    assert grown("thread_count") <= COUNT_SLACK


def described(samples: list[Sample]) -> str:
    """Return the figures of every tenth of the run."""
    tenths = samples[:: max(1, len(samples) // 10)]
    return "\n".join(
        f"{one.at_s:7.1f} s  {one.rss_kib / 1024:6.1f} MiB  {one.descriptor_count:3d} descriptors"
        f"  {one.thread_count:3d} threads"
        for one in tenths
    )


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_an_hour_of_mixed_faults_in_flat_memory(tmp_path: Path) -> None:
    """36,000 small files, one upload in ten struck: all accepted in the end, nothing twice, nothing grows."""
    count = int(os.environ.get("SOAK_FILES", FILE_COUNT))
    manifest = job_of(tmp_path, count)
    met: Counter[str] = Counter()
    server = FaultServer("soak", play=mixed(1, met), strikes=None, everyone=True)
    with serving(server):
        began = time.monotonic()
        code, samples = run_to_end(manifest, server.url)
        took_s = time.monotonic() - began
        uploads, listings = len(server.uploads), len(server.calls)
        print(
            f"\nexit {code} after {took_s:.0f} s: {count} files, {uploads} uploads, {sum(met.values())} faults of"
        )
        print(f"{len(met)} kinds, {listings} questions\n{described(samples)}")
        assert code in (0, 4, 5), manifest.with_suffix(".log").read_text()[-3000:]
        server.quiet = True
        while code != 0:
            code, _ = run_to_end(manifest, server.url)
            assert code in (0, 5), manifest.with_suffix(".log").read_text()[-3000:]
    assert server.failures == []
    copies = Counter(one.filename for one in server.stored.values())
    assert len(copies) == count
    assert set(copies.values()) == {1}
    assert_flat(samples)
