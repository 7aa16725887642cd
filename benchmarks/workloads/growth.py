"""How cost grows with the job: more and more entries, each accepted by a transport without a network."""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from typing import Any

from measuring.cache import cache_folder
from measuring.file_sets import PURPOSE, equal_files
from measuring.processes import Cost, cost_of
from measuring.tables import COST_COLUMNS, cost_cells, table
from workloads.measurement import IN_FLIGHT, as_run

_SIZES = (1000, 10_000, 100_000, 1_000_000)
# ext4 allows 65,000 links to a file, which is the least among the usual file systems of Linux.
_LINKS_A_FILE = 30_000
_FILES_A_FOLDER = 1000
_FILE_BYTES = 1024
_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "simulated_run.py")


def growth(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure whole runs of more and more entries, each accepted by a transport without a network."""
    runs: dict[str, list[Cost]] = {}
    rows = [["entries", *COST_COLUMNS, "CPU µs an entry", "ledger bytes an entry"]]
    for whole in _SIZES:
        size = max(10, round(whole * scale))
        costs, ledger_bytes = [], 0
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            _make_job(folder, size)
            # A million once: what it shows is the slope, and it takes minutes.
            for _ in range(rounds if size <= 100_000 else 1):
                ledger = os.path.join(folder, "job.ledger.db")
                costs.append(_simulated_cost(folder, ledger))
                if costs[-1].exit_code:
                    raise SystemExit(f"the simulated run failed: {costs[-1].errors}")
                ledger_bytes = os.path.getsize(ledger)
                os.unlink(ledger)
        runs[str(size)] = costs
        per_entry_us = statistics.median(one.cpu_s for one in costs) / size * 1e6
        rows.append([f"{size:,}", *cost_cells(costs), f"{per_entry_us:.0f}", f"{ledger_bytes / size:.0f}"])
    print(f"\ngrowth, simulated transport, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {size: [as_run(one) for one in costs] for size, costs in runs.items()}}]


def _make_job(folder: str, entry_count: int) -> None:
    """Make files and their manifest. They are links to a few, for a million files would take 6 GB and many minutes."""
    originals = equal_files(-(-entry_count // _LINKS_A_FILE), _FILE_BYTES).paths()
    with open(os.path.join(folder, "job.jsonl"), "w", encoding="utf-8") as manifest:
        for number in range(entry_count):
            part = f"part-{number // _FILES_A_FOLDER:04}"
            if number % _FILES_A_FOLDER == 0:
                os.mkdir(os.path.join(folder, part))
            name = f"{part}/document-{number:07}.jsonl"
            os.link(originals[number // _LINKS_A_FILE], os.path.join(folder, name))
            manifest.write(json.dumps({"path": name, "purpose": PURPOSE}) + "\n")


def _simulated_cost(folder: str, ledger_path: str) -> Cost:
    manifest = os.path.join(folder, "job.jsonl")
    return cost_of([sys.executable, _SCRIPT, manifest, ledger_path, str(IN_FLIGHT)])
