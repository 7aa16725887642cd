"""Measures runs of one process beside runs of two, on this machine, sending nothing beyond 127.0.0.1.

Beside both there are two commands that know nothing of each other, each with half of the files: what the machine allows.

    python benchmarks/processes.py [--rounds 3] [--scale 1] [--processes 2] [--workload tls,large,small]

At scale 1 and three rounds it takes about four minutes on two processors, after the first time, which makes 3 GB of data.
The last lines are the constants of `bulk_upload/core/fleet/process_count.py` as this machine has them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass

from measuring.absent import Absent
from measuring.cache import cache_folder
from measuring.file_sets import GIB, KIB, MIB, FileSet, equal_files
from measuring.rounds import in_turn
from measuring.tables import table
from peers.contenders import Scene, ours
from servers.sink import Sink
from servers.tls_front import make_certificate, plain_tls_front

IN_FLIGHT = 16
SAMPLED_EVERY_S = 0.05
"""How exact the times of processes are: what one does after the last sample is not seen."""

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Files, and whether they go over TLS."""

    count: int
    file_bytes: int
    tls: bool = False

    def files(self, scale: float) -> FileSet:
        """Return the files; less than scale 1 has fewer of them, and smaller large ones."""
        if self.file_bytes > MIB:
            return equal_files(self.count, max(MIB, int(self.file_bytes * scale)))
        return equal_files(max(1, int(self.count * scale)), self.file_bytes)


WORKLOADS = {
    "tls": Workload(count=1000, file_bytes=MIB, tls=True),
    "large": Workload(count=2, file_bytes=GIB),
    "small": Workload(count=10_000, file_bytes=4 * KIB),
    "one": Workload(count=1, file_bytes=4 * KIB),
}
"""`one` shows what it costs to start."""


@dataclass(slots=True)
class Process:
    """What a process has taken by the last look at it."""

    cpu_s: float = 0.0
    peak_bytes: int = 0

    def look(self, pid: int) -> None:
        """Look at it, if it is still there."""
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
                peak = [line.split()[1] for line in file if line.startswith("VmHWM:")]
        except (FileNotFoundError, ProcessLookupError):
            return
        self.cpu_s = max(self.cpu_s, (int(fields[11]) + int(fields[12])) / TICKS_PER_S)
        self.peak_bytes = max(self.peak_bytes, 1024 * int(peak[0]) if peak else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run: the process of the command, the others, and the processor time of the server.

    The others are its agents, or the commands beside it.
    """

    wall_s: float
    own: Process
    others: tuple[Process, ...]
    server_cpu_s: float
    failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to send the files: the options of the command, and how many of them each send a part."""

    options: tuple[str, ...] = ()
    commands: int = 1

    def started(
        self, files: FileSet, url: str, scratch: str, ca_file: str | None
    ) -> list[subprocess.Popen[bytes]]:
        """Start its commands, all at once."""
        started = []
        for number in range(self.commands):
            folder = os.path.join(scratch, f"scene-{number}")
            os.mkdir(folder)
            scene = Scene(
                files=files, url=url, in_flight=IN_FLIGHT // self.commands, scratch=folder, ca_file=ca_file
            )
            contender = ours("", "--validate", "off", *self.options)
            command = contender.command(scene)
            with open(command[4], encoding="utf-8") as manifest:
                lines = manifest.readlines()
            with open(command[4], "w", encoding="utf-8") as manifest:
                manifest.writelines(lines[number :: self.commands])
            environment = {**os.environ, **contender.environment}
            # As installed: with bytecode.
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            started.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                )
            )
        return started


def measured(way: Way, files: FileSet, *, tls: bool) -> Measured:
    """Send the files once, to a server of its own."""
    files.warm()
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=cache_folder()))
        sink = stack.enter_context(Sink())
        url, front, front_pid, ca_file = sink.url, Process(), None, None
        if tls:
            ca_file = make_certificate(scratch)
            url, front_pid = stack.enter_context(plain_tls_front(scratch, sink.port))
        seen = dict[int, Process]()
        began = time.monotonic()
        runs = way.started(files, url, scratch, ca_file)
        while any(one.poll() is None for one in runs):
            for one in runs:
                for pid in (one.pid, *children(one.pid)):
                    seen.setdefault(pid, Process()).look(pid)
            if front_pid is not None:
                front.look(front_pid)
            time.sleep(SAMPLED_EVERY_S)
        wall_s = time.monotonic() - began
        if front_pid is not None:
            front.look(front_pid)
        counts = sink.finish()
    failure = None
    if any(one.returncode for one in runs):
        failure = f"exit codes {' '.join(str(one.returncode) for one in runs)}"
    elif (counts.accepted, counts.file_bytes) != (files.count, files.total_bytes):
        failure = f"{counts.accepted} files of {counts.file_bytes} bytes arrived"
    own = seen.pop(runs[0].pid, Process())
    return Measured(
        wall_s=wall_s,
        own=own,
        others=tuple(seen.values()),
        server_cpu_s=counts.cpu_s + front.cpu_s,
        failure=failure,
    )


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that live."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(one) for one in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def median(values: list[float]) -> float:
    """Return a median, 0 of nothing."""
    return statistics.median(values) if values else 0.0


