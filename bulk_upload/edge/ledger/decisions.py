"""Who decided what: about an attempt in doubt, a receipt, or the limits of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text, optional_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from bulk_upload.core.model import ListedFile

BY_ANSWER = "answer"
"""Who decided, when it was what the server answered to several files."""


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


def note_strays(
    connection: sqlite3.Connection,
    run_id: int | None,
    strays: Iterable[ListedFile],
    *,
    bundle_id: int,
    utc_s: float,
) -> None:
    """Record files in the answer to a bundle that are no member's: none of them became a receipt."""
    for file in strays:
        note_decision(
            connection,
            run_id,
            None,
            decision=f"no receipt for {file.file_id}",
            decided_by=BY_ANSWER,
            utc_s=utc_s,
            detail=f"in the answer to bundle {bundle_id} as {file.filename!r} of {file.bytes} bytes, which is none of its"
            " files, or not of one alone",
        )
