"""Measures bulk-upload beside what a user would pick instead, on this machine, sending nothing beyond 127.0.0.1.

    python benchmarks/run.py [--workload small,large] [--peers ours,F,C] [--rounds 5] [--scale 1] [--json FILE]

Every figure is of a whole process, from its start to its end. README.md beside this file says how to read them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from contenders import CONTENDERS, Absent, versions
from measuring import Measurement, measure
from overview import overview
from process_costs import PROCESS_WORKLOADS
from tables import Rounds, summaries, workload_table
from tls_front import require_tls
from workloads import WORKLOADS, Workload

if TYPE_CHECKING:
    from file_sets import FileSet


def run_workload(
    workload: Workload, names: tuple[str, ...], *, rounds: int, scale: float
) -> list[dict[str, Any]]:
    """Measure one workload, print its tables and return them with every single measurement."""
    if workload.server.tls:
        require_tls()
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
            print(f"\n{workload.title}, {in_flight} in flight, {rounds} rounds, scale {scale:g}\n")
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
    for number in range(rounds):
        # Rotated: whoever always comes first meets another machine than whoever always comes last.
        start = number % len(names)
        for name in names[start:] + names[:start]:
            if name not in measured:
                continue
            try:
                one = measure(CONTENDERS[name], files, workload.server, in_flight=in_flight)
            except Absent as absent:
                del measured[name]
                _tell(f"{CONTENDERS[name].label}: left out: {absent}")
                continue
            measured[name].append(one)
            _tell(f"round {number + 1}/{rounds}  {_said(CONTENDERS[name].label, one)}")
    return measured


def _said(label: str, one: Measurement) -> str:
    if one.failure is not None:
        return f"{label}: FAILED: {one.failure}"
    return f"{label}: {one.cost.wall_s:.2f} s, CPU {one.cost.cpu_s:.2f} s, span {one.counts.span_s:.2f} s"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


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
    everything = ", ".join((*WORKLOADS, *PROCESS_WORKLOADS))
    parser.add_argument("--workload", help=f"some of them, with commas (default: all): {everything}")
    parser.add_argument(
        "--peers", help=f"some of them, with commas (default: the workload's): {', '.join(CONTENDERS)}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="less than 1: only a look whether all works")
    parser.add_argument("--json", metavar="FILE", help="also write every measurement there")
    return parser.parse_args()


def main() -> int:
    """Measure what the command line asks for; return 1 when a measurement failed."""
    options = _options()
    known = [*WORKLOADS, *PROCESS_WORKLOADS]
    chosen = _names(options.workload, known, "workload") or known
    peers = _names(options.peers, list(CONTENDERS), "peer")
    machine = _machine()
    _tell(f"measuring the bulk-upload of {_our_place()}")
    results: dict[str, Any] = {}
    for name in chosen:
        _tell(f"== {name}")
        try:
            if name in WORKLOADS:
                workload = WORKLOADS[name]
                who = tuple(peers) if peers else workload.contenders
                results[name] = run_workload(workload, who, rounds=options.rounds, scale=options.scale)
            else:
                results[name] = PROCESS_WORKLOADS[name](rounds=options.rounds, scale=options.scale)
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
