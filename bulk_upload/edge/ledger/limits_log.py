"""The run's limits in the ledger: their changes, who changed them by hand, and where the next run begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text
from bulk_upload.edge.ledger.decisions import note_decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.limits.caps import CapChange
    from bulk_upload.core.limits.change_log import ControllerState
    from bulk_upload.edge.ledger.store import LedgerStore


def note_states(store: LedgerStore, states: Sequence[tuple[float, ControllerState]]) -> None:
    """Record states of the limits, each with its UTC seconds."""
    store.connection.executemany(
        "INSERT INTO controller_events (run_id, at_utc, in_flight_limit, reason, starts_per_s, pause_s)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (store.run_id, utc_text(utc_s), one.limit, from_text(one.reason), one.rate_per_s, one.pause_s)
            for utc_s, one in states
        ],
    )


def note_changes(store: LedgerStore, changes: Sequence[CapChange], *, decided_by: str, utc_s: float) -> None:
    """Record what a person changed during the run."""
    for one in changes:
        note_decision(
            store.connection,
            store.run_id,
            None,
            decision=one.decision,
            detail=f"was {one.before}",
            decided_by=decided_by,
            utc_s=utc_s,
        )


def remember(store: LedgerStore, learned: LearnedLimits, *, utc_s: float) -> None:
    """Record the limits learned for the job's endpoint."""
    store.connection.execute(
        "INSERT INTO warm_starts (endpoint, in_flight_limit, starts_per_s, noted_utc)"
        " SELECT endpoint, ?, ?, ? FROM job WHERE true ON CONFLICT (endpoint) DO UPDATE SET"
        " in_flight_limit = excluded.in_flight_limit, starts_per_s = excluded.starts_per_s,"
        " noted_utc = excluded.noted_utc",
        (learned.limit, learned.rate_per_s, utc_text(utc_s)),
    )


def remembered(store: LedgerStore) -> LearnedLimits | None:
    """Return the limits that an earlier run learned for the job's endpoint."""
    row = store.connection.execute(
        "SELECT in_flight_limit, starts_per_s FROM warm_starts JOIN job USING (endpoint)"
    ).fetchone()
    return None if row is None else LearnedLimits(limit=row[0], rate_per_s=row[1])
