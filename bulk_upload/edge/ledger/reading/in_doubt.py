"""The entries in doubt of a ledger, with what a person needs to decide about them."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.core.run.resolve import OpenDoubt
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger.reading import orphans
from bulk_upload.edge.ledger.reading.orphans import ALIVE_EVERY_S

if TYPE_CHECKING:
    import sqlite3

_ATTEMPTS = f"""
SELECT e.entry_id, a.attempt_id, e.path, e.purpose, a.sent_name, a.size, a.intent_utc,
       CASE WHEN a.outcome IS NULL THEN '{orphans.REASON}' ELSE coalesce(e.reason, a.reason, '') END, a.candidate_id
FROM attempts a JOIN entries e USING (entry_id)
WHERE (a.outcome = 'in_doubt' AND a.resolution IS NULL) {{or_open}}
ORDER BY a.attempt_id
"""
_DELETIONS = """
SELECT e.entry_id, NULL, e.path, e.purpose, r.sent_name, r.bytes, r.settled_utc, coalesce(e.reason, ''), d.file_id
FROM deletions d JOIN entries e USING (entry_id) JOIN receipts r ON r.receipt_id = d.receipt_id
WHERE d.outcome IS NULL AND e.state = 'in_doubt' AND e.receipt_id = d.receipt_id
ORDER BY d.deletion_id
"""
_IN_DOUBT = f"""
SELECT a.entry_id, a.attempt_id, a.sent_name, a.size, e.purpose, coalesce(a.began_utc, a.intent_utc), a.ended_utc,
       a.answered, a.candidate_id, a.clock_offset_s, a.run_id,
       EXISTS (SELECT 1 FROM receipts r WHERE r.file_id = a.candidate_id AND r.attempt_id = a.attempt_id
           AND r.withdrawn_utc IS NOT NULL),
       CASE WHEN a.reason = '{orphans.REASON}' AND a.agent IS NOT NULL THEN runs.agents_ttl_s ELSE 0 END
FROM attempts a JOIN entries e USING (entry_id) JOIN runs USING (run_id)
WHERE a.outcome = 'in_doubt' AND a.resolution IS NULL ORDER BY a.attempt_id
"""
_RUN = """
SELECT r.ended_utc IS NOT NULL, EXISTS (SELECT 1 FROM clock_steps s WHERE s.run_id = r.run_id) FROM runs r WHERE r.run_id = ?
"""
_OFFSET_OF_RUN = "SELECT min(clock_offset_s) FROM attempts WHERE run_id = ?"


def attempts_in_doubt(
    connection: sqlite3.Connection, *, settle_answered_s: float, settle_lost_s: float
) -> list[Doubt]:
    """Return every attempt that is in doubt, oldest first. All of them are of earlier runs.

    An attempt without a clock offset takes the one that its run measured later, unless our clock was set during the run.
    """

    @cache
    def run(run_id: int) -> tuple[bool, bool]:
        ended, was_set = connection.execute(_RUN, (run_id,)).fetchone()
        return bool(ended), bool(was_set)

    @cache
    def offset_of_run(run_id: int) -> float | None:
        # A run that died may have died before it recorded that the clock was set.
        if run(run_id) != (True, False):
            return None
        (offset_s,) = connection.execute(_OFFSET_OF_RUN, (run_id,)).fetchone()
        return None if offset_s is None else float(offset_s)

    doubts = []
    for row in connection.execute(_IN_DOUBT).fetchall():
        offset_s, run_id, candidate_withdrawn, agents_ttl_s = row[9:]
        settle_s = settle_answered_s if row[7] else settle_lost_s
        ended_utc_s = utc_seconds(row[6]) or 0.0
        # The agents of a run that died went on for a while: the attempt's end has that time in it, and it is waited even
        # where nothing shows how much of it has passed.
        going_on_s = agents_ttl_s + ALIVE_EVERY_S if agents_ttl_s else 0.0
        doubts.append(
            Doubt(
                entry_id=row[0],
                attempt_id=row[1],
                sent_name=row[2],
                file_bytes=row[3],
                purpose=row[4],
                sent_at_utc_s=utc_seconds(row[5]) or 0.0,
                settles_at_utc_s=ended_utc_s + settle_s,
                candidate_id=row[8],
                candidate_withdrawn=bool(candidate_withdrawn),
                clock_offset_s=offset_of_run(run_id) if offset_s is None else offset_s,
                settle_s=settle_s + going_on_s,
                clock_was_set=run(run_id)[1],
            )
        )
    return doubts


def open_doubts(connection: sqlite3.Connection, *, run_at_work: bool) -> list[OpenDoubt]:
    """Return the entries in doubt, oldest upload first, including those a dead run left open."""
    attempts = _ATTEMPTS.format(or_open="" if run_at_work else "OR a.outcome IS NULL")
    return [
        OpenDoubt(
            entry_id=row[0],
            attempt_id=row[1],
            path=os.fsdecode(row[2]),
            purpose=row[3],
            sent_name=row[4],
            file_bytes=row[5],
            sent_utc=row[6],
            reason=row[7],
            candidate_id=row[8],
        )
        for sql in (attempts, _DELETIONS)
        for row in connection.execute(sql)
    ]
