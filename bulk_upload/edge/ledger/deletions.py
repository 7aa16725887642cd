"""Deletions at the server, as durable steps: recorded before the request is sent, ended once its answer is known.

Between the two it is unknown whether the file still exists, so its entry is in doubt. Each step runs inside the
caller's transaction, on the caller's thread.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import content_hash_of, from_text
from bulk_upload.edge.ledger.owned_ids import LIVE
from bulk_upload.edge.ledger.reading.receipts import ADOPTED, FILES_RM, HELD, held_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger.store import LedgerStore

UNFINISHED = "its deletion was started and no answer was recorded: `bulk-upload undo` finishes it"

_NO_OPEN_DOUBT = """NOT EXISTS (SELECT 1 FROM attempts a
    WHERE a.entry_id = entries.entry_id AND a.outcome = 'in_doubt' AND a.resolution IS NULL)"""


class Deleted(StrEnum):
    """How a deletion ended: done, unnecessary because the file was gone already, or refused."""

    DELETED = "deleted"
    GONE = "gone"
    KEPT = "kept"


class PlannedDeletion(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is to be deleted. `receipt_id` is None for a duplicate, which has no receipt."""

    entry_id: int
    receipt_id: int | None
    file_id: str


def ask(store: LedgerStore, one: PlannedDeletion, *, asked_by: str, utc_s: float) -> None:
    """Record that a file is about to be deleted; one whose deletion was recorded before is recorded again."""
    now = utc_text(utc_s)
    store.connection.execute(
        "INSERT INTO deletions (run_id, entry_id, receipt_id, file_id, asked_by, asked_utc)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (store.run_id, one.entry_id, one.receipt_id, one.file_id, from_text(asked_by), now),
    )
    store.connection.execute(
        "UPDATE entries SET state = 'in_doubt', settled_utc = NULL, reason = ?"
        " WHERE entry_id = ? AND state = 'accepted' AND receipt_id = ?",
        (UNFINISHED, one.entry_id, one.receipt_id),
    )


def end(
    store: LedgerStore, one: PlannedDeletion, outcome: Deleted, *, reason: str | None, utc_s: float
) -> None:
    """Record how a deletion ended. An entry whose file is gone is pending again; a file that was kept is accepted.

    `reason` is the server's, where it refused; or what deleted the file, where it was not `undo`.
    """
    now = utc_text(utc_s)
    store.connection.execute(
        "UPDATE deletions SET ended_utc = ?, outcome = ?, reason = ? WHERE file_id = ? AND outcome IS NULL",
        (now, outcome.value, None if reason is None else from_text(reason), one.file_id),
    )
    if one.receipt_id is None:
        return
    if outcome is Deleted.KEPT:
        store.connection.execute(
            "UPDATE entries SET state = 'accepted', settled_utc = ?, reason = NULL"
            f" WHERE entry_id = ? AND receipt_id = ? AND state = 'in_doubt' AND {_NO_OPEN_DOUBT}",
            (now, one.entry_id, one.receipt_id),
        )
        return
    store.connection.execute(
        "UPDATE receipts SET superseded_utc = coalesce(superseded_utc, ?) WHERE receipt_id = ?",
        (now, one.receipt_id),
    )
    gone = store.connection.execute(
        "UPDATE entries SET receipt_id = NULL WHERE entry_id = ? AND receipt_id = ? AND state <> 'accepted'",
        (one.entry_id, one.receipt_id),
    ).rowcount
    by = FILES_RM if reason == FILES_RM else "undo"
    if gone:
        store.connection.execute(
            "UPDATE entries SET state = ?, settled_utc = NULL, reason = ?"
            f" WHERE entry_id = ? AND state = 'in_doubt' AND {_NO_OPEN_DOUBT}",
            (EntryState.PENDING.value, f"{one.file_id} was deleted from the server by {by}", one.entry_id),
        )


