"""Whose an id of the server is: what receipts own, what they merely name, and what is in question.

Each function runs inside the caller's transaction, on the caller's thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from bulk_upload.core.run.reconcile import Doubt

LIVE = """r.withdrawn_utc IS NULL AND NOT EXISTS (SELECT 1 FROM {ledger}.deletions d
    WHERE d.receipt_id = r.receipt_id AND d.outcome IN ('deleted', 'gone'))"""
"""The condition that a receipt `r` is believed and its file was not deleted; format it with the name of the ledger's schema."""

OWNS = f"""{LIVE.format(ledger="main")} AND NOT EXISTS (SELECT 1 FROM attempts a
    WHERE a.attempt_id = r.attempt_id AND a.outcome = 'in_doubt' AND a.resolution IS NULL)"""
"""The condition that a receipt `r` owns its id: it was not withdrawn, its file not deleted, and it is not in question."""


def claimed(connection: sqlite3.Connection, file_ids: Collection[str]) -> set[str]:
    """Return those of `file_ids` that a receipt owns, also a superseded one.

    A withdrawn receipt owns nothing: its id is another file's. Nor does one whose file `undo` deleted: some servers give
    such ids again. Nor does one in question, whose own attempt may get it back.
    """
    # One look-up an id: a list of all of them could be longer than a statement may be.
    found = (
        connection.execute(
            f"SELECT file_id FROM receipts r WHERE file_id = ? AND {OWNS}", (file_id,)
        ).fetchone()
        for file_id in file_ids
    )
    return {row[0] for row in found if row is not None}


def named(connection: sqlite3.Connection, file_id: str) -> bool:
    """Whether any receipt names an id, also a withdrawn one: an answer with that id proves nothing."""
    row = connection.execute("SELECT 1 FROM receipts WHERE file_id = ?", (file_id,)).fetchone()
    return row is not None


def settle_in_question(
    connection: sqlite3.Connection, doubt: Doubt, *, file_id: str, utc_s: float
) -> int | None:
    """Return the number of the receipt that a doubt is about, now that its file is known; None where there is none.

    A receipt for another file is withdrawn.
    """
    found = _in_question(connection, doubt)
    if found is not None and found[1] != file_id:
        drop_in_question(connection, doubt, reason=f"the file is {file_id}", utc_s=utc_s)
        return None
    return None if found is None else found[0]


def _in_question(connection: sqlite3.Connection, doubt: Doubt) -> tuple[int, str] | None:
    row = connection.execute(
        "SELECT r.receipt_id, r.file_id FROM receipts r JOIN entries e USING (receipt_id)"
        " WHERE e.entry_id = ? AND r.attempt_id = ?",
        (doubt.entry_id, doubt.attempt_id),
    ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def drop_in_question(connection: sqlite3.Connection, doubt: Doubt, *, reason: str, utc_s: float) -> None:
    """Record that the receipt a doubt is about, if there is one, is false after all."""
    found = _in_question(connection, doubt)
    if found is not None:
        mark_false(connection, found[0], reason=reason, utc_s=utc_s, entry_id=doubt.entry_id)


def retire_deleted(connection: sqlite3.Connection, *, file_id: str, utc_s: float) -> None:
    """Withdraw the receipt of a file that `undo` deleted, now that the server gave its id to another one."""
    connection.execute(
        "UPDATE receipts AS r SET withdrawn_utc = ?, withdrawn_reason = 'the server gave the id again' WHERE file_id = ?"
        f" AND withdrawn_utc IS NULL AND NOT ({LIVE.format(ledger='main')})",
        (utc_text(utc_s), file_id),
    )


def take_over(connection: sqlite3.Connection, doubt: Doubt, *, file_id: str, utc_s: float) -> None:
    """Withdraw the receipt in question that another entry has for an id which turns out to be this doubt's."""
    row = connection.execute(
        "SELECT receipt_id, entry_id FROM receipts WHERE file_id = ? AND withdrawn_utc IS NULL AND entry_id <> ?",
        (file_id, doubt.entry_id),
    ).fetchone()
    if row is not None:
        mark_false(connection, row[0], reason="it is another entry's file", utc_s=utc_s, entry_id=row[1])


def mark_false(
    connection: sqlite3.Connection, receipt_id: int, *, reason: str, utc_s: float, entry_id: int
) -> None:
    """Record that a receipt is false; its entry then has none."""
    connection.execute(
        "UPDATE receipts SET withdrawn_utc = ?, withdrawn_reason = ? WHERE receipt_id = ?",
        (utc_text(utc_s), from_text(reason), receipt_id),
    )
    connection.execute(
        "UPDATE entries SET receipt_id = NULL WHERE entry_id = ? AND receipt_id = ?", (entry_id, receipt_id)
    )
