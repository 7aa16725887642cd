"""A ledger with a story: three runs, throttling, lost answers, failures. Written row by row, for any number of entries.

python -m tests.report.told_ledger ENTRIES FILE
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.file.opening import open_for_writing

BEGAN_S = 1_780_000_000.0
LEFT_OUT_S = 36_000.0
"""What lies between two runs: a night."""

_ENDS = {
    "rejected": ("rejected", 422, "HTTP 422: line {n} of the file is not valid JSON", "rejected"),
    "unreadable": ("source_failed", None, "cannot read the file: Permission denied", "failed_local"),
    "lost": ("in_doubt", None, "the connection was lost after the last byte", "in_doubt"),
    "pending": ("unavailable", 503, "HTTP 503: upstream connect error", "pending"),
}


class Told(NamedTuple):
    """How many entries ended in each state, and how many attempts there are."""

    states: dict[str, int]
    attempt_count: int


def tell_ledger(path: str, entry_count: int, *, seed: int = 7) -> Told:
    """Write the ledger."""
    chance = random.Random(seed)
    states: dict[str, int] = {}
    attempts: list[tuple[Any, ...]] = []
    entries: list[tuple[Any, ...]] = []
    receipts: list[tuple[Any, ...]] = []
    ends = [BEGAN_S] * 32
    runs = [(1, BEGAN_S)]
    for number in range(1, entry_count + 1):
        if number in (1 + entry_count // 2, 1 + entry_count * 4 // 5):
            runs.append((len(runs) + 1, max(ends) + LEFT_OUT_S))
            ends = [runs[-1][1]] * 32
        run_id = runs[-1][0]
        lane = ends.index(min(ends))
        size = max(0, int(chance.lognormvariate(13.0, 1.6)))
        path_text = f"shards/{number // 1000:04d}/conversation-{number:07d}.jsonl"
        fate = chance.random()
        storm = run_id == 2 and entry_count * 0.62 < number < entry_count * 0.66
        trouble = next((name for name, below in _TROUBLES if fate < below), None)
        tries: Iterator[tuple[str, int | None, str | None]] = iter(
            (
                [("throttled", 429, "HTTP 429: rate limit reached for requests")]
                if storm or fate > 0.99
                else []
            )
            + (
                [("unavailable", None, "the connection was reset by the server")]
                if 0.980 < fate < 0.985
                else []
            )
        )
        at, attempt_no = ends[lane], 0
        for outcome, status, reason in (*tries, _last(trouble, number)):
            attempt_no += 1
            took_s = 0.06 + size / 4e6 * chance.lognormvariate(0, 0.4) + chance.expovariate(30)
            took_s = took_s if outcome != "throttled" else 0.05
            attempts.append((number, run_id, attempt_no, os.path.basename(path_text), size, utc_text(at), utc_text(at + took_s),
                             outcome, status, reason))  # fmt: skip
            at += took_s + (2.0 if outcome == "throttled" else 0.0)
        ends[lane] = at
        outcome, status, reason = _last(trouble, number)
        state = _ENDS[trouble][3] if trouble else "accepted"
        states[state] = states.get(state, 0) + 1
        settled = None if state in ("pending", "in_doubt") else utc_text(at)
        receipt_id = None
        if state == "accepted":
            receipt_id = len(receipts) + 1
            receipts.append((receipt_id, number, len(attempts), f"file-{chance.getrandbits(96):024x}", os.path.basename(path_text),
                             size, f"{chance.getrandbits(256):064x}", settled))  # fmt: skip
        entries.append((number, number.to_bytes(16, "big"), os.fsencode(path_text), state, size, receipt_id, attempt_no,
                        status, reason, utc_text(BEGAN_S), settled))  # fmt: skip
    with closing(open_for_writing(path)) as db:
        # Entries and receipts point at each other; to check that row by row is quadratic.
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("BEGIN")
        db.execute(
            "INSERT INTO job VALUES (1, 'flow', 'https://flow.seekr.com/v1/flow', 'team-42', ?, ?, ?)",
            (b"/srv/datasets/corpus-2026", utc_text(BEGAN_S), utc_text(max(ends))),
        )
        for run_id, began_s in runs:
            over = [one for one in attempts if one[1] == run_id]
            end = max((one[6] for one in over), default=utc_text(began_s))
            db.execute(
                "INSERT INTO runs (run_id, version, pid, started_utc, ended_utc, exit_status) VALUES (?, '0.1.0', 1, ?, ?, ?)",
                (run_id, utc_text(began_s), end, {1: 5, 2: 130}.get(run_id, 4)),
            )
            for step in range(12):
                limit = max(2, min(32, 8 + 4 * step) if run_id != 2 or step < 5 else 6)
                db.execute(
                    "INSERT INTO controller_events (run_id, at_utc, in_flight_limit, reason) VALUES (?, ?, ?, ?)",
                    (
                        run_id,
                        utc_text(began_s + step * 6),
                        limit,
                        "growing" if limit < 32 else "at the optimum",
                    ),
                )
        db.executemany(
            "INSERT INTO entries (entry_id, key, path, purpose, fields, state, size, receipt_id, attempt_count, http_status,"
            " reason, first_seen_utc, settled_utc) VALUES (?, ?, ?, 'fine-tune', '[]', ?, ?, ?, ?, ?, ?, ?, ?)",
            entries,
        )
        db.executemany(
            "INSERT INTO attempts (entry_id, run_id, attempt_no, sent_name, size, mtime_ns, inode, intent_utc, ended_utc,"
            " outcome, http_status, reason) VALUES (?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?)",
            attempts,
        )
        db.executemany(
            "INSERT INTO receipts (receipt_id, entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, mtime_ns, inode,"
            " obtained, size_confirmed, settled_utc) VALUES (?, ?, ?, ?, ?, 'fine-tune', ?, ?, 0, 0, 'answered', 1, ?)",
            receipts,
        )
        db.execute("COMMIT")
    return Told(states, len(attempts))


_TROUBLES = (("rejected", 0.006), ("unreadable", 0.0075), ("lost", 0.0082), ("pending", 0.011))


def _last(trouble: str | None, number: int) -> tuple[str, int | None, str | None]:
    if trouble is None:
        return "accepted", 200, None
    outcome, status, reason, _ = _ENDS[trouble]
    return outcome, status, reason.format(n=number % 97)


if __name__ == "__main__":
    print(tell_ledger(sys.argv[2], int(sys.argv[1])))
