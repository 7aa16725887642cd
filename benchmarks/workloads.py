"""What is measured: which files, which server, who takes part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from contenders import OURS
from file_sets import GIB, KIB, MIB, FileSet, equal_files, mixed_files
from measuring import Server

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT = 16
_EVERYBODY = (
    OURS,
    "ours-validating",
    "ours-no-hash",
    "ours-default",
    "F",
    "S",
    "T",
    "O",
    "httpx",
    "requests",
    "C",
    "L",
)
# openai and httpx read whole files: of two GiB each, too much for many a machine.
_STREAMING = (OURS, "ours-validating", "ours-no-hash", "F", "S", "T", "C", "L")
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
    "tls": Workload(
        title="1,000 files of 1 MiB over TLS, nginx in front",
        files=lambda scale: equal_files(_count(1000, scale), MIB),
        unit="bytes",
        contenders=_OVER_TLS,
        server=Server(tls=True),
    ),
    "tls-small": Workload(
        title="3,000 files of 4 KiB over TLS, nginx in front",
        files=lambda scale: equal_files(_count(3000, scale), 4 * KIB),
        unit="files",
        contenders=_OVER_TLS,
        server=Server(tls=True),
    ),
}
