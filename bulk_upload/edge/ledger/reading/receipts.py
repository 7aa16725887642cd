"""Reads receipts: for callers that wait for one, and for `verify` and `undo`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState, Receipt, ReceiptOrigin
from bulk_upload.core.run.verify import HeldReceipt, Standing
from bulk_upload.edge.ledger.columns import content_hash_of

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.store import LedgerStore

FILES_RM = "files rm"
"""What deleted a file, by the reason that its deletion is recorded with, where it was not `undo`."""

ADOPTED = f"r.obtained <> '{ReceiptOrigin.ANSWERED.value}'"
"""The condition that the id of a receipt `r` did not come with the answer to its upload."""

_STANDING = f"""CASE WHEN r.superseded_utc IS NOT NULL THEN '{Standing.SUPERSEDED}'
    WHEN e.state <> '{EntryState.ACCEPTED}' OR e.receipt_id IS NOT r.receipt_id THEN '{Standing.OPEN}'
    WHEN e.dropped_utc IS NOT NULL THEN '{Standing.DROPPED}' ELSE '{Standing.CURRENT}' END"""

HELD = f"""SELECT r.receipt_id, r.entry_id, e.path, r.file_id, r.sent_name, r.purpose, r.bytes, {content_hash_of("r")},
    r.superseded_utc IS NOT NULL, {ADOPTED}, {_STANDING} FROM {{ledger}}.receipts r JOIN {{ledger}}.entries e ON e.entry_id = r.entry_id"""
"""The columns that `held_receipt` takes; format it with the name of the ledger's schema."""


def receipt_of(store: LedgerStore, entry_id: int) -> Receipt:
    """Return the current receipt of an accepted entry."""
    row = store.connection.execute(
        f"SELECT e.path, r.purpose, r.file_id, r.bytes, {content_hash_of('r')}, r.sent_name, r.obtained, r.size_confirmed,"
        " r.settled_utc FROM entries e JOIN receipts r USING (receipt_id) WHERE e.entry_id = ?",
        (entry_id,),
    ).fetchone()
    return Receipt(
        path=os.fsdecode(row[0]),
        purpose=row[1],
        file_id=row[2],
        file_bytes=row[3],
        content_hash=row[4],
        sent_name=row[5],
        obtained=ReceiptOrigin(row[6]),
        size_confirmed=bool(row[7]),
        settled_utc=row[8],
    )


def held_receipt(row: tuple[object, ...]) -> HeldReceipt:
    """Return the receipt in the columns of `HELD`."""
    (
        receipt_id,
        entry_id,
        path,
        file_id,
        sent_name,
        purpose,
        size,
        content_hash,
        superseded,
        adopted,
        standing,
    ) = row
    if not (
        isinstance(receipt_id, int)
        and isinstance(entry_id, int)
        and isinstance(size, int)
        and isinstance(path, bytes)
    ):
        raise TypeError("the ledger holds a receipt of unknown form")
    return HeldReceipt(
        receipt_id=receipt_id,
        entry_id=entry_id,
        path=os.fsdecode(path),
        file_id=str(file_id),
        sent_name=str(sent_name),
        purpose=str(purpose),
        file_bytes=size,
        content_hash=None if content_hash is None else str(content_hash),
        superseded=bool(superseded),
        adopted=bool(adopted),
        standing=Standing(str(standing)),
    )
