"""Receipts that turned out to be false, or that may be, as durable steps.

Each step runs inside the caller's transaction, on the caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text
from bulk_upload.edge.ledger.decisions import note_decision
from bulk_upload.edge.ledger.owned_ids import mark_false
from bulk_upload.edge.ledger.reading.receipts import HELD, held_receipt

if TYPE_CHECKING:
    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger.store import LedgerStore

BY_CLOSING_CHECK = "closing check"
"""Who decided, when it was a run that compared its receipts with the server's list."""


def withdraw_receipt(
    store: LedgerStore, receipt: HeldReceipt, *, state: EntryState, reason: str, decided_by: str, utc_s: float
) -> bool:
    """Record that a receipt is false; its entry is then `in_doubt` or `withdrawn`.

    Return False, and record nothing, where the receipt is no longer that of an accepted entry.
    """
    if not _leave_accepted(store, receipt, state=state, reason=reason, utc_s=utc_s):
        return False
    mark_false(store.connection, receipt.receipt_id, reason=reason, utc_s=utc_s, entry_id=receipt.entry_id)
    if state is EntryState.IN_DOUBT:
        _reopen_attempt(store, receipt, reason=reason)
    note_decision(
        store.connection,
        store.run_id,
        receipt.entry_id,
        decision=f"withdrew {receipt.file_id}: {reason}",
        decided_by=decided_by,
        utc_s=utc_s,
    )
    return True


def question_receipt(
    store: LedgerStore, receipt: HeldReceipt, *, reason: str, decided_by: str, utc_s: float
) -> bool:
    """Record that a receipt may be false: its entry is in doubt, and the receipt stays until that is decided.

    Return False, and record nothing, where the receipt is no longer that of an accepted entry.
    """
    if not _leave_accepted(store, receipt, state=EntryState.IN_DOUBT, reason=reason, utc_s=utc_s):
        return False
    _reopen_attempt(store, receipt, reason=reason)
    note_decision(
        store.connection,
        store.run_id,
        receipt.entry_id,
        decision=f"questioned {receipt.file_id}: {reason}",
        decided_by=decided_by,
        utc_s=utc_s,
    )
    return True


def receipt_for(store: LedgerStore, *, file_id: str, settled_before_utc_s: float) -> HeldReceipt | None:
    """Return the receipt of an accepted entry by the id of its file, None where there is none that is old enough."""
    row = store.connection.execute(
        f"{HELD.format(ledger='main')} WHERE r.file_id = ? AND e.receipt_id = r.receipt_id AND e.state = 'accepted'"
        " AND r.settled_utc <= ?",
        (file_id, utc_text(settled_before_utc_s)),
    ).fetchone()
    return None if row is None else held_receipt(row)


def note_check(store: LedgerStore, *, receipt_count: int, checked_count: int | None) -> None:
    """Record how many receipts a run had to check, and how many it compared, None where it was stopped first."""
    store.connection.execute(
        "UPDATE runs SET receipt_count = ?, checked_count = ? WHERE run_id = ?",
        (receipt_count, checked_count, store.run_id),
    )


def _leave_accepted(
    store: LedgerStore, receipt: HeldReceipt, *, state: EntryState, reason: str, utc_s: float
) -> bool:
    changed = store.connection.execute(
        "UPDATE entries SET state = ?, reason = ?, settled_utc = ? WHERE entry_id = ? AND receipt_id = ?"
        " AND state = 'accepted'",
        (
            state.value,
            from_text(reason),
            utc_text(utc_s) if state.settled else None,
            receipt.entry_id,
            receipt.receipt_id,
        ),
    ).rowcount
    return changed == 1


def _reopen_attempt(store: LedgerStore, receipt: HeldReceipt, *, reason: str) -> None:
    """Put the attempt that a receipt came of in doubt again, with the id as its candidate."""
    store.connection.execute(
        "UPDATE attempts SET outcome = 'in_doubt', answered = 0, reason = ?, candidate_id = ?, resolution = NULL"
        " WHERE attempt_id = (SELECT attempt_id FROM receipts WHERE receipt_id = ?)",
        (from_text(reason), receipt.file_id, receipt.receipt_id),
    )
