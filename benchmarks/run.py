"""Measures bulk-upload beside what a user would pick instead, on this machine, sending nothing beyond 127.0.0.1.

    python benchmarks/run.py [--workload small,large] [--peers ours,F,C] [--rounds 5] [--scale 1] [--json FILE]
    python benchmarks/run.py --overview FILE

Every figure is of a whole process, from its start to its end. README.md beside this file says how to read them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from measuring.absent import Absent
from measuring.cache import cache_folder
from peers.contenders import CONTENDERS
from peers.environment import versions
from workloads.growth import growth
from workloads.overview import overview
from workloads.progress import progress
from workloads.settled import settled
from workloads.start_up import start_up
from workloads.uploads import WORKLOADS, report, run_uploads
from workloads.watched import watched

if TYPE_CHECKING:
    from collections.abc import Callable


def _ledger(*, rounds: int, scale: float) -> list[dict[str, Any]]:  # noqa: ARG001 - has sizes of its own
    print("\nledger\n", flush=True)
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ledger.py")
    words = ["--folder", cache_folder(), "--rounds", str(rounds)]
    subprocess.run([sys.executable, script, *words], check=True)
    return []


_OTHER_WORKLOADS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "start-up": start_up,
    "progress": progress,
    "watched": watched,
    "growth": growth,
    "settled": settled,
    "ledger": _ledger,
}


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_average": os.getloadavg(),
        "began_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _our_place() -> str:
    found = importlib.util.find_spec("bulk_upload")
    if found is None or found.origin is None:
        raise SystemExit("bulk-upload is not installed for this interpreter: pip install -e .")
    return os.path.dirname(found.origin)


def _failed(results: dict[str, Any]) -> bool:
    return any(
        run["failure"] is not None
        for tables in results.values()
        for one in tables
        for runs in one["runs"].values()
        for run in runs
    )


def _names(text: str | None, known: list[str], what: str) -> list[str] | None:
    if text is None:
        return None
    names = text.split(",")
    for name in names:
        if name not in known:
            raise SystemExit(f"{name} is no {what}; there are: {', '.join(known)}")
    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    everything = ", ".join((*WORKLOADS, *_OTHER_WORKLOADS))
    parser.add_argument("--workload", help=f"some of them, with commas (default: all): {everything}")
    parser.add_argument(
        "--peers", help=f"some of them, with commas (default: the workload's): {', '.join(CONTENDERS)}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: only a look whether all works")
    parser.add_argument("--json", metavar="FILE", help="also write every measurement there")
    parser.add_argument(
        "--overview", metavar="FILE", help="measure nothing; print the overview of what --json wrote to FILE"
    )
    return parser.parse_args()


def main() -> int:
    """Measure what the command line asks for; return 1 when a measurement failed."""
    options = _options()
    if options.overview is not None:
        with open(options.overview, encoding="utf-8") as file:
            print(overview(json.load(file)["results"]))
        return 0
    known = [*WORKLOADS, *_OTHER_WORKLOADS]
    chosen = _names(options.workload, known, "workload") or known
    peers = _names(options.peers, list(CONTENDERS), "peer")
    machine = _machine()
    report(f"measuring the bulk-upload of {_our_place()}")
    results: dict[str, Any] = {}
    for name in chosen:
        report(f"== {name}")
        try:
            if name in WORKLOADS:
                workload = WORKLOADS[name]
                who = tuple(peers) if peers else workload.contenders
                results[name] = run_uploads(workload, who, rounds=options.rounds, scale=options.scale)
            else:
                results[name] = _OTHER_WORKLOADS[name](rounds=options.rounds, scale=options.scale)
        except Absent as absent:
            print(f"\n{name}: skipped: {absent}", flush=True)
    whole = overview(results)
    if whole is not None:
        print(f"\nAll together, {options.rounds} rounds, scale {options.scale:g}\n\n{whole}", flush=True)
    if options.json is not None:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": machine, "versions": versions(), "results": results}, file, indent=1)
    return 1 if _failed(results) else 0


if __name__ == "__main__":
    sys.exit(main())
