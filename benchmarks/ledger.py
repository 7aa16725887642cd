"""What the ledger can record in a second, beside the simplest things that are as durable, and what it costs a run.

    python benchmarks/ledger.py [--folder DIR] [--rounds 3] [--only rates|share]

Expectation: one caller is as slow as one sync a record, for each record waits for its own; many callers share syncs,
so that 64 get many times the records of a program that commits each by itself. In a run of small files the ledger
should take less than a tenth of the wall time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.model import Accepted, Entry, Fingerprint, SentBody
from bulk_upload.core.run.records import AttemptEnd, Intent
from bulk_upload.edge.ledger import JobIdentity, LedgerStore, open_ledger
from measuring.rounds import in_turn
from measuring.tables import table
from servers.sink import Sink

if TYPE_CHECKING:
    from collections.abc import Callable

CALLER_COUNTS = (1, 8, 64)
SECONDS_PER_RATE = 2.0
FILE_COUNT = 10_000
FILE_BYTES = 4096
CONCURRENCY = 16
KINDS = ("real", "unsynced", "absent")
_SHARE_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "workloads", "ledger_share.py")
_JOB = JobIdentity(profile="flow", endpoint="https://api.example", team=None, root="/data")
_PRINT = Fingerprint(size=FILE_BYTES, mtime_ns=1_780_000_000_000_000_000, inode=1)
_HASH = "0" * 64


async def ledger_rate(folder: str, caller_count: int) -> float:
    """Return how many records a second the ledger takes: intents and outcomes, each waited for."""
    path = os.path.join(folder, f"{caller_count}.ledger.db")
    ledger = open_ledger(path, _JOB, version="benchmark", moved_root=False, utc_s=time.time())
    entries = [Entry(path=f"f{number}", purpose="fine-tune") for number in range(50_000)]
    await ledger.writer.run(lambda store: store.register(entries, utc_s=time.time()))
    entry_ids = iter(range(1, len(entries) + 1))
    record_count = 0
    ends_at = time.monotonic() + SECONDS_PER_RATE

    async def call() -> None:
        nonlocal record_count
        for entry_id in entry_ids:
            intent = Intent(
                entry_id=entry_id, attempt_no=1, sent_name="f", fingerprint=_PRINT, at_utc_s=time.time()
            )
            (attempt_id,) = await ledger.writer.run(partial(LedgerStore.intend, intents=[intent]))
            over = _accepted(attempt_id, entry_id)
            await ledger.writer.run(partial(LedgerStore.conclude, over=over))
            record_count += 2
            if time.monotonic() > ends_at:
                return

    began = time.monotonic()
    async with asyncio.TaskGroup() as callers:
        for _ in range(caller_count):
            callers.create_task(call())
    rate = record_count / (time.monotonic() - began)
    await ledger.close()
    return rate


def _accepted(attempt_id: int, entry_id: int) -> AttemptEnd:
    return AttemptEnd(
        attempt_id=attempt_id,
        entry_id=entry_id,
        outcome=Accepted(file_id=f"file-{entry_id}", http_status=200, size_confirmed=True),
        sent=SentBody(
            sent_name="f", purpose="fine-tune", file_bytes=FILE_BYTES, complete=True, content_hash=_HASH
        ),
        at_utc_s=time.time(),
    )


def sqlite_rate(folder: str) -> float:
    """Return how many rows a second bare SQLite takes, as durable as the ledger, one commit a row."""
    connection = sqlite3.connect(os.path.join(folder, "bare.db"), isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE records (id INTEGER PRIMARY KEY, path TEXT, file_id TEXT, sha256 TEXT)")
    rate = _rate(
        lambda: connection.execute(
            "INSERT INTO records (path, file_id, sha256) VALUES ('f', 'file-1', ?)", (_HASH,)
        )
    )
    connection.close()
    return rate


def jsonl_rate(folder: str) -> float:
    """Return how many lines a second can be appended to a file, each synced by itself."""
    descriptor = os.open(os.path.join(folder, "bare.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    line = json.dumps({"path": "f", "file_id": "file-1", "sha256": _HASH}).encode() + b"\n"

    def append() -> None:
        os.write(descriptor, line)
        os.fdatasync(descriptor)

    rate = _rate(append)
    os.close(descriptor)
    return rate


def _rate(act: Callable[[], object]) -> float:
    count, began = 0, time.monotonic()
    while time.monotonic() - began < SECONDS_PER_RATE:
        act()
        count += 1
    return count / (time.monotonic() - began)


def measure_rates(folder: str, rounds: int) -> None:
    """Print the median rates, and each as a multiple of the same round's bare SQLite."""
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            rates.setdefault("JSONL, fdatasync a line", []).append(jsonl_rate(scratch))
            rates.setdefault("SQLite, commit a row", []).append(sqlite_rate(scratch))
            for caller_count in CALLER_COUNTS:
                plural = "caller" if caller_count == 1 else "callers"
                rates.setdefault(f"ledger, {caller_count} {plural}", []).append(
                    asyncio.run(ledger_rate(scratch, caller_count))
                )
    bare = rates["SQLite, commit a row"]
    rows = [["", "records/s", "x SQLite"]]
    for name, values in rates.items():
        ratio = statistics.median(one / other for one, other in zip(values, bare, strict=True))
        rows.append([name, f"{statistics.median(values):,.0f}", f"{ratio:.1f}"])
    print(table(rows), flush=True)


