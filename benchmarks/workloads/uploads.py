"""Everybody uploads the same files: which files, which server, who takes part."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from measuring.absent import Absent
from measuring.file_sets import GIB, KIB, MIB, FileSet, equal_files, mixed_files
from measuring.rounds import in_turn
from peers.contenders import CONTENDERS, OURS
from servers.tls_front import front_name
from workloads.measurement import IN_FLIGHT, Measurement, Server, measure
from workloads.upload_tables import Rounds, summaries, workload_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EVERYBODY = (
    OURS,
    "ours-validating",
    "ours-no-hash",
    "ours-default",
    "F",
    "lean",
    "S",
    "T",
    "O",
    "httpx",
    "requests",
    "C",
    "L",
)
# openai and httpx read whole files: of two GiB each, too much for many a machine.
_STREAMING = (OURS, "ours-validating", "ours-blake3", "ours-no-hash", "F", "S", "T", "C", "L")
_BUNDLES = ("ours-bundle", OURS, "B", "L")
_OVER_TLS = (OURS, "ours-validating", "ours-no-hash", "F", "httpx", "requests", "C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Files, a server, and who is measured by default.

    Attributes:
        title: says what it is, for the head of its table.
        files: makes the files for a scale: 1 is the real size, less is for a look whether all works.
        unit: what CPU time is divided by: `files` (1,000 of them) or `bytes` (a GiB).
        ideal_s: the span that no client can go below, from the number of files and of requests in flight; None
            where the server has no pace of its own.
    """

    title: str
    files: Callable[[float], FileSet]
    unit: str
    contenders: tuple[str, ...] = _EVERYBODY
    server: Server = field(default_factory=Server)
    in_flight: tuple[int, ...] = (IN_FLIGHT,)
    ideal_s: Callable[[int, int], float] | None = None


def _count(whole: int, scale: float) -> int:
    return max(1, round(whole * scale))


_LATENCY = Server(latency_s=0.05)
_LIMITED = Server(rate_per_s=200, burst=50, retry_after_s=1)
_PER_MINUTE = Server(rate_per_s=100 / 60, burst=5, retry_after_s=1)
_LIMITED_SHORT = Server(rate_per_s=100, burst=20, retry_after_s=1)


