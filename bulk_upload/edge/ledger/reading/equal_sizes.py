"""The receipts of one run that only a name, or the content, tells apart: it sent other files of that size and purpose."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bulk_upload.core.model import ReceiptOrigin
from bulk_upload.edge.ledger.columns import content_hash_of
from bulk_upload.edge.ledger.reading.receipts import HELD, held_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger.reading.run_receipts import RunStart
    from bulk_upload.edge.ledger.store import LedgerStore

_OF_RUN = f"""
e.state = 'accepted' AND e.receipt_id = r.receipt_id AND r.obtained = '{ReceiptOrigin.ANSWERED.value}' AND r.bytes > 0
AND r.receipt_id > :receipt_id AND r.attempt_id > :attempt_id
"""
_JOINED = "receipts r JOIN entries e ON e.entry_id = r.entry_id"
# An entry without a receipt counts, too: its id may be the one that another entry has.
_EQUAL = f"""{_OF_RUN} AND (r.bytes, r.purpose) IN
    (SELECT a.size, e.purpose FROM attempts a JOIN entries e ON e.entry_id = a.entry_id
     WHERE a.attempt_id > :attempt_id GROUP BY 1, 2 HAVING min(a.entry_id) < max(a.entry_id))"""

# Spread over the run, and the same each time.
_SPREAD = "r.receipt_id * 2654435761 % 4294967296"


def equal_size_count(store: LedgerStore, start: RunStart) -> int:
    """Return how many receipts of accepted entries rest on an answer and have the size and purpose of another
    file that the run sent."""
    query = f"SELECT count(*) FROM {_JOINED} WHERE {_EQUAL}"
    return int(store.connection.execute(query, _numbers(start)).fetchone()[0])


def equal_size_sample(
    store: LedgerStore, start: RunStart, *, file_bytes_max: int, count_max: int
) -> list[HeldReceipt]:
    """Return some of them, from all parts of the run, whose hash is known, of files of at most `file_bytes_max`."""
    rows = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE {_EQUAL} AND {content_hash_of('r')} IS NOT NULL AND r.bytes <= :file_bytes_max"
        f" ORDER BY {_SPREAD} LIMIT :count_max",
        _numbers(start) | {"file_bytes_max": file_bytes_max, "count_max": count_max},
    )
    return [held_receipt(row) for row in rows]


def equal_size_page(
    store: LedgerStore, start: RunStart, *, after_id: int, count_max: int
) -> list[HeldReceipt]:
    """Return a page of all of them, by their numbers from `after_id` on."""
    rows = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE {_EQUAL} AND r.receipt_id > :after_id"
        " ORDER BY r.receipt_id LIMIT :count_max",
        _numbers(start) | {"after_id": after_id, "count_max": count_max},
    )
    return [held_receipt(row) for row in rows]


def content_of_another(store: LedgerStore, receipt: HeldReceipt, *, hashes: Sequence[str]) -> bool:
    """Whether another entry sent the content with these hashes, each of another function."""
    row = store.connection.execute(
        f"SELECT 1 FROM attempts a WHERE {content_hash_of('a')} IN (SELECT value FROM json_each(?))"
        " AND size = ? AND entry_id <> ? LIMIT 1",
        (json.dumps(hashes), receipt.file_bytes, receipt.entry_id),
    ).fetchone()
    return row is not None


def _numbers(start: RunStart) -> dict[str, int]:
    return {"receipt_id": start.receipt_id, "attempt_id": start.attempt_id}
