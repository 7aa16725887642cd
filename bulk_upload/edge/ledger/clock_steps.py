"""The clocks of a run in the ledger: the steps of ours, and how far the server's is from it."""

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


def note_clock_offset(store: LedgerStore, *, offset_s: float) -> None:
    """Record the server's clock minus ours with the attempts of this run that are open and do not have it yet."""
    store.connection.execute(
        "UPDATE attempts SET clock_offset_s = ? WHERE outcome IS NULL AND run_id = ? AND clock_offset_s IS NULL",
        (offset_s, store.run_id),
    )
