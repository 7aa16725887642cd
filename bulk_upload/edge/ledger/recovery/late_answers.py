"""Answers that come after their attempt was recorded as in doubt, as from an agent that was lost and comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.edge.ledger.columns import optional_text

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.store import LedgerStore


def expect_agents(store: LedgerStore, *, ttl_s: float) -> None:
    """Record that agents may send for this run for `ttl_s` seconds after its last sign of life."""
    store.connection.execute(
        "UPDATE runs SET agents_ttl_s = ? WHERE run_id = (SELECT max(run_id) FROM runs)", (ttl_s,)
    )


def keep_candidate(store: LedgerStore, *, attempt_id: int, file_id: str) -> None:
    """Keep the id of an answer that came after its attempt was recorded as in doubt, where that has none yet."""
    store.connection.execute(
        "UPDATE attempts SET candidate_id = ? WHERE attempt_id = ? AND outcome = 'in_doubt' AND candidate_id IS NULL",
        (optional_text(file_id), attempt_id),
    )