def planned_for(store: LedgerStore, *, file_id: str) -> PlannedDeletion | None:
    """Return the deletion of the file of a receipt, None where no receipt that is believed has its id."""
    row = store.connection.execute(
        f"SELECT r.entry_id, r.receipt_id FROM receipts r WHERE r.file_id = ? AND {LIVE.format(ledger='main')}",
        (file_id,),
    ).fetchone()
    return None if row is None else PlannedDeletion(entry_id=row[0], receipt_id=row[1], file_id=file_id)


def unfinished(store: LedgerStore) -> list[PlannedDeletion]:
    """Return the deletions without a recorded end, oldest first."""
    rows = store.connection.execute(
        "SELECT entry_id, receipt_id, file_id FROM deletions WHERE outcome IS NULL ORDER BY deletion_id"
    )
    return [PlannedDeletion(entry_id=row[0], receipt_id=row[1], file_id=row[2]) for row in rows]


def live_total(
    store: LedgerStore, *, only_superseded: bool, only_dropped: bool, adopted: bool
) -> tuple[int, int]:
    """Return how many receipts `live_receipts` has in all, and the bytes of their files."""
    which = _which(only_superseded=only_superseded, only_dropped=only_dropped, adopted=adopted)
    row = store.connection.execute(
        f"SELECT count(*), coalesce(sum(r.bytes), 0) FROM receipts r JOIN entries e USING (entry_id) WHERE {LIVE.format(ledger='main')} {which}"
    ).fetchone()
    return row[0], row[1]


def _which(*, only_superseded: bool, only_dropped: bool, adopted: bool) -> str:
    """Return a further condition on a receipt `r` of an entry `e`."""
    superseded = "AND r.superseded_utc IS NOT NULL" if only_superseded else ""
    dropped = "AND e.dropped_utc IS NOT NULL" if only_dropped else ""
    return f"{superseded} {dropped} AND {'' if adopted else 'NOT'} {ADOPTED}"


def path_of(store: LedgerStore, *, entry_id: int) -> str:
    """Return the path of an entry."""
    (path,) = store.connection.execute("SELECT path FROM entries WHERE entry_id = ?", (entry_id,)).fetchone()
    return os.fsdecode(path)


def live_receipts(
    store: LedgerStore,
    *,
    after_id: int,
    count_max: int,
    only_superseded: bool,
    only_dropped: bool,
    adopted: bool,
) -> list[HeldReceipt]:
    """Return a page of the receipts whose files were not deleted, by their ids from `after_id` on.

    With `adopted` they are those whose id did not come with the answer to the upload, else all others.
    """
    which = _which(only_superseded=only_superseded, only_dropped=only_dropped, adopted=adopted)
    rows = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE r.receipt_id > ? {which} AND {LIVE.format(ledger='main')} ORDER BY r.receipt_id LIMIT ?",
        (after_id, count_max),
    )
    return [held_receipt(row) for row in rows]


def receipts_to_rely_on(store: LedgerStore, *, entry_id: int, hashes: Sequence[str]) -> list[HeldReceipt]:
    """Return an entry's receipts for the content with these hashes whose files no `undo` has deleted or is deleting, newest first."""
    rows = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE r.entry_id = ? AND {content_hash_of('r')} IN (SELECT value FROM json_each(?))"
        f" AND {LIVE.format(ledger='main')}"
        " AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.receipt_id = r.receipt_id AND d.outcome IS NULL)"
        " ORDER BY r.receipt_id DESC",
        (entry_id, json.dumps(hashes)),
    )
    return [held_receipt(row) for row in rows]


def current_receipt(store: LedgerStore, *, entry_id: int) -> HeldReceipt | None:
    """Return the receipt that an entry has now, None for one without."""
    row = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE e.entry_id = ? AND r.receipt_id = e.receipt_id", (entry_id,)
    ).fetchone()
    return None if row is None else held_receipt(row)