def measure_share(folder: str, rounds: int) -> None:
    """Print the medians of runs with the real ledger, with one that does not sync, and without records."""
    results: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory(dir=folder) as scratch, Sink() as sink:
        _make_files(scratch)
        for number, kind in in_turn(KINDS, rounds):
            manifest = os.path.join(scratch, f"{kind}-{number}.jsonl")
            os.link(os.path.join(scratch, "all.jsonl"), manifest)
            results[kind].append(_share(kind, manifest, sink.url))
    print(f"\n{FILE_COUNT:,} files of {FILE_BYTES:,} bytes, {CONCURRENCY} in flight\n")
    rows = [["", "wall s", "CPU s", "CPU µs/file", "ledger thread: wall s", "CPU s", "commits"]]
    for kind, runs in results.items():
        median = {name: statistics.median(one[name] for one in runs) for name in runs[0]}
        rows.append(
            [
                kind,
                f"{median['wall_s']:.2f}",
                f"{median['cpu_s']:.2f}",
                f"{median['cpu_s'] / FILE_COUNT * 1e6:.0f}",
                f"{median['thread_wall_s']:.2f}",
                f"{median['thread_cpu_s']:.2f}",
                f"{median['commit_count']:.0f}",
            ]
        )
    print(table(rows) + "\n")
    for what, unit in (("wall_s", "wall time"), ("cpu_s", "CPU time")):
        shares = [
            1 - absent[what] / real[what]
            for real, absent in zip(results["real"], results["absent"], strict=True)
        ]
        print(f"the ledger's share of {unit}: {statistics.median(shares):.1%}")


def _make_files(scratch: str) -> None:
    frame = len(json.dumps({"text": ""}))
    line = json.dumps({"text": "x" * (FILE_BYTES - frame - 1)}) + "\n"
    with open(os.path.join(scratch, "all.jsonl"), "w", encoding="utf-8") as manifest:
        for number in range(FILE_COUNT):
            name = f"f{number:05}.jsonl"
            with open(os.path.join(scratch, name), "w", encoding="ascii") as file:
                file.write(line)
            manifest.write(json.dumps({"path": name, "purpose": "pre-train"}) + "\n")


def _share(kind: str, manifest: str, url: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, _SHARE_SCRIPT, kind, manifest, url, str(CONCURRENCY)],
        stdout=subprocess.PIPE,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    if result["accepted_count"] != FILE_COUNT:
        raise SystemExit(f"only {result['accepted_count']} of {FILE_COUNT} files were accepted")
    return result


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", help="on the disk to measure; a tmpfs would make every sync free")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("rates", "share"))
    options = parser.parse_args()
    if options.only != "share":
        measure_rates(options.folder, options.rounds)
    if options.only != "rates":
        measure_share(options.folder, options.rounds)


if __name__ == "__main__":
    main()
