"""The entries in doubt of a ledger, with what a person needs to decide about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.run.resolve import OpenDoubt
from bulk_upload.edge.ledger.reading import orphans

if TYPE_CHECKING:
    import sqlite3

_ATTEMPTS = f"""
SELECT e.entry_id, a.attempt_id, e.path, e.purpose, a.sent_name, a.size, a.intent_utc,
       CASE WHEN a.outcome IS NULL THEN '{orphans.REASON}' ELSE coalesce(e.reason, a.reason, '') END, a.candidate_id
FROM attempts a JOIN entries e USING (entry_id)
WHERE (a.outcome = 'in_doubt' AND a.resolution IS NULL) {{or_open}}
ORDER BY a.attempt_id
"""
_DELETIONS = """
SELECT e.entry_id, NULL, e.path, e.purpose, r.sent_name, r.bytes, r.settled_utc, coalesce(e.reason, ''), d.file_id
FROM deletions d JOIN entries e USING (entry_id) JOIN receipts r ON r.receipt_id = d.receipt_id
WHERE d.outcome IS NULL AND e.state = 'in_doubt' AND e.receipt_id = d.receipt_id
ORDER BY d.deletion_id
"""


def open_doubts(connection: sqlite3.Connection, *, run_at_work: bool) -> list[OpenDoubt]:
    """Return the entries in doubt, oldest upload first, including those a dead run left open."""
    attempts = _ATTEMPTS.format(or_open="" if run_at_work else "OR a.outcome IS NULL")
    return [
        OpenDoubt(
            entry_id=row[0],
            attempt_id=row[1],
            path=os.fsdecode(row[2]),
            purpose=row[3],
            sent_name=row[4],
            file_bytes=row[5],
            sent_utc=row[6],
            reason=row[7],
            candidate_id=row[8],
        )
        for sql in (attempts, _DELETIONS)
        for row in connection.execute(sql)
    ]
