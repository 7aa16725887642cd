"""What the progress display takes: the same run with the live display, with plain lines, and without a terminal."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from measuring.file_sets import KIB, equal_files
from measuring.rounds import in_turn
from measuring.tables import COST_COLUMNS, cost_cells, table
from peers.contenders import CONTENDERS, OURS, ours
from workloads.measurement import IN_FLIGHT, Measurement, Server, measure

if TYPE_CHECKING:
    from collections.abc import Callable

_BARE = "no terminal"


def progress(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure the same run with the live display, with plain lines on a terminal, and without a terminal."""
    files = equal_files(max(1, round(10_000 * scale)), 4 * KIB)
    files.warm()
    run = partial(measure, files=files, server=Server(), in_flight=IN_FLIGHT)
    plain = ours("plain lines", "--validate", "off", "--no-progress")
    kinds: dict[str, Callable[[], Measurement]] = {
        _BARE: partial(run, CONTENDERS[OURS]),
        "terminal, --no-progress": partial(run, plain, terminal=True),
        "terminal, live display": partial(run, CONTENDERS[OURS], terminal=True),
    }
    runs: dict[str, list[Measurement]] = {kind: [] for kind in kinds}
    for _, kind in in_turn(list(kinds), rounds):
        runs[kind].append(kinds[kind]())
    rows = [["", *COST_COLUMNS, f"wall ÷ {_BARE}", f"CPU ÷ {_BARE}"]]
    for kind, measured in runs.items():
        pairs = list(zip(measured, runs[_BARE], strict=True))
        wall = statistics.median(one.cost.wall_s / bare.cost.wall_s for one, bare in pairs)
        cpu = statistics.median(one.cost.cpu_s / bare.cost.cpu_s for one, bare in pairs)
        rows.append([kind, *cost_cells([one.cost for one in measured]), f"{wall:.2f}", f"{cpu:.2f}"])
    print(f"\nprogress display, {files.count:,} files of 4 KiB, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {kind: [asdict(one) for one in measured] for kind, measured in runs.items()}}]
