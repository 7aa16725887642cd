"""The steps of our clock in the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.store import LedgerStore


def note_clock_step(store: LedgerStore, *, step_s: float, utc_s: float) -> None:
    """Record that our clock was set by `step_s` seconds; `utc_s` is the new time."""
    store.connection.execute(
        "INSERT INTO clock_steps (run_id, at_utc, step_s) VALUES (?, ?, ?)",
        (store.run_id, utc_text(utc_s), step_s),
    )
