"""A run that a test plays by hand: its clock, its snapshot, and short ways to make events."""

from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled, PlanMade, Snapshot
from bulk_upload.core.model import Accepted, EntryState, InDoubt, Outcome, Receipt, ReceiptOrigin

FILE_BYTES = 1_000_000
LOST = InDoubt(reason="the connection was lost", answered=False)
TAKEN = Accepted(file_id="file-1", http_status=200, size_confirmed=True)


class ScriptedRun:
    """Where a run stands: a test sets the fields and hands `snapshot` and `now` to a display."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.state = Snapshot(
            in_flight=0, limit=8, limit_reason="8 in flight, as set", pause_s=0.0, parked_count=0,
            wire_bytes=0, partial_bytes=0,
        )  # fmt: skip

    def snapshot(self) -> Snapshot:
        """Return the state as it is now."""
        return self.state

    def now(self) -> float:
        """Return the scripted time."""
        return self.at

    def moves(
        self,
        *,
        seconds: float = 0.0,
        in_flight: int | None = None,
        pause_s: float | None = None,
        parked_count: int | None = None,
        wire_bytes: int | None = None,
        partial_bytes: int | None = None,
    ) -> None:
        """Let time pass and set what is given."""
        self.at += seconds
        old = self.state
        self.state = replace(
            old,
            in_flight=old.in_flight if in_flight is None else in_flight,
            pause_s=old.pause_s if pause_s is None else pause_s,
            parked_count=old.parked_count if parked_count is None else parked_count,
            wire_bytes=old.wire_bytes if wire_bytes is None else wire_bytes,
            partial_bytes=old.partial_bytes if partial_bytes is None else partial_bytes,
        )


def plan(
    entry_count: int, *, settled_count: int = 0, doubt_count: int = 0, warnings: tuple[str, ...] = ()
) -> PlanMade:
    """Return the plan for entries of `FILE_BYTES` each."""
    send_count = entry_count - settled_count - doubt_count
    return PlanMade(
        entry_count=entry_count,
        total_bytes=entry_count * FILE_BYTES,
        settled_count=settled_count,
        settled_bytes=settled_count * FILE_BYTES,
        send_count=send_count,
        send_bytes=send_count * FILE_BYTES,
        doubt_count=doubt_count,
        blocked_count=0,
        warnings=warnings,
    )


def started(path: str, attempt_no: int = 1) -> AttemptStarted:
    """Return the start of an attempt."""
    return AttemptStarted(path=path, attempt_no=attempt_no, file_bytes=FILE_BYTES)


def ended(
    path: str, outcome: Outcome = TAKEN, *, attempt_no: int = 1, retry_in_s: float | None = None
) -> AttemptEnded:
    """Return the end of an attempt."""
    return AttemptEnded(
        path=path, attempt_no=attempt_no, outcome=outcome, duration_s=1.0, retry_in_s=retry_in_s
    )


def settled(
    path: str,
    state: EntryState = EntryState.ACCEPTED,
    *,
    reason: str | None = None,
    http_status: int | None = None,
    receipt: Receipt | None = None,
) -> EntrySettled:
    """Return what became of an entry."""
    return EntrySettled(
        path=path,
        purpose="fine-tune",
        state=state,
        file_bytes=FILE_BYTES,
        reason=reason,
        http_status=http_status,
        receipt=receipt,
    )


def receipt(
    path: str, *, obtained: ReceiptOrigin = ReceiptOrigin.ANSWERED, size_confirmed: bool = True
) -> Receipt:
    """Return the receipt of an accepted entry."""
    return Receipt(
        path=path,
        purpose="fine-tune",
        file_id="file-1",
        file_bytes=FILE_BYTES,
        content_hash="0" * 64,
        sent_name=path.rsplit("/", 1)[-1],
        obtained=obtained,
        size_confirmed=size_confirmed,
        settled_utc="2026-06-18T09:30:00.000000Z",
    )
