"""Records which entries the manifest of the last run has, and their new change times.

Only what changed is written: a run that finds the same manifest again writes nothing here, however many entries it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import (
    SET_FINGERPRINT,
    from_content_hash,
    from_fingerprint,
    from_path,
    to_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.ledger.columns import Integer
    from bulk_upload.edge.ledger.staging import Staging
    from bulk_upload.edge.ledger.store import LedgerStore

MARKS_PER_PAGE = 4096
"""Entries that are marked in one step: each step is a commit."""


def new_change_times(staging: Staging) -> Iterator[list[tuple[Integer, int]]]:
    """Yield the change times, each with its entry, of files that the ledger has without one."""
    after_id = 0
    while rows := staging.rows(
        f"SELECT ctime_ns, entry_id FROM change_times WHERE entry_id > ? ORDER BY entry_id LIMIT {MARKS_PER_PAGE}",
        (after_id,),
    ):
        yield [(row[0], row[1]) for row in rows]
        after_id = rows[-1][1]


def dropped_count(staging: Staging) -> int:
    """Return how many entries of the ledger the manifest does not have."""
    ((count,),) = staging.rows(
        "SELECT (SELECT count(*) FROM ledger.entries) - (SELECT count(*) FROM staged WHERE entry_id IS NOT NULL)"
    )
    return int(count)


def live_count(staging: Staging) -> int:
    """Return how many entries of the ledger earlier manifests had, without those that are marked as dropped."""
    ((count,),) = staging.rows("SELECT count(*) FROM ledger.entries WHERE dropped_utc IS NULL")
    return int(count)


def unlisted_paths(staging: Staging) -> Iterator[str]:
    """Yield the paths of entries that the ledger has, that are not marked as dropped, and that the manifest does not have."""
    after_id = 0
    while rows := staging.rows(
        "SELECT e.entry_id, e.path FROM ledger.entries e WHERE e.entry_id > ? AND e.dropped_utc IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM staged s WHERE s.entry_id = e.entry_id)"
        f" ORDER BY e.entry_id LIMIT {MARKS_PER_PAGE}",
        (after_id,),
    ):
        yield from (to_path(row[1]) for row in rows)
        after_id = rows[-1][0]


def newly_dropped(staging: Staging) -> Iterator[list[int]]:
    """Yield the entries of the ledger that the manifest does not have, without those that are marked already."""
    if not dropped_count(staging):
        return
    yield from _entry_ids(
        staging,
        "SELECT e.entry_id FROM ledger.entries e WHERE e.entry_id > ? AND e.dropped_utc IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM staged s WHERE s.entry_id = e.entry_id)",
    )


def taken_up_again(staging: Staging) -> Iterator[list[int]]:
    """Yield the entries that the ledger has as dropped and the manifest has again."""
    yield from _entry_ids(
        staging,
        "SELECT e.entry_id FROM ledger.entries e JOIN staged s ON s.entry_id = e.entry_id"
        " WHERE e.entry_id > ? AND e.dropped_utc IS NOT NULL",
    )


def fill_change_times(store: LedgerStore, change_times: Sequence[tuple[Integer, int]]) -> None:
    """Record the change times of files whose other marks the ledger has."""
    store.connection.executemany(
        "UPDATE entries SET ctime_ns = ? WHERE entry_id = ? AND ctime_ns IS NULL", change_times
    )


def mark_dropped(store: LedgerStore, entry_ids: Sequence[int], *, utc_s: float) -> None:
    """Record that the manifest no longer has these entries."""
    now = utc_text(utc_s)
    store.connection.executemany(
        "UPDATE entries SET dropped_utc = ? WHERE entry_id = ?", [(now, entry_id) for entry_id in entry_ids]
    )


def mark_taken_up(store: LedgerStore, entry_ids: Sequence[int]) -> None:
    """Record that the manifest has these entries again."""
    store.connection.executemany(
        "UPDATE entries SET dropped_utc = NULL WHERE entry_id = ?", [(entry_id,) for entry_id in entry_ids]
    )


def note_manifest(store: LedgerStore, manifest: str) -> int:
    """Record the manifest of the run; return how many entries of the ledger it does not have."""
    store.connection.execute(
        "UPDATE runs SET manifest = ? WHERE run_id = ?", (from_path(manifest), store.run_id)
    )
    (count,) = store.connection.execute(
        "SELECT count(*) FROM entries WHERE dropped_utc IS NOT NULL"
    ).fetchone()
    return int(count)


def refresh(store: LedgerStore, entry_id: int, fingerprint: Fingerprint, *, content_hash: str | None) -> None:
    """Record that a touched file still counts as what its receipt is for, and the hash of that if it was compared."""
    cursor = store.connection.execute(
        f"UPDATE entries SET {SET_FINGERPRINT} WHERE entry_id = ?",
        (*from_fingerprint(fingerprint), entry_id),
    )
    if cursor.rowcount != 1:
        raise LookupError(f"no entry {entry_id}")
    store.connection.execute(
        "UPDATE receipts SET sha256 = ?, blake3 = ? WHERE sha256 IS NULL AND blake3 IS NULL"
        " AND receipt_id = (SELECT receipt_id FROM entries WHERE entry_id = ?)",
        (*from_content_hash(content_hash), entry_id),
    )


def _entry_ids(staging: Staging, sql: str) -> Iterator[list[int]]:
    after_id = 0
    while rows := staging.rows(f"{sql} ORDER BY e.entry_id LIMIT {MARKS_PER_PAGE}", (after_id,)):
        yield [row[0] for row in rows]
        after_id = rows[-1][0]
