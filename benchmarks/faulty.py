"""How fast training data is validated of which every line has a fault, beside json.loads of each line.

    python benchmarks/faulty.py [--folder DIR] [--megabytes 50] [--rounds 5] [--only FAULT]

Expectation: at most 1.5 times the processor time of json.loads, whatever the fault.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.edge.validation.reading import CheckTask, check_file
from measuring.rounds import in_turn
from measuring.tables import table
from workloads.faulty_lines import FAULTS, write


def ours(path: str, purpose: str) -> str:
    """Validate a file, and return what was found."""
    command = ConvertCommand(file=path, purpose=purpose)
    task = CheckTask(path=path, purpose=PURPOSES[purpose], known=tuple(PURPOSES.values()), command=command)
    descriptor = os.open(path, os.O_RDONLY)
    report = check_file(descriptor, task)
    os.close(descriptor)
    return ", ".join(f"{rule} {count:,}" for rule, count in report.counts.items())


def loads(path: str, _: str) -> str:
    """Parse every line, and count those that are no JSON."""
    bad_count = 0
    with open(path, "rb") as file:
        for line in file:
            try:
                json.loads(line)
            except ValueError:
                bad_count += 1
    return f"{bad_count:,}"


WAYS = {"ours": ours, "json.loads": loads}


def child(way: str, path: str, purpose: str) -> None:
    """Go one way, and print its CPU seconds and what it found."""
    began = time.process_time()
    found = WAYS[way](path, purpose)
    print(f"{time.process_time() - began:.4f} {found}")


def measured(path: str, purpose: str, round_count: int) -> tuple[dict[str, list[float]], str]:
    """Return the CPU seconds of each way, each in a process of its own, and what ours found."""
    taken: dict[str, list[float]] = {}
    what = ""
    for _, way in in_turn(tuple(WAYS), round_count):
        ended = subprocess.run(
            [sys.executable, __file__, "--child", way, path, purpose],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds, _, found = ended.stdout.strip().partition(" ")
        taken.setdefault(way, []).append(float(seconds))
        what = found if way == "ours" else what
    return taken, what


def main() -> None:
    """Measure and print a table."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="where to write the data (default: the system's temporary folder)")
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(FAULTS), action="append")
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for fault in asked.only or FAULTS:
            path = os.path.join(folder, "faulty.jsonl")
            write(path, fault, asked.megabytes)
            taken, found = measured(path, FAULTS[fault][1], asked.rounds)
            ratio = statistics.median(
                one / other for one, other in zip(taken["ours"], taken["json.loads"], strict=True)
            )
            medians = [f"{statistics.median(taken[way]):.2f}" for way in WAYS]
            rows.append([fault, *medians, f"{ratio:.2f}", found])
            print(fault, rows[-1][1:], file=sys.stderr, flush=True)
    print(f"CPU s for {asked.megabytes:g} MB, medians of {asked.rounds} rounds\n")
    print(table([["every line", *WAYS, "ratio", "found"], *rows]))


if __name__ == "__main__":
    main()
