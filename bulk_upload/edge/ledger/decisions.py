"""Who decided what: about an attempt in doubt, a receipt, or the limits of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text, optional_text

if TYPE_CHECKING:
    import sqlite3


def note_decision(
    connection: sqlite3.Connection,
    run_id: int | None,
    entry_id: int | None,
    *,
    decision: str,
    decided_by: str,
    utc_s: float,
    detail: str | None = None,
) -> None:
    """Record a decision within the caller's transaction; `entry_id` is None for one about the run."""
    connection.execute(
        "INSERT INTO decisions (entry_id, run_id, decided_utc, decided_by, decision, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (
            entry_id,
            run_id,
            utc_text(utc_s),
            from_text(decided_by),
            optional_text(decision),
            optional_text(detail),
        ),
    )
