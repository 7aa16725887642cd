"""How fast training data is looked into, beside other ways to do it, for each purpose that has a schema of its own.

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
import string
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from validation_contenders import CONTENDERS, Absent, purpose_of

from bulk_upload.core.purposes import PURPOSES, Kind
from bulk_upload.edge.validation import CheckTask, Workers

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
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(5000)]
    # As people write: sentences, lines, quotations, now and then a word that is not ASCII.
    words += ["\n", '"so"', "end.\n\n", "caf\u00e9", "\u2013", "na\u00efve,"] * 60

    def text(least: int, most: int) -> str:
        return " ".join(chance.choices(words, k=chance.randint(least, most)))

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


def timed(contender: str, path: str, purpose: str) -> float | str:
    """Return the processor seconds of a contender in a process of its own, or why it did not take part."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", contender, path, purpose],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kind, _, value = ended.stdout.strip().partition(" ")
    return float(value) if kind == "s" else value


def child(contender: str, path: str, purpose: str) -> None:
    """Run one contender and print its seconds."""
    # Processor time: the file is in memory by now, and on a shared machine only this tells the same twice.
    began = time.process_time()
    try:
        CONTENDERS[contender](path, purpose_of(purpose))
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
    """Measure one purpose and print a table."""
    whole, parts = write(folder, name, megabytes)
    size_mb = os.path.getsize(whole) / 1e6
    absent: dict[str, str] = {}
    with open(whole, "rb") as file:
        line_count = sum(1 for _ in file)
    print(
        f"\n{name}: {size_mb:,.0f} MB, {line_count:,} lines, best processor time of {round_count} rounds in turn"
    )
    taken: dict[str, list[float]] = {}
    for _ in range(round_count):
        for one in CONTENDERS:
            seconds = timed(one, whole, name)
            if isinstance(seconds, float):
                taken.setdefault(one, []).append(seconds)
            elif one not in absent:
                absent[one] = seconds
    ours = min(taken["ours"])
    for one, all_seconds in taken.items():
        best = min(all_seconds)
        print(f"  {one:<24} {size_mb / best:7,.0f} MB/s   {best / ours:5.2f} x our time")
    for one, reason in absent.items():
        print(f"  {one:<24} skipped: {reason}")
    one_process, two_processes = (
        min(asyncio.run(in_processes(parts, name, count)) for _ in range(round_count)) for count in (1, 2)
    )
    print("  by the clock on the wall, several files:")
    print(f"  {'ours, one process':<24} {size_mb / one_process:7,.0f} MB/s")
    print(
        f"  {'ours, two processes':<24} {size_mb / two_processes:7,.0f} MB/s   {one_process / two_processes:5.2f} x one"
    )
    print(
        f"  spread of ours: {statistics.median(taken['ours']) / ours - 1:.0%} between the best and the median round"
    )
    for path in (whole, *parts):
        os.unlink(path)


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