def row(name: str, ones: list[Measured], files: FileSet) -> list[str]:
    """Return the medians of some runs as cells."""
    wall_s = median([one.wall_s for one in ones])
    own_s = median([one.own.cpu_s for one in ones])
    return [
        name,
        f"{wall_s:.2f}",
        f"{files.total_bytes / wall_s / 1e6:.0f}",
        f"{own_s:.2f}",
        f"{1000 * own_s / files.count:.2f}",
        f"{median([sum(other.cpu_s for other in one.others) for one in ones]):.2f}",
        f"{median([one.own.peak_bytes for one in ones]) / MIB:.0f}",
        " ".join(f"{peak / MIB:.0f}" for peak in peaks(ones)) or "-",
        f"{100 * median([one.server_cpu_s / one.wall_s for one in ones]):.0f} %",
    ]


def peaks(ones: list[Measured]) -> list[float]:
    """Return the median peak of the other processes, the largest first."""
    sorted_ones = [sorted((other.peak_bytes for other in one.others), reverse=True) for one in ones]
    return [median([float(one[place]) for one in sorted_ones]) for place in range(min(map(len, sorted_ones)))]


HEAD = [
    "", "wall s", "MB/s", "own CPU s", "own CPU ms a file", "others' CPU s", "own peak MiB", "others' peak MiB",
    "server, of one processor",
]  # fmt: skip


def main() -> int:
    """Measure and print tables; return 1 when a measurement failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: only a look whether all works")
    parser.add_argument("--processes", type=int, default=2, help="how many beside one (default: 2)")
    parser.add_argument("--workload", help=f"some of them, with commas: {','.join(WORKLOADS)}")
    asked = parser.parse_args()
    several = f"{asked.processes} processes"
    ceiling = f"{asked.processes} commands, a part each"
    ways = {
        "1 process": Way(),
        several: Way(options=("--processes", str(asked.processes))),
        ceiling: Way(commands=asked.processes),
    }
    found: dict[str, dict[str, list[Measured]]] = {}
    failed = False
    for name in asked.workload.split(",") if asked.workload else WORKLOADS:
        workload = WORKLOADS[name]
        files = workload.files(asked.scale)
        # Of one file there are no parts.
        here = [who for who, way in ways.items() if way.commands <= files.count]
        runs: dict[str, list[Measured]] = {who: [] for who in here}
        try:
            for _, who in in_turn(here, asked.rounds):
                one = measured(ways[who], files, tls=workload.tls)
                runs[who].append(one)
                if one.failure is not None:
                    failed = True
                    print(f"{name}, {who}: {one.failure}", file=sys.stderr)
        except Absent as absent:
            print(f"\n{name}: skipped: {absent}", flush=True)
            continue
        found[name] = runs
        wall_s = {who: median([one.wall_s for one in ones]) for who, ones in runs.items()}
        title = f"{name}: {files.count:,} of {files.total_bytes // files.count:,} bytes{', TLS' if workload.tls else ''}"
        ratios = [f"{who} are {wall_s['1 process'] / wall_s[who]:.2f} times as fast" for who in here[1:]]
        print(f"\n{title}; {'; '.join(ratios)}\n", flush=True)
        print(table([HEAD, *(row(who, ones, files) for who, ones in runs.items())]), flush=True)
    print_constants(found, several, asked.scale)
    return int(failed)


def print_constants(found: dict[str, dict[str, list[Measured]]], several: str, scale: float) -> None:
    """Print what `--processes auto` decides by, as measured."""
    if "large" not in found or "one" not in found:
        return
    total_bytes = WORKLOADS["large"].files(scale).total_bytes
    one_s, several_s = (median([one.wall_s for one in found["large"][who]]) for who in ("1 process", several))
    start_s, start_several_s = (
        median([one.wall_s for one in found["one"][who]]) for who in ("1 process", several)
    )
    process_bytes = max(
        (
            one.peak_bytes
            for runs in found.values()
            for measurement in (*runs["1 process"], *runs[several])
            for one in (measurement.own, *measurement.others)
        ),
        default=0,
    )
    if one_s <= start_s or several_s <= start_several_s:
        print("\nThe large files take no longer than one small one: nothing can be said of the constants.")
        return
    rate, several_rate = total_bytes / (one_s - start_s), total_bytes / (several_s - start_several_s)
    print("\nbulk_upload/core/fleet/process_count.py, by this machine:\n")
    print(f"PROCESS_BYTES = {-(-process_bytes // (16 * MIB)) * 16} * 1024 * 1024")
    print(
        f"CAP_PAYS_FROM_BYTES_PER_S = {rate / 2:.1e}  # half of what one process sends: {rate / 1e6:.0f} MB/s"
    )
    saved_s_per_byte = 1 / rate - 1 / several_rate
    if saved_s_per_byte <= 0:
        print(f"PAYS_FROM_BYTES: never here: {several} send {several_rate / 1e6:.0f} MB/s")
        return
    pays_bytes = max(0.0, start_several_s - start_s) / saved_s_per_byte
    print(
        f"PAYS_FROM_BYTES = {pays_bytes / GIB:.2f} * 1024**3"
        f"  # {start_several_s - start_s:.2f} s later, {several_rate / rate:.2f} times as fast from then on"
    )


if __name__ == "__main__":
    sys.exit(main())
