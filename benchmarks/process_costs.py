"""What is not a race of uploads: start-up, what the progress display takes, and how cost grows with the job."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

from cache import cache_folder
from child_cost import Cost, cost_of
from contenders import CONTENDERS, OURS, Absent, Contender, our_command
from file_sets import KIB, PURPOSE, equal_files
from measuring import Measurement, Server, measure
from tables import table

if TYPE_CHECKING:
    from collections.abc import Callable

    from contenders import Scene

_IN_FLIGHT = 16
_SIZES = (1000, 10_000, 100_000, 1_000_000)
_LINKS_A_FILE = 30_000
"""ext4 allows 65,000 links to a file, which is the least among the usual file systems of Linux."""

_FILES_A_FOLDER = 1000
_FILE_BYTES = 1024

_COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "bulk-upload --version": [sys.executable, "-m", "bulk_upload", "--version"],
    "bulk-upload --help": [sys.executable, "-m", "bulk_upload", "--help"],
    "bulk-upload run --help": [sys.executable, "-m", "bulk_upload", "run", "--help"],
}


def start_up(*, rounds: int, scale: float) -> list[dict[str, Any]]:  # noqa: ARG001 - one file is one file
    """Measure commands that send nothing, and one small file by everybody."""
    files = equal_files(1, 4 * KIB)
    runs: dict[str, list[Measurement | Cost]] = {}
    for _ in range(rounds):
        for label, command in _COMMANDS.items():
            runs.setdefault(label, []).append(cost_of(command))
        for name, contender in CONTENDERS.items():
            if name.startswith("ours-"):
                continue
            try:
                one = measure(contender, files, Server(), in_flight=_IN_FLIGHT)
            except Absent:
                continue
            runs.setdefault(f"one file: {contender.label}", []).append(one)
    rows = [["", "wall s", "CPU s", "peak MiB", "wall s over python -c pass"]]
    bare = [_cost(one).wall_s for one in runs["python -c pass"]]
    for label, measured in runs.items():
        costs = [_cost(one) for one in measured]
        over = statistics.median(one.wall_s - base for one, base in zip(costs, bare, strict=True))
        rows.append([label, *_medians(costs), f"{over:.2f}"])
    print(f"\nstart-up, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {label: [_as_run(one) for one in measured] for label, measured in runs.items()}}]


def progress(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure the same run with the live display, with plain lines on a terminal, and without a terminal."""
    files = equal_files(max(1, round(10_000 * scale)), 4 * KIB)
    files.warm()
    kinds: dict[str, Callable[[], Measurement]] = {
        "no terminal": partial(measure, CONTENDERS[OURS], files, Server(), in_flight=_IN_FLIGHT),
        "terminal, --no-progress": partial(
            measure,
            _ours_with("--validate", "off", "--no-progress"),
            files,
            Server(),
            in_flight=_IN_FLIGHT,
            terminal=True,
        ),
        "terminal, live display": partial(
            measure, CONTENDERS[OURS], files, Server(), in_flight=_IN_FLIGHT, terminal=True
        ),
    }
    runs: dict[str, list[Measurement]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        order = list(kinds)
        for kind in order[number % len(order) :] + order[: number % len(order)]:
            runs[kind].append(kinds[kind]())
    rows = [["", "wall s", "CPU s", "peak MiB", "wall ÷ no terminal", "CPU ÷ no terminal"]]
    bare = runs["no terminal"]
    for kind, measured in runs.items():
        pairs = list(zip(measured, bare, strict=True))
        wall = statistics.median(one.cost.wall_s / base.cost.wall_s for one, base in pairs)
        cpu = statistics.median(one.cost.cpu_s / base.cost.cpu_s for one, base in pairs)
        rows.append([kind, *_medians([one.cost for one in measured]), f"{wall:.2f}", f"{cpu:.2f}"])
    print(f"\nprogress display, {files.count:,} files of 4 KiB, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {kind: [_as_run(one) for one in measured] for kind, measured in runs.items()}}]


def _ours_with(*words: str) -> Contender:
    def command(scene: Scene) -> list[str]:
        return our_command(scene, "--concurrency", str(scene.in_flight), *words)

    return Contender(label=" ".join(words), command=command, environment=CONTENDERS[OURS].environment)


def growth(*, rounds: int, scale: float) -> list[dict[str, Any]]:
    """Measure whole runs of more and more entries, each accepted by a transport without a network."""
    runs: dict[str, list[Cost]] = {}
    rows = [["entries", "wall s", "CPU s", "peak MiB", "CPU µs an entry", "ledger bytes an entry"]]
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
        rows.append([f"{size:,}", *_medians(costs), f"{per_entry_us:.0f}", f"{ledger_bytes / size:.0f}"])
    print(f"\ngrowth, simulated transport, {rounds} rounds\n\n{table(rows)}", flush=True)
    return [{"runs": {size: [_as_run(one) for one in costs] for size, costs in runs.items()}}]


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
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "simulated_run.py")
    manifest = os.path.join(folder, "job.jsonl")
    return cost_of([sys.executable, script, manifest, ledger_path, str(_IN_FLIGHT)])


def ledger(*, rounds: int, scale: float) -> list[dict[str, Any]]:  # noqa: ARG001 - has sizes of its own
    """Run ledger.py, which prints tables of its own."""
    here = os.path.dirname(os.path.abspath(__file__))
    print("\nledger\n", flush=True)
    subprocess.run(
        [
            sys.executable,
            os.path.join(here, "ledger.py"),
            "--folder",
            cache_folder(),
            "--rounds",
            str(rounds),
        ],
        check=True,
    )
    return []


def _cost(one: Measurement | Cost) -> Cost:
    return one.cost if isinstance(one, Measurement) else one


def _medians(costs: list[Cost]) -> list[str]:
    return [
        f"{statistics.median(one.wall_s for one in costs):.2f}",
        f"{statistics.median(one.cpu_s for one in costs):.2f}",
        f"{statistics.median(one.peak_rss_bytes for one in costs) / 2**20:.0f}",
    ]


def _as_run(one: Measurement | Cost) -> dict[str, Any]:
    if isinstance(one, Measurement):
        return asdict(one)
    failure = f"exit code {one.exit_code}: {one.errors}" if one.exit_code else None
    return {"cost": asdict(one), "failure": failure}


PROCESS_WORKLOADS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "start-up": start_up,
    "progress": progress,
    "growth": growth,
    "ledger": ledger,
}