def _waves_s(file_count: int, in_flight: int) -> float:
    return -(-file_count // in_flight) * _LATENCY.latency_s


def _at_rate(server: Server) -> Callable[[int, int], float]:
    def ideal_s(file_count: int, in_flight: int) -> float:  # noqa: ARG001 - the server's pace alone decides
        assert server.rate_per_s is not None
        return max(0.0, (file_count - server.burst) / server.rate_per_s)

    return ideal_s


WORKLOADS: dict[str, Workload] = {
    "small": Workload(
        title="10,000 files of 4 KiB",
        files=lambda scale: equal_files(_count(10_000, scale), 4 * KIB),
        unit="files",
    ),
    "short": Workload(
        title="3,000 files of 4 KiB",
        files=lambda scale: equal_files(_count(3000, scale), 4 * KIB),
        unit="files",
        contenders=(OURS, "F", "lean", "S", "B", "C", "L"),
    ),
    "medium": Workload(
        title="1,000 files of 1 MiB",
        files=lambda scale: equal_files(_count(1000, scale), MIB),
        unit="bytes",
    ),
    "large": Workload(
        title="2 files of 1 GiB",
        files=lambda scale: equal_files(2, _count(GIB, scale)),
        unit="bytes",
        contenders=_STREAMING,
    ),
    "mixed": Workload(
        title="3,000 files of log-normal sizes, one of 200 MiB",
        files=lambda scale: mixed_files(_count(3000, scale), largest_bytes=_count(200 * MIB, scale)),
        unit="bytes",
        contenders=_STREAMING,
    ),
    "latency": Workload(
        title="1,000 files of 4 KiB, each answered after 50 ms",
        files=lambda scale: equal_files(_count(1000, scale), 4 * KIB),
        unit="files",
        server=_LATENCY,
        in_flight=(16, 64),
        ideal_s=_waves_s,
    ),
    "limited": Workload(
        title="3,000 files of 4 KiB; 429 with Retry-After: 1 above 200 a second (50 at once)",
        files=lambda scale: equal_files(_count(3000, scale), 4 * KIB),
        unit="files",
        contenders=(OURS, "ours-default"),
        server=_LIMITED,
        ideal_s=_at_rate(_LIMITED),
    ),
    "limited-short": Workload(
        title="600 files of 4 KiB; 429 with Retry-After: 1 above 100 a second (20 at once)",
        files=lambda scale: equal_files(_count(600, scale), 4 * KIB),
        unit="files",
        contenders=(OURS, "ours-default"),
        server=_LIMITED_SHORT,
        ideal_s=_at_rate(_LIMITED_SHORT),
    ),
    "bundles": Workload(
        title="10,000 files of 4 KiB, several in one request",
        files=lambda scale: equal_files(_count(10_000, scale), 4 * KIB),
        unit="files",
        contenders=_BUNDLES,
    ),
    "bundles-latency": Workload(
        title="1,000 files of 4 KiB, several in one request, each request answered after 50 ms",
        files=lambda scale: equal_files(_count(1000, scale), 4 * KIB),
        unit="files",
        contenders=_BUNDLES,
        server=_LATENCY,
    ),
    "bundles-limited": Workload(
        title="200 files of 4 KiB; 429 with Retry-After: 1 above 100 requests a minute (5 at once)",
        files=lambda scale: equal_files(_count(200, scale), 4 * KIB),
        unit="files",
        contenders=("ours-bundle", OURS),
        server=_PER_MINUTE,
    ),
    "tls": Workload(
        title="1,000 files of 1 MiB over TLS",
        files=lambda scale: equal_files(_count(1000, scale), MIB),
        unit="bytes",
        contenders=_OVER_TLS,
        server=Server(tls=True),
    ),
    "tls-large": Workload(
        title="2 files of 1 GiB over TLS",
        files=lambda scale: equal_files(2, _count(GIB, scale)),
        unit="bytes",
        contenders=(OURS, "ours-no-hash", "F", "C"),
        server=Server(tls=True),
    ),
    "tls-small": Workload(
        title="3,000 files of 4 KiB over TLS",
        files=lambda scale: equal_files(_count(3000, scale), 4 * KIB),
        unit="files",
        contenders=_OVER_TLS,
        server=Server(tls=True),
    ),
}


def run_uploads(
    workload: Workload, names: Sequence[str], *, rounds: int, scale: float
) -> list[dict[str, Any]]:
    """Measure one workload, print its tables and return them with every single measurement."""
    title = workload.title
    if workload.server.tls:
        title = f"{title}, {front_name()} in front"
    files = workload.files(scale)
    files.warm()
    results = []
    for in_flight in workload.in_flight:
        # A loop has one in flight, whatever is asked of the others: measured once.
        who = [name for name in names if in_flight == workload.in_flight[0] or name != "S"]
        measured = _rounds(workload, files, who, rounds=rounds, in_flight=in_flight)
        ideal_s = None if workload.ideal_s is None else workload.ideal_s(files.count, in_flight)
        summary = summaries(measured, files, unit=workload.unit, ideal_s=ideal_s or None)
        if summary:
            labels = {name: CONTENDERS[name].label for name in summary}
            print(f"\n{title}, {in_flight} in flight, {rounds} rounds, scale {scale:g}\n")
            print(workload_table(summary, labels, unit=workload.unit), flush=True)
        results.append(
            {
                "in_flight": in_flight,
                "file_count": files.count,
                "file_bytes": files.total_bytes,
                "ideal_s": ideal_s,
                "medians": summary,
                "runs": {name: [asdict(one) for one in runs] for name, runs in measured.items()},
            }
        )
    return results


def _rounds(workload: Workload, files: FileSet, names: list[str], *, rounds: int, in_flight: int) -> Rounds:
    measured: Rounds = {name: [] for name in names}
    for number, name in in_turn(names, rounds):
        if name not in measured:
            continue
        try:
            one = measure(CONTENDERS[name], files, workload.server, in_flight=in_flight)
        except Absent as absent:
            del measured[name]
            report(f"{CONTENDERS[name].label}: left out: {absent}")
            continue
        measured[name].append(one)
        report(f"round {number + 1}/{rounds}  {_said(CONTENDERS[name].label, one)}")
    return measured


def _said(label: str, one: Measurement) -> str:
    if one.failure is not None:
        return f"{label}: FAILED: {one.failure}"
    return f"{label}: {one.cost.wall_s:.2f} s, CPU {one.cost.cpu_s:.2f} s, span {one.counts.span_s:.2f} s"


def report(line: str) -> None:
    """Print a line of progress to stderr."""
    print(line, file=sys.stderr, flush=True)
