"""Attempts that a dead run left open, for readers before the next run has recorded them as in doubt.

Queries name the entries `e`, and their open attempts `a`; they then show what `LedgerStore.begin_run` will record.
"""

from __future__ import annotations

from bulk_upload.edge.ledger.columns import FINGERPRINT

ALIVE_EVERY_S = 5.0
"""How often a run records that it is alive; after a crash, absence is believed only that much later."""

REASON = "the run ended before the answer was recorded"


def open_attempts(ledger: str, *, run_at_work: bool) -> str:
    """Return the join with the open attempts: none while a run is active, which may still get their answers."""
    if run_at_work:
        # Matches no row, by row id: a condition that is merely false makes SQLite scan all attempts for each entry.
        return f"LEFT JOIN {ledger}.attempts a ON a.attempt_id = -1"
    return f"LEFT JOIN {ledger}.attempts a ON a.entry_id = e.entry_id AND a.outcome IS NULL"


def unless_orphaned(column: str, otherwise: str) -> str:
    """Return the expression for a column of an entry, or something else where it has an open attempt."""
    return f"CASE WHEN a.attempt_id IS NULL THEN e.{column} ELSE {otherwise} END"


STATE = unless_orphaned("state", "'in_doubt'")
SIZE = unless_orphaned("size", "a.size")
FINGERPRINT_SQL = ", ".join(unless_orphaned(one, f"a.{one}") for one in FINGERPRINT)
"""The columns of a fingerprint, in its order."""

ATTEMPT_COUNT = unless_orphaned("attempt_count", "e.attempt_count + 1")
HTTP_STATUS, SETTLED_UTC = (unless_orphaned(one, "NULL") for one in ("http_status", "settled_utc"))
REASON_TEXT = unless_orphaned("reason", f"'{REASON}'")
