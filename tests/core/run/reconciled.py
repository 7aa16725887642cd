"""One lost answer, and what a list says about it."""

from __future__ import annotations

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.reconcile import (
    Doubt,
    Reconciliation,
    judge,
    suspects,
)
from bulk_upload.core.text.timestamps import utc_text

SENT_AT_S = 1_781_775_000.0
SETTLES_AT_S = SENT_AT_S + 60.0
DOUBT = Doubt(
    entry_id=1,
    attempt_id=1,
    sent_name="data.jsonl",
    file_bytes=10,
    purpose="fine-tune",
    sent_at_utc_s=SENT_AT_S,
    settles_at_utc_s=SETTLES_AT_S,
)
OURS = ListedFile(
    file_id="file-ours",
    filename="data.jsonl",
    bytes=10,
    purpose="fine-tune",
    created_at=utc_text(SENT_AT_S + 1),
)


def verdict(
    *listing: ListedFile,
    doubt: Doubt = DOUBT,
    claimed: set[str] | None = None,
    listed_at_s: float = SETTLES_AT_S,
    offset_s: float | None = 0.0,
    disputed: set[str] | None = None,
    habits: ServerHabits | None = None,
) -> Reconciliation:
    """Return what a listing says about a doubt."""
    suspected = suspects(doubt, listing, clock_offset_s=offset_s, habits=habits)
    return judge(
        doubt,
        suspected,
        claimed_ids=claimed or set(),
        settled=listed_at_s >= doubt.settles_at_utc_s,
        clock_offset_s=offset_s,
        disputed_ids=disputed or set(),
        habits=habits,
    )
