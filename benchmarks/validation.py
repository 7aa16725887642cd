"""How fast training data is validated, beside other ways to do it, for each purpose that has a schema of its own.

    python benchmarks/validation.py [--folder DIR] [--megabytes 200] [--rounds 3] [--only PURPOSE]

Expectation: within 1.3 times the bare parser's time for the same schema, at least four times as fast as json.loads with
the same checks, and at least 1.7 times as fast with two processes on two processors as with one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from bulk_upload.core.purposes import PURPOSES, Kind
from bulk_upload.edge.validation.reading import CheckTask
from bulk_upload.edge.validation.workers import Workers
from measuring.absent import Absent
from measuring.rounds import in_turn
from measuring.tables import table
from measuring.training_data import texts
from peers.validators import VALIDATORS, purpose_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.purposes import Purpose

PARTS = 4
"""The data of a purpose is written as so many files, for the measurement with several processes."""


def purposes() -> list[str]:
    """Return the purposes whose schemas differ."""
    seen = set()
    names = []
    for name, one in PURPOSES.items():
        if one.schema not in seen:
            seen.add(one.schema)
            names.append(name)
    return names


def lines(purpose: Purpose, chance: random.Random) -> Iterator[bytes]:
    """Return good lines without end: conversations of one to three turns, texts of some hundred words."""
    text = texts(chance)

    def conversation(ends_with: str | None, *, is_answer: bool) -> list[dict[str, str]]:
        answer = {"role": "assistant", "content": text(20, 150)}
        if is_answer:
            return [answer]
        messages = [{"role": "system", "content": text(10, 20)}]
        for _ in range(chance.randint(1, 3)):
            messages += [
                {"role": "user", "content": text(10, 60)},
                {"role": "assistant", "content": text(20, 150)},
            ]
        return messages if ends_with else messages[:-1]

    while True:
        value: dict[str, Any] = {
            field.name: conversation(field.ends_with, is_answer=field.is_answer)
            if field.kind is Kind.MESSAGES
            else text(50, 600)
            for field in purpose.schema.fields
        }
        yield json.dumps(value, ensure_ascii=False).encode() + b"\n"


def write(folder: str, name: str, megabytes: int) -> tuple[str, list[str]]:
    """Write the data of a purpose: the whole, and the same amount in several files; return their paths."""
    source = lines(purpose_of(name), random.Random(name))
    parts = [os.path.join(folder, f"{name}-{number}.jsonl") for number in range(PARTS)]
    whole = os.path.join(folder, f"{name}.jsonl")
    with open(whole, "wb") as all_of_it:
        for part in parts:
            with open(part, "wb") as file:
                while file.tell() < megabytes * 1_000_000 / PARTS:
                    line = next(source)
                    file.write(line)
                    all_of_it.write(line)
    return whole, parts


def timed(validator: str, path: str, purpose: str) -> float | str:
    """Return the CPU seconds of a validator in a process of its own, or why it did not take part."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", validator, path, purpose],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kind, _, value = ended.stdout.strip().partition(" ")
    return float(value) if kind == "s" else value


def child(validator: str, path: str, purpose: str) -> None:
    """Run one validator and print its seconds."""
    # CPU time: the file is in memory by now, and on a shared machine only this tells the same twice.
    began = time.process_time()
    try:
        VALIDATORS[validator](path, purpose_of(purpose))
    except Absent as error:
        print(f"absent {error}")
    else:
        print(f"s {time.process_time() - began:.4f}")


async def in_processes(paths: list[str], purpose: str, process_count: int) -> float:
    """Return the seconds that so many validation processes take for the files, their start apart."""
    workers = Workers(process_count, niceness=0, small_bytes_max=-1)

    async def check(path: str) -> None:
        task = CheckTask(path=path, purpose=purpose_of(purpose), known=tuple(PURPOSES.values()))
        looked = await workers.check(partial(os.open, path, os.O_RDONLY), task)
        if not looked.report.is_valid:
            raise SystemExit(f"the data is meant to be good: {looked.report.findings[0]}")

    try:
        # Once before, so that the processes are there.
        await _together([check(paths[0]) for _ in range(process_count)])
        began = time.perf_counter()
        await _together([check(path) for path in paths])
        return time.perf_counter() - began
    finally:
        workers.close()


async def _together(checks: list[Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for one in checks:
            tasks.create_task(one)


def measure(folder: str, name: str, megabytes: int, round_count: int) -> None:
    """Measure one purpose and print its tables."""
    whole, parts = write(folder, name, megabytes)
    size_mb = os.path.getsize(whole) / 1e6
    with open(whole, "rb") as file:
        line_count = sum(1 for _ in file)
    print(f"\n{name}: {size_mb:,.0f} MB, {line_count:,} lines, best CPU time of {round_count} rounds\n")
    taken, absent = measure_validators(whole, name, round_count)
    ours = min(taken["ours"])
    rows = [["", "MB/s", "CPU time ÷ ours"]]
    rows += [
        [one, f"{size_mb / min(seconds):,.0f}", f"{min(seconds) / ours:.2f}"]
        for one, seconds in taken.items()
    ]
    print(table(rows))
    for one, reason in absent.items():
        print(f"{one}: left out: {reason}")
    spread = statistics.median(taken["ours"]) / ours - 1
    print(f"spread of ours: {spread:.0%} between the best and the median round\n")
    one_process_s, two_processes_s = (
        min(asyncio.run(in_processes(parts, name, count)) for _ in range(round_count)) for count in (1, 2)
    )
    rows = [[f"{PARTS} files", "MB/s of wall time", "speed ÷ one process"]]
    for label, seconds in (("ours, one process", one_process_s), ("ours, two processes", two_processes_s)):
        rows.append([label, f"{size_mb / seconds:,.0f}", f"{one_process_s / seconds:.2f}"])
    print(table(rows), flush=True)
    for path in (whole, *parts):
        os.unlink(path)


def measure_validators(
    path: str, purpose: str, round_count: int
) -> tuple[dict[str, list[float]], dict[str, str]]:
    """Return the CPU seconds of each validator in each round, and why the others did not take part."""
    taken: dict[str, list[float]] = {}
    absent: dict[str, str] = {}
    for _, one in in_turn(tuple(VALIDATORS), round_count):
        if one in absent:
            continue
        seconds = timed(one, path, purpose)
        if isinstance(seconds, float):
            taken.setdefault(one, []).append(seconds)
        else:
            absent[one] = seconds
    return taken, absent


def main() -> None:
    """Measure what is asked for."""
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="where to write the data (default: the system's temporary folder)")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=purposes())
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for name in [asked.only] if asked.only else purposes():
            measure(folder, name, asked.megabytes, asked.rounds)


if __name__ == "__main__":
    main()
