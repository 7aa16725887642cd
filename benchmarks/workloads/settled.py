"""What each command takes for a large job that has nothing left to do.

Expected for a million entries: `plan` and a `run` without work under a minute and 200 MiB, `status` in a few seconds,
memory that does not grow with the number of entries.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from measuring.cache import cache_folder
from measuring.processes import Cost, bulk_upload_command, cost_of
from measuring.tables import COST_COLUMNS, cost_cells, table
from workloads.measurement import as_run
from workloads.settled_job import ENDPOINT, LEDGER, MANIFEST, settled_job

_ENTRY_COUNT = 1_000_000


def settled(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure the commands on a job in which every entry is accepted. It is made once and kept in the cache."""
    entry_count = max(10, round(_ENTRY_COUNT * scale))
    folder = os.path.join(cache_folder(), f"settled-{entry_count}")
    settled_job(folder, entry_count=entry_count)
    runs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(dir=cache_folder()) as scratch:
        for _ in range(rounds):
            for name, words in _commands(folder, scratch).items():
                # A run without work asks nobody and sends the key nowhere.
                cost = cost_of(bulk_upload_command(*words), environment={"SEEKR_API_KEY": "unused"})
                if cost.exit_code:
                    raise SystemExit(
                        f"bulk-upload {name} ended with exit code {cost.exit_code}: {cost.errors}"
                    )
                runs.setdefault(name, []).append(cost)
    rows = [["", *COST_COLUMNS], *([name, *cost_cells(costs)] for name, costs in runs.items())]
    print(f"\nsettled job of {entry_count:,} entries, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {name: [as_run(one) for one in costs] for name, costs in runs.items()}}]


def _commands(folder: str, scratch: str) -> dict[str, list[str]]:
    manifest, ledger = os.path.join(folder, MANIFEST), os.path.join(folder, LEDGER)
    job = [manifest, "--base-url", ENDPOINT, "--ledger", ledger]
    export = os.path.join(scratch, "out.csv")
    return {
        "status": ["status", ledger],
        "ledger show": ["ledger", "show", ledger],
        "ledger export": ["ledger", "export", ledger, "--format", "csv", "-o", export],
        "plan": ["plan", *job],
        "run": ["run", *job],
        "run --results none": ["run", *job, "--results", "none"],
    }
