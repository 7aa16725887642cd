"""Measures what each command needs for a large job that is settled: wall time, CPU time, peak memory.

    python benchmarks/settled_job.py FOLDER
    python benchmarks/settled_commands.py FOLDER [--rounds 3] [--only plan]

Expectation for a million entries: `plan` and a `run` without work under a minute and 200 MiB, `status` in a few
seconds, memory that does not grow with the number of entries.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile

from child_cost import Cost, cost_of
from settled_job import ENDPOINT, LEDGER, MANIFEST


def commands_for(folder: str, scratch: str) -> dict[str, list[str]]:
    """Return the measured commands by name."""
    manifest, ledger = os.path.join(folder, MANIFEST), os.path.join(folder, LEDGER)
    job = [manifest, "--base-url", ENDPOINT, "--ledger", ledger]
    return {
        "status": ["status", ledger],
        "ledger show": ["ledger", "show", ledger],
        "ledger export": [
            "ledger",
            "export",
            ledger,
            "--format",
            "csv",
            "-o",
            os.path.join(scratch, "out.csv"),
        ],
        "plan": ["plan", *job],
        "run": ["run", *job],
        "run --results none": ["run", *job, "--results", "none"],
    }


def main() -> None:
    """Measure, and print one line a command with the medians of all rounds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", help="what settled_job.py has made")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", help="measure this command alone")
    options = parser.parse_args()
    costs: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        commands = commands_for(options.folder, scratch)
        for _ in range(options.rounds):
            for name, words in commands.items():
                if options.only in (None, name):
                    costs.setdefault(name, []).append(_cost_of(words))
    print(f"{'command':<20}{'wall s':>9}{'CPU s':>9}{'peak MiB':>10}")
    for name, rounds in costs.items():
        wall_s = statistics.median(one.wall_s for one in rounds)
        cpu_s = statistics.median(one.cpu_s for one in rounds)
        peak_mib = max(one.peak_rss_bytes for one in rounds) / 2**20
        print(f"{name:<20}{wall_s:>9.2f}{cpu_s:>9.2f}{peak_mib:>10.0f}")


def _cost_of(words: list[str]) -> Cost:
    # A run without work asks nobody and sends the key nowhere.
    cost = cost_of([sys.executable, "-m", "bulk_upload", *words], environment={"SEEKR_API_KEY": "unused"})
    if cost.exit_code:
        raise SystemExit(f"bulk-upload {words[0]} ended with exit code {cost.exit_code}")
    return cost


if __name__ == "__main__":
    main()
