"""What a command takes before it does anything; importing aiohttp is what no run can do without."""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict
from typing import Any

from measuring.absent import Absent
from measuring.file_sets import KIB, equal_files
from measuring.processes import Cost, bulk_upload_command, cost_of
from measuring.tables import COST_COLUMNS, cost_cells, table
from peers.contenders import CONTENDERS, OURS
from workloads.measurement import IN_FLIGHT, Measurement, Server, as_run, measure

BARE = "python -c pass"
LIBRARY = 'python -c "import aiohttp"'
_COMMANDS = {
    BARE: [sys.executable, "-c", "pass"],
    LIBRARY: [sys.executable, "-c", "import aiohttp"],
    "bulk-upload --version": bulk_upload_command("--version"),
    "bulk-upload --help": bulk_upload_command("--help"),
    "bulk-upload run --help": bulk_upload_command("run", "--help"),
}


def start_up(*, rounds: int, scale: float) -> list[dict[str, Any]]:  # noqa: ARG001 - one file is one file
    """Measure commands that send nothing, and one small file by everybody."""
    files = equal_files(1, 4 * KIB)
    commands: dict[str, list[Cost]] = {label: [] for label in _COMMANDS}
    uploads: dict[str, list[Measurement]] = {}
    for _ in range(rounds):
        for label, command in _COMMANDS.items():
            commands[label].append(cost_of(command))
        for name, contender in CONTENDERS.items():
            if name.startswith(f"{OURS}-"):
                continue
            try:
                one = measure(contender, files, Server(), in_flight=IN_FLIGHT)
            except Absent:
                continue
            uploads.setdefault(f"one file: {contender.label}", []).append(one)
    costs = commands | {label: [one.cost for one in measured] for label, measured in uploads.items()}
    print(f"\nstart-up, {rounds} rounds\n\n{_table(costs)}", flush=True)
    return [
        {
            "runs": {label: [as_run(one) for one in measured] for label, measured in commands.items()}
            | {label: [asdict(one) for one in measured] for label, measured in uploads.items()}
        }
    ]


def _table(costs: dict[str, list[Cost]]) -> str:
    rows = [["", *COST_COLUMNS, f"wall s over {BARE}", "wall ÷ import aiohttp"]]
    for label, ones in costs.items():
        over = statistics.median(
            one.wall_s - bare.wall_s for one, bare in zip(ones, costs[BARE], strict=True)
        )
        ratio = statistics.median(
            one.wall_s / library.wall_s for one, library in zip(ones, costs[LIBRARY], strict=True)
        )
        rows.append([label, *cost_cells(ones), f"{over:.2f}", f"{ratio:.2f}"])
    return table(rows)
