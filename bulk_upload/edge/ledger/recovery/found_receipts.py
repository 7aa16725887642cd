"""Receipts for files that the server's list shows and that the ledger does not know to have sent.

Each step runs inside the caller's transaction, on the caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState, ReceiptOrigin
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import (
    FINGERPRINT_SQL,
    SET_FINGERPRINT,
    from_content_hash,
    from_fingerprint,
    from_text,
    optional_text,
)
from bulk_upload.edge.ledger.decisions import note_decision
from bulk_upload.edge.ledger.owned_ids import claims

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry, Fingerprint, ListedFile
    from bulk_upload.edge.ledger.store import LedgerStore

FOUND_REASON = "found in the server's list"


def record_found(
    store: LedgerStore,
    entry: Entry,
    fingerprint: Fingerprint,
    file: ListedFile,
    *,
    sent_name: str,
    content_hash: str | None,
    detail: str,
    decided_by: str,
    utc_s: float,
) -> bool:
    """Make a listed file the receipt of an entry; return False, and record nothing, where another entry owns it.

    The receipt is for the version of the file that `fingerprint` names, `detail` says how it was compared, `content_hash` is its
    hash where all of it was. The attempt that it needs was none of this ledger.
    """
    if claims(store.connection, [file.file_id]):
        return False
    connection, now = store.connection, utc_text(utc_s)
    store.register([entry], utc_s=utc_s)
    ((entry_id,),) = connection.execute("SELECT entry_id FROM entries WHERE key = ?", (entry.key,))
    columns, hashes = from_fingerprint(fingerprint), from_content_hash(content_hash)
    attempt_id = connection.execute(
        f"INSERT INTO attempts (entry_id, run_id, attempt_no, sent_name, {FINGERPRINT_SQL}, intent_utc,"
        " ended_utc, outcome, reason, sha256, blake3) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'not_sent', ?, ?, ?)",
        (entry_id, store.run_id, from_text(sent_name), *columns, now, now, FOUND_REASON, *hashes),
    ).lastrowid
    connection.execute(
        "UPDATE receipts SET superseded_utc = ? WHERE receipt_id = (SELECT receipt_id FROM entries WHERE entry_id = ?)",
        (now, entry_id),
    )
    receipt_id = connection.execute(
        "INSERT INTO receipts (entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, blake3, mtime_ns, inode, ctime_ns,"
        " etag, version, obtained, size_confirmed, server_created_at, settled_utc)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry_id,
            attempt_id,
            file.file_id,
            from_text(sent_name),
            from_text(entry.purpose),
            columns[0],
            *hashes,
            *columns[1:],
            ReceiptOrigin.FOUND.value,
            file.bytes == fingerprint.size,
            optional_text(file.created_at),
            now,
        ),
    ).lastrowid
    connection.execute(
        f"UPDATE entries SET state = ?, {SET_FINGERPRINT}, receipt_id = ?, http_status = NULL,"
        " reason = NULL, settled_utc = ? WHERE entry_id = ?",
        (EntryState.ACCEPTED.value, *columns, receipt_id, now, entry_id),
    )
    note_decision(
        connection,
        store.run_id,
        entry_id,
        decision=f"found {file.file_id}",
        detail=detail,
        decided_by=decided_by,
        utc_s=utc_s,
    )
    return True
