"""How fast data of other tools is converted, beside a loop of json.loads and json.dumps over the same lines.

    python benchmarks/conversion.py [--folder DIR] [--megabytes 50] [--rounds 5] [--only SHAPE]

Expectation: no shape takes more than 1.6 times as long as the loop, which converts nothing, and memory does not depend on
the size of the file.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from operator import truediv
from typing import TYPE_CHECKING, Any

from bulk_upload import convert
from measuring.rounds import in_turn
from measuring.tables import table
from measuring.training_data import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def alpaca(text: Callable[[int, int], str], chance: random.Random) -> dict[str, Any]:
    """Return a record of Alpaca, two in five with an input."""
    given = text(10, 40) if chance.random() < 0.4 else ""
    return {"instruction": text(8, 30), "input": given, "output": text(20, 150)}


def sharegpt(text: Callable[[int, int], str], chance: random.Random) -> dict[str, Any]:
    """Return a record of ShareGPT of one to three exchanges."""
    names = ("human", "gpt") * chance.randint(1, 3)
    return {"conversations": [{"from": name, "value": text(20, 150)} for name in names]}


def good(text: Callable[[int, int], str], chance: random.Random) -> dict[str, Any]:
    """Return a record that needs no conversion."""
    roles = ("user", "assistant") * chance.randint(1, 3)
    return {"messages": [{"role": role, "content": text(20, 150)} for role in roles]}


def pair(text: Callable[[int, int], str], _: random.Random) -> dict[str, Any]:
    """Return a preference pair whose prompt is in both answers."""
    prompt = {"role": "user", "content": text(20, 100)}
    return {
        name: [prompt, {"role": "assistant", "content": text(20, 150)}] for name in ("chosen", "rejected")
    }


SHAPES = {
    "alpaca": (alpaca, "lines", "fine-tune"),
    "alpaca, one array": (alpaca, "array", "fine-tune"),
    "alpaca, CSV": (alpaca, "csv", "fine-tune"),
    "sharegpt": (sharegpt, "lines", "fine-tune"),
    "good already": (good, "lines", "fine-tune"),
    "pairs, prompt implicit": (pair, "lines", "preference-fine-tune"),
}


def write(folder: str, shape: str, megabytes: int) -> tuple[str, str]:
    """Write the data of a shape; return its path, and that of the same records as lines."""
    make, layout, _ = SHAPES[shape]
    chance = random.Random(shape)
    text = texts(chance)
    plain = os.path.join(folder, f"{shape}.plain.jsonl")
    path = os.path.join(folder, f"{shape}.{'csv' if layout == 'csv' else 'jsonl'}")
    with open(plain, "wb") as lines, open(path, "wb") as file:
        for number, record in enumerate(records(lambda: make(text, chance), megabytes)):
            line = json.dumps(record, ensure_ascii=False).encode()
            lines.write(line + b"\n")
            if layout == "csv":
                row = io.StringIO()
                writer = csv.DictWriter(row, list(record))
                if not number:
                    writer.writeheader()
                writer.writerow(record)
                file.write(row.getvalue().encode())
            else:
                before = (b"[" if not number else b",\n") if layout == "array" else b""
                file.write(before + line + (b"" if layout == "array" else b"\n"))
        if layout == "array":
            file.write(b"]\n")
    return path, plain


def records(make: Callable[[], dict[str, Any]], megabytes: int) -> Iterator[dict[str, Any]]:
    """Return records until there are so many megabytes of them."""
    left = megabytes * 1_000_000
    while left > 0:
        record = make()
        left -= len(json.dumps(record, ensure_ascii=False).encode()) + 1
        yield record


def loop(path: str, output: str) -> None:
    """Read and write every line by the json module."""
    with open(path, "rb") as lines, open(output, "wb") as file:
        file.writelines(json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n" for line in lines)


def table_loop(path: str, output: str) -> None:
    """Read every row by the csv module, and write it by the json module."""
    with open(path, encoding="utf-8", newline="") as rows, open(output, "wb") as file:
        file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in csv.DictReader(rows))


LOOPS = {"json loop": loop, "csv loop": table_loop}


def child(way: str, path: str, purpose: str) -> None:
    """Run one way and print its CPU seconds and its peak of memory in MiB."""
    output = f"{path}.{way}.out"
    began = time.process_time()
    if way in LOOPS:
        LOOPS[way](path, output)
    else:
        made = convert(path, purpose, output=output)
        assert not made.tally.left, made
    print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def measured(way: str, path: str, purpose: str) -> tuple[float, float]:
    """Return seconds and MiB of one way in a process of its own."""
    ended = subprocess.run(
        [sys.executable, __file__, "--child", way, path, purpose],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds, mib = ended.stdout.split()
    return float(seconds), float(mib)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder")
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=list(SHAPES))
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*options.child)
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for shape in [options.only] if options.only else SHAPES:
            path, plain = write(folder, shape, options.megabytes)
            peer = "csv loop" if SHAPES[shape][1] == "csv" else "json loop"
            paths = {"convert": path, "json loop": plain, "csv loop": path}
            taken: dict[str, list[float]] = {}
            peaks = []
            for _, way in in_turn(tuple(dict.fromkeys(("convert", "json loop", peer))), options.rounds):
                seconds, peak = measured(way, paths[way], SHAPES[shape][2])
                taken.setdefault(way, []).append(seconds)
                peaks += [peak] if way == "convert" else []
            medians = {way: statistics.median(seconds) for way, seconds in taken.items()}
            ratios = [
                f"{statistics.median(map(truediv, taken['convert'], taken[way])):.2f}"
                for way in ("json loop", peer)
            ]
            rows.append(
                [
                    shape,
                    f"{medians['convert']:.2f}",
                    f"{medians['json loop']:.2f}",
                    *ratios,
                    f"{max(peaks):.0f}",
                ]
            )
            for name in os.listdir(folder):
                os.unlink(os.path.join(folder, name))
    print(f"CPU s for {options.megabytes} MB, medians of {options.rounds}")
    print(
        table(
            [
                [
                    "shape",
                    "convert",
                    "json.loads + dumps",
                    "ratio",
                    "to the loop over its own bytes",
                    "peak MiB",
                ],
                *rows,
            ]
        )
    )


if __name__ == "__main__":
    main()
