"""How much memory validation and conversion take for one large file, and for one long line.

    python benchmarks/memory.py [--folder DIR] [--gigabytes 2] [--line-megabytes 150]

Expectation: what is read in lines takes the same for any size, and one long line at most two and a half times its size.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from measuring.processes import bulk_upload_command, cost_of
from measuring.tables import table
from measuring.training_data import texts

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = 2000
"""So many different records are made; a number in each of their copies keeps the lines apart."""


def records(kind: str) -> list[bytes]:
    """Return records, with `0` where the number of a copy belongs."""
    chance = random.Random(kind)
    text = texts(chance)

    def record() -> dict[str, Any]:
        if kind == "alpaca":
            return {"instruction": "#0# " + text(8, 30), "input": text(5, 30), "output": text(20, 150)}
        roles = ("user", "assistant") * chance.randint(1, 3)
        messages = [{"role": role, "content": text(20, 150)} for role in roles]
        messages[0]["content"] = "#0# " + messages[0]["content"]
        return {"messages": messages}

    return [json.dumps(record(), ensure_ascii=False).encode() for _ in range(RECORDS)]


def copies(kind: str) -> Iterator[bytes]:
    """Return records without end, none of them twice."""
    made, number = records(kind), 0
    while True:
        for one in made:
            number += 1
            yield one.replace(b"#0#", b"%d" % number, 1)


def write(path: str, kind: str, byte_count: int, *, between: bytes = b"\n", around: bytes = b"") -> None:
    """Write records until there are so many bytes; `around` are the brackets of an array."""
    with open(path, "wb") as file:
        file.write(around[:1])
        for number, one in enumerate(copies(kind)):
            if file.tell() >= byte_count:
                break
            file.write((between if number else b"") + one)
        file.write(around[1:] + between.strip(b"\n")[: 0 if around else None] + b"\n")


def write_line(path: str, byte_count: int) -> None:
    """Write one record of so many bytes."""
    text = texts(random.Random(path))(1000, 1000)
    part = json.dumps(text, ensure_ascii=False)[1:-1].encode() + b" "
    # Piece by piece: the peak of this process would be that of the commands it starts.
    with open(path, "wb") as file:
        file.write(b'{"instruction": "a", "output": "')
        file.writelines(part for _ in range(byte_count // len(part) + 1))
        file.write(b'"}\n')


def commands(folder: str, gigabytes: float, line_megabytes: int) -> Iterator[tuple[str, list[str]]]:
    """Yield what is measured, each after its file was written."""
    byte_count = int(gigabytes * 1e9)
    chat, alpaca, array, commas, line = (
        os.path.join(folder, name)
        for name in ("chat.jsonl", "alpaca.jsonl", "array.json", "commas.jsonl", "line.jsonl")
    )
    output = os.path.join(folder, "output.jsonl")
    purpose = ["--purpose", "fine-tune"]
    write(chat, "chat", byte_count)
    yield "validate, lines", ["validate", chat, *purpose]
    with open(chat, "rb") as plain, gzip.open(f"{chat}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed, 1024 * 1024)
    os.unlink(chat)
    yield "validate, gzip", ["validate", f"{chat}.gz", *purpose]
    write(commas, "chat", byte_count, between=b",\n")
    yield "validate, an error on every line", ["validate", commas, *purpose]
    yield "convert --fix, a comma on every line", ["convert", commas, "--fix", *purpose, "-o", output]
    os.unlink(commas)
    write(alpaca, "alpaca", byte_count)
    yield "convert, Alpaca", ["convert", alpaca, *purpose, "-o", output]
    os.unlink(alpaca)
    write(array, "alpaca", byte_count, between=b",\n", around=b"[]")
    yield "validate, one array", ["validate", array, *purpose]
    yield "convert, one array", ["convert", array, *purpose, "-o", output]
    os.unlink(array)
    write_line(line, line_megabytes * 1_000_000)
    yield "validate, one line", ["validate", line, *purpose]
    yield "convert, one line", ["convert", line, *purpose, "-o", output]
    yield "convert --fix, one line", ["convert", line, "--fix", *purpose, "-o", output]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="where to write the data (default: the system's temporary folder)")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--line-megabytes", type=int, default=150)
    asked = parser.parse_args()
    rows = [["", "peak MiB", "CPU s", "exit code"]]
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        for name, words in commands(folder, asked.gigabytes, asked.line_megabytes):
            cost = cost_of(bulk_upload_command(*words))
            rows.append(
                [name, f"{cost.peak_rss_bytes / 2**20:.0f}", f"{cost.cpu_s:.1f}", str(cost.exit_code)]
            )
            for one in os.listdir(folder):
                if one.startswith("output"):
                    os.unlink(os.path.join(folder, one))
    print(f"one file of {asked.gigabytes:g} GB, one line of {asked.line_megabytes} MB\n")
    print(table(rows))


if __name__ == "__main__":
    main()
