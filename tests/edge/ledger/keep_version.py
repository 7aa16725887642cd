"""Keeps a ledger as the present version makes it, for the tests of the next one.

Whoever is about to raise SCHEMA_VERSION runs this first: `python -m tests.edge.ledger.keep_version`
"""

from __future__ import annotations

import os
from pathlib import Path

from bulk_upload.core.limits.change_log import ControllerState
from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.model import Fingerprint, InDoubt, ListedFile, Rejected
from bulk_upload.edge.ledger import Deleted, PlannedDeletion, note_states, remember
from bulk_upload.edge.ledger.deletions import ask, end
from bulk_upload.edge.ledger.file.schema import SCHEMA_VERSION
from tests.edge.ledger.stage import LOST, START_S, accepted, entry, stored

VERSIONS = Path(__file__).with_name("versions")

EXPECTED = {
    "accepted.jsonl": ("accepted", "file-1"),
    "changed.jsonl": ("accepted", "file-3"),
    "found.jsonl": ("accepted", "file-4"),
    "doubt.jsonl": ("in_doubt", None),
    "rejected.jsonl": ("rejected", None),
    "pending.jsonl": ("pending", None),
    "orphan.jsonl": ("in_doubt", None),
    "odd-\udcff.jsonl": ("accepted", "file-6"),
}
"""What each of the kept ledgers holds, whatever its version: the orphan of a run that died included."""


def tell_story(path: Path) -> None:
    """Make a ledger in which everything has happened that a ledger can hold."""
    newer = Fingerprint(size=200, mtime_ns=1_700_000_100_000_000_000, inode=8)
    odd = entry("odd-\udcff.jsonl", vector_database_id="vdb", fields=(("k", "v"),))
    with stored(path) as store:
        plain = [entry(name) for name in EXPECTED if name != odd.path]
        one, changed, found, doubtful, rejected, _, orphan, last = store.known(*plain, odd)
        store.tried(one, accepted("file-1"))
        store.tried(changed, accepted("file-2"))
        store.tried(changed, accepted("file-3"), newer, utc_s=START_S + 60)
        store.tried(found, LOST)
        listed = ListedFile(file_id="file-4", bytes=100, created_at="2026-05-28T20:26:40Z")
        store.adopt(store.open_doubts()[0], listed, content_hash=None, utc_s=START_S + 90)
        store.tried(
            doubtful, InDoubt(reason="HTTP 500", answered=True, http_status=500, candidate_id="file-5")
        )
        store.tried(rejected, Rejected(http_status=422, reason="HTTP 422: no"))
        store.intended(orphan)
        store.tried(last, accepted("file-6"))
        kept = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
        ask(store, kept, asked_by="me@here", utc_s=START_S + 95)
        end(store, kept, Deleted.KEPT, reason="HTTP 403", utc_s=START_S + 96)
        state = ControllerState(limit=8, rate_per_s=2.5, pause_s=1.0, reason="429")
        note_states(store, [(START_S + 97, state)])
        remember(store, LearnedLimits(limit=12, rate_per_s=3.5), utc_s=START_S + 98)
        store.end_run(exit_status=4, utc_s=START_S + 100)
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


if __name__ == "__main__":
    target = VERSIONS / f"version-{SCHEMA_VERSION}.ledger"
    target.unlink(missing_ok=True)
    tell_story(target)
    for suffix in ("-wal", "-shm"):
        if os.path.exists(f"{target}{suffix}"):
            os.unlink(f"{target}{suffix}")
