"""The receipts of one run, for its closing check: a page at a time, or by the ids that the server's list shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import ReceiptOrigin
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger.owned_ids import LIVE
from bulk_upload.edge.ledger.reading.receipts import HELD, held_receipt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.run.verify import HeldReceipt
    from bulk_upload.edge.ledger.store import LedgerStore

_OF_RUN = f"""
{HELD.format(ledger="main")} JOIN attempts a ON a.attempt_id = r.attempt_id
WHERE r.receipt_id > ? AND a.attempt_id > ? AND e.state = 'accepted' AND e.receipt_id = r.receipt_id
"""
_SENT_AT = _OF_RUN.replace(" FROM ", ", coalesce(a.began_utc, a.intent_utc) FROM ", 1)

# A run that died, or was stopped before it had compared all of its receipts.
_FIRST_UNCHECKED = """
SELECT min(run_id), min(started_utc) FROM runs
WHERE run_id <> :run_id AND run_id > (SELECT coalesce(max(run_id), 0) FROM runs WHERE checked_count IS NOT NULL)
    AND (ended_utc IS NULL OR (receipt_count IS NOT NULL AND checked_count IS NULL))
"""


_IN_DOUBT_MAX = 1000
"""So many names and sizes show whether a list gives files those of others."""


class RunStart(msgspec.Struct, frozen=True, kw_only=True):
    """The last attempt and the last receipt before those that a run has to check."""

    attempt_id: int
    receipt_id: int


class RunExtent(msgspec.Struct, frozen=True, kw_only=True):
    """What a run recorded: its requests, and its receipts that are those of accepted entries.

    `began_utc_s` is when its first request was intended, None where there was none. `in_doubt` has the name and size of
    what was sent for entries in doubt, of some of them where they are many.
    """

    attempt_count: int
    receipt_count: int
    last_receipt_id: int
    began_utc_s: float | None
    in_doubt: tuple[tuple[str, int], ...] = ()


def run_start(store: LedgerStore) -> RunStart:
    """Return where a run begins, or the first one before it that ended without its check.

    Call it before the first intent.
    """
    run_id, started_utc = store.connection.execute(_FIRST_UNCHECKED, {"run_id": store.run_id}).fetchone()
    # The latest first: all that is passed over is to be checked.
    attempt = store.connection.execute(
        "SELECT attempt_id FROM attempts WHERE :run_id IS NULL OR run_id < :run_id ORDER BY attempt_id DESC LIMIT 1",
        {"run_id": run_id},
    ).fetchone()
    receipt = store.connection.execute(
        "SELECT receipt_id FROM receipts WHERE :since IS NULL OR settled_utc < :since ORDER BY receipt_id DESC LIMIT 1",
        {"since": started_utc},
    ).fetchone()
    return RunStart(
        attempt_id=attempt[0] if attempt else 0,
        receipt_id=receipt[0] if receipt else 0,
    )


def run_extent(store: LedgerStore, start: RunStart) -> RunExtent:
    """Return what was recorded since a run began."""
    attempt_count, began_utc = store.connection.execute(
        "SELECT count(*), min(intent_utc) FROM attempts WHERE attempt_id > ? AND outcome <> 'not_sent'",
        (start.attempt_id,),
    ).fetchone()
    receipt_count, last_receipt_id = store.connection.execute(
        "SELECT count(*), coalesce(max(r.receipt_id), 0) FROM receipts r JOIN entries e USING (entry_id)"
        " WHERE r.receipt_id > ? AND r.attempt_id > ? AND e.state = 'accepted' AND e.receipt_id = r.receipt_id",
        (start.receipt_id, start.attempt_id),
    ).fetchone()
    in_doubt = store.connection.execute(
        "SELECT DISTINCT a.sent_name, a.size FROM entries e JOIN attempts a ON a.entry_id = e.entry_id"
        " WHERE e.state = 'in_doubt' AND a.attempt_id > ? LIMIT ?",
        (start.attempt_id, _IN_DOUBT_MAX),
    )
    return RunExtent(
        attempt_count=attempt_count,
        receipt_count=receipt_count,
        last_receipt_id=last_receipt_id,
        began_utc_s=utc_seconds(began_utc),
        in_doubt=tuple((str(name), int(size)) for name, size in in_doubt),
    )


def receipts_by_id(store: LedgerStore, start: RunStart, file_ids: Iterable[str]) -> list[HeldReceipt]:
    """Return the receipts of a run that are for these ids of the server."""
    found = []
    # One look-up an id: a list of all of them could be longer than a statement may be.
    for file_id in file_ids:
        row = store.connection.execute(
            f"{_OF_RUN} AND r.file_id = ?", (start.receipt_id, start.attempt_id, file_id)
        ).fetchone()
        if row is not None:
            found.append(held_receipt(row))
    return found


def receipts_of_run(
    store: LedgerStore, start: RunStart, *, after_id: int, count_max: int
) -> list[tuple[HeldReceipt, float]]:
    """Return a page of the receipts of a run, by their numbers from `after_id` on, each with when it was sent."""
    rows = store.connection.execute(
        f"{_SENT_AT} AND r.receipt_id > ? ORDER BY r.receipt_id LIMIT ?",
        (start.receipt_id, start.attempt_id, after_id, count_max),
    )
    return [(held_receipt(row[:-1]), utc_seconds(row[-1]) or 0.0) for row in rows]


def receipt_by_answer(store: LedgerStore, *, file_id: str) -> HeldReceipt | None:
    """Return the receipt of an accepted entry for an id, None where there is none that rests on an answer alone.

    Not one that was in question, and that a list or a person decided about.
    """
    row = store.connection.execute(
        f"{HELD.format(ledger='main')} JOIN attempts a ON a.attempt_id = r.attempt_id WHERE r.file_id = ?"
        " AND e.receipt_id = r.receipt_id AND e.state = 'accepted' AND a.outcome = 'accepted'"
        f" AND r.obtained = ? AND {LIVE.format(ledger='main')}",
        (file_id, ReceiptOrigin.ANSWERED.value),
    ).fetchone()
    return None if row is None else held_receipt(row)
