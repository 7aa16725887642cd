"""One measurement: a whole process, against a sink of its own, checked by what the sink has seen."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from measuring.cache import cache_folder
from measuring.processes import Cost, cost_of
from peers.contenders import Contender, Scene
from servers.sink import Sink, SinkCounts
from servers.tls_front import make_certificate, tls_front

if TYPE_CHECKING:
    from measuring.file_sets import FileSet

IN_FLIGHT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How the server behaves: see `Sink`."""

    latency_s: float = 0.0
    rate_per_s: float | None = None
    burst: int = 1
    retry_after_s: int = 1
    tls: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one process took, what its sink saw, and why it does not count, None where it does."""

    cost: Cost
    counts: SinkCounts
    failure: str | None


def measure(
    contender: Contender, files: FileSet, server: Server, *, in_flight: int, terminal: bool = False
) -> Measurement:
    """Run one contender once. Raises Absent where it cannot take part."""
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(dir=cache_folder()))
        ca_file = make_certificate(_new_folder(scratch, "tls")) if server.tls else None
        sink = stack.enter_context(
            Sink(
                latency_s=server.latency_s,
                rate_per_s=server.rate_per_s,
                burst=server.burst,
                retry_after_s=server.retry_after_s,
            )
        )
        url = sink.url
        if ca_file is not None:
            url = stack.enter_context(tls_front(os.path.dirname(ca_file), sink.port))
        scene = Scene(
            files=files, url=url, in_flight=in_flight, scratch=_new_folder(scratch, "scene"), ca_file=ca_file
        )
        command = contender.command(scene)
        cost = cost_of(command, environment=contender.environment, terminal=terminal)
        counts = sink.finish()
    return Measurement(cost=cost, counts=counts, failure=_failure(cost, counts, files))


def _new_folder(parent: str, name: str) -> str:
    folder = os.path.join(parent, name)
    os.mkdir(folder)
    return folder


def _failure(cost: Cost, counts: SinkCounts, files: FileSet) -> str | None:
    if cost.exit_code:
        last = cost.errors.strip().splitlines()[-1:] or [""]
        return f"exit code {cost.exit_code}: {last[0][:200]}"
    if (counts.accepted, counts.file_bytes) != (files.count, files.total_bytes):
        return (
            f"{counts.accepted} files of {counts.file_bytes} bytes arrived, "
            f"not {files.count} of {files.total_bytes}"
        )
    if counts.name_sum != files.name_sum:
        return "the names that arrived are not those of the files"
    if counts.malformed:
        return f"{counts.malformed} malformed requests"
    return None


def as_run(cost: Cost) -> dict[str, Any]:
    """Return a command without a sink in the form that `--json` writes a Measurement in."""
    failure = f"exit code {cost.exit_code}: {cost.errors}" if cost.exit_code else None
    return {"cost": asdict(cost), "failure": failure}
