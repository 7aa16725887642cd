"""The ledger's steps as SQL. Every method runs inside the caller's transaction, on the caller's thread."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.model import Accepted, EntryState, InDoubt, ListedFile, ReceiptOrigin, SourceFailed
from bulk_upload.core.run.records import OUTCOME_NAMES, reason_in, state_after, status_in
from bulk_upload.core.text.timestamps import utc_seconds, utc_text
from bulk_upload.edge.ledger import grouped_writes, owned_ids
from bulk_upload.edge.ledger.columns import (
    FINGERPRINT_SQL,
    fingerprint_of,
    from_change_time,
    from_content_hash,
    from_version,
    optional_text,
    to_fingerprint,
)
from bulk_upload.edge.ledger.decisions import note_decision
from bulk_upload.edge.ledger.reading import orphans
from bulk_upload.edge.ledger.reading.in_doubt import attempts_in_doubt
from bulk_upload.edge.ledger.reading.new_entries import entry_row
from bulk_upload.edge.ledger.reading.orphans import ALIVE_EVERY_S
from bulk_upload.edge.ledger.recovery.places import record_place

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from bulk_upload.core.model import Entry, Fingerprint, Outcome
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.records import AttemptEnd, Intent
    from bulk_upload.edge.ledger.reading.new_entries import EntryRow
    from bulk_upload.edge.ledger.recovery.places import Place

BY_RECONCILIATION = "reconciliation"
"""Who decided, when it was the run: by the server's list, and by its `--in-doubt` policy."""

_ALIVE_APART_S = 1.0
"""Records this close to the last heartbeat do not renew it."""


class LedgerStore:
    """One open ledger. Not safe for several threads at once.

    A step that finds no row to change raises LookupError: it contradicts the ledger.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.run_id: int | None = None
        """The run that writes; None until it is begun."""

        self.own_after_id: int | None = None
        """Receipts with a higher number are of this run; None until it is begun."""

        self._alive_utc_s = float("-inf")
        self._last_attempt_id: int | None = None

    def begin_run(self, *, version: str, utc_s: float, place: Place | None = None) -> None:
        """Record a new run and where its ledger lies, and mark what a dead one left open as in doubt."""
        ended_utc, agents_ended_utc = self._dead_ends(utc_s)
        self.connection.execute(
            "UPDATE entries SET state = 'in_doubt', attempt_count = attempt_count + 1, http_status = NULL,"
            f" settled_utc = NULL, reason = '{orphans.REASON}',"
            f" ({FINGERPRINT_SQL}) = (SELECT {fingerprint_of('a')} FROM attempts a"
            " WHERE a.entry_id = entries.entry_id AND a.outcome IS NULL)"
            " WHERE entry_id IN (SELECT entry_id FROM attempts WHERE outcome IS NULL)"
        )
        self.connection.execute(
            "UPDATE attempts SET outcome = 'in_doubt', answered = 0,"
            " ended_utc = CASE WHEN agent IS NULL THEN ? ELSE ? END,"
            f" reason = '{orphans.REASON}' WHERE outcome IS NULL",
            (ended_utc, agents_ended_utc),
        )
        cursor = self.connection.execute(
            "INSERT INTO runs (version, pid, started_utc) VALUES (?, ?, ?)",
            (version, os.getpid(), utc_text(utc_s)),
        )
        self.run_id = cursor.lastrowid
        if place is not None:
            record_place(self.connection, self.run_id, place)
        (self.own_after_id,) = self.connection.execute(
            "SELECT coalesce(max(receipt_id), 0) FROM receipts"
        ).fetchone()
        self.stay_alive(utc_s=utc_s)

    def end_run(self, *, exit_status: int, utc_s: float) -> None:
        """Record how the run ended."""
        self.connection.execute(
            "UPDATE runs SET ended_utc = ?, exit_status = ? WHERE run_id = ?",
            (utc_text(utc_s), exit_status, self.run_id),
        )
        self.stay_alive(utc_s=utc_s)

    def stay_alive(self, *, utc_s: float) -> None:
        """Record that the run is alive now."""
        self._alive_utc_s = utc_s
        self.connection.execute("UPDATE job SET last_alive_utc = ?", (utc_text(utc_s),))

    def register(self, entries: Sequence[Entry], *, utc_s: float) -> None:
        """Make new entries known as pending; known ones stay as they are."""
        self.register_rows([entry_row(entry) for entry in entries], utc_s=utc_s)

    def register_rows(self, rows: Sequence[EntryRow], *, utc_s: float) -> None:
        """Make new entries known as pending, by their rows; known ones stay as they are."""
        now = utc_text(utc_s)
        grouped_writes.insert(
            self.connection,
            "entries (key, path, purpose, remote_name, vector_database_id, fields, state, first_seen_utc)",
            [(*row, "pending", now) for row in rows],
            on_conflict="ON CONFLICT (key) DO NOTHING",
        )

    def intend(self, intents: Sequence[Intent], *, as_bundle: bool = False) -> list[int]:
        """Record attempts that are about to be made and return their ids, in order.

        Those of one request (`as_bundle`) are joined by the id of the first of them.
        """
        if not intents:
            return []
        self._seem_alive(intents[-1].at_utc_s)
        # Attempts are created only here, on the one connection that writes. A rollback leaves a gap.
        if self._last_attempt_id is None:
            self._last_attempt_id = grouped_writes.last_attempt_id(self.connection)
        first_id = 1 + self._last_attempt_id
        self._last_attempt_id += len(intents)
        return grouped_writes.intend(
            self.connection,
            intents,
            self.run_id,
            first_id,
            bundle_id=first_id if as_bundle else None,
        )

    def mark_not_sent(self, attempt_ids: Sequence[int], *, reason: str, utc_s: float) -> None:
        """Record that intended attempts were never begun."""
        cursor = self.connection.executemany(
            "UPDATE attempts SET outcome = 'not_sent', ended_utc = ?, reason = ?"
            " WHERE attempt_id = ? AND outcome IS NULL",
            [(utc_text(utc_s), optional_text(reason), attempt_id) for attempt_id in attempt_ids],
        )
        if attempt_ids:
            _require_changed(cursor, len(attempt_ids))

    def conclude_all(self, overs: Sequence[AttemptEnd], *, reopen: Collection[int] = ()) -> list[Outcome]:
        """Record how attempts ended, as `conclude` does one after another; `reopen` goes with the first."""
        if reopen:
            return [self.conclude(one, reopen=reopen if one is overs[0] else ()) for one in overs]
        concluded: list[Outcome] = []
        for group in grouped_writes.groups(overs):
            together = None
            if grouped_writes.CAN_CONCLUDE and grouped_writes.is_usual(group):
                for over in group:
                    self._seem_alive(over.at_utc_s)
                together = grouped_writes.conclude(self.connection, group)
            concluded += map(self.conclude, group) if together is None else together
        return concluded

    def conclude(self, over: AttemptEnd, *, reopen: Collection[int] = ()) -> Outcome:
        """Record how an attempt ended and return the outcome as recorded: an id that is taken makes it doubtful.

        `reopen` names entries that were rejected before it was clear that the run was at fault: pending again.
        """
        outcome = owned_ids.unless_claimed(self.connection, over)
        self._seem_alive(over.at_utc_s)
        self._close_attempt(over, outcome)
        for entry_id in reopen:
            self.settle(entry_id, EntryState.PENDING, reason=reason_in(outcome), utc_s=over.at_utc_s)
        state = state_after(outcome)
        receipt_id = None
        if isinstance(outcome, Accepted):
            receipt_id = self._file_receipt(
                entry_id=over.entry_id,
                attempt_id=over.attempt_id,
                file=ListedFile(file_id=outcome.file_id, created_at=outcome.created_at),
                obtained=ReceiptOrigin.ANSWERED,
                size_confirmed=outcome.size_confirmed,
                utc_s=over.at_utc_s,
            )
        settled = utc_text(over.at_utc_s) if state.settled else None
        cursor = self.connection.execute(
            "UPDATE entries SET state = ?, attempt_count = attempt_count + 1, http_status = ?, reason = ?,"
            f" settled_utc = ?, receipt_id = coalesce(?, receipt_id), ({FINGERPRINT_SQL}) ="
            f" (SELECT {FINGERPRINT_SQL} FROM attempts WHERE attempt_id = ? AND ?) WHERE entry_id = ?",
            (
                state.value,
                status_in(outcome),
                optional_text(reason_in(outcome)),
                settled,
                receipt_id,
                over.attempt_id,
                not (isinstance(outcome, SourceFailed) and outcome.inaccessible),
                over.entry_id,
            ),
        )
        _require_changed(cursor)
        return outcome

    def settle(self, entry_id: int, state: EntryState, *, reason: str | None, utc_s: float) -> None:
        """Record a state that was not reached by an attempt of this run."""
        cursor = self.connection.execute(
            "UPDATE entries SET state = ?, reason = ?, settled_utc = ? WHERE entry_id = ?",
            (state.value, optional_text(reason), utc_text(utc_s) if state.settled else None, entry_id),
        )
        _require_changed(cursor)

    def explain(self, entry_id: int, reason: str) -> None:
        """Record why an entry keeps its state."""
        _require_changed(
            self.connection.execute(
                "UPDATE entries SET reason = ? WHERE entry_id = ?", (optional_text(reason), entry_id)
            )
        )

    def adopt(
        self,
        doubt: Doubt,
        file: ListedFile,
        *,
        content_hash: str | None,
        utc_s: float,
        obtained: ReceiptOrigin = ReceiptOrigin.RECONCILED,
        decided_by: str = BY_RECONCILIATION,
        detail: str | None = None,
    ) -> bool:
        """Make a file, compared as `detail` says, the doubtful attempt's; False when another entry owns it by now."""
        if owned_ids.is_taken(self.connection, doubt, file_id=file.file_id):
            return False
        if content_hash is not None:
            self.connection.execute(
                "UPDATE attempts SET sha256 = ?, blake3 = ? WHERE attempt_id = ? AND sha256 IS NULL AND blake3 IS NULL",
                (*from_content_hash(content_hash), doubt.attempt_id),
            )
        owned_ids.retire_deleted(self.connection, file_id=file.file_id, utc_s=utc_s)
        owned_ids.take_back(self.connection, doubt, file_id=file.file_id, utc_s=utc_s)
        owned_ids.take_over(self.connection, doubt, file_id=file.file_id, utc_s=utc_s)
        receipt_id = owned_ids.settle_in_question(self.connection, doubt, file_id=file.file_id, utc_s=utc_s)
        receipt_id = receipt_id or self._file_receipt(
            entry_id=doubt.entry_id,
            attempt_id=doubt.attempt_id,
            file=file,
            obtained=obtained,
            size_confirmed=file.bytes == doubt.file_bytes,
            utc_s=utc_s,
        )
        self.connection.execute(
            f"UPDATE entries SET (state, http_status, reason, settled_utc, receipt_id, {FINGERPRINT_SQL}) ="
            f" (SELECT 'accepted', NULL, NULL, ?, ?, {FINGERPRINT_SQL} FROM attempts WHERE attempt_id = ?)"
            " WHERE entry_id = ?",
            (utc_text(utc_s), receipt_id, doubt.attempt_id, doubt.entry_id),
        )
        self._resolve(doubt, f"adopted {file.file_id}", utc_s, decided_by, detail)
        return True

    def release(
        self,
        doubt: Doubt,
        resolution: str,
        *,
        utc_s: float,
        state: EntryState = EntryState.PENDING,
        decided_by: str = BY_RECONCILIATION,
    ) -> None:
        """Record that a doubtful attempt left nothing, or that a person decided so; the entry is then in `state`."""
        self._resolve(doubt, resolution, utc_s, decided_by)
        owned_ids.drop_in_question(self.connection, doubt, reason=resolution, utc_s=utc_s)
        self.settle(doubt.entry_id, state, reason=resolution, utc_s=utc_s)

    def claimed(self, file_ids: Collection[str]) -> set[str]:
        """Return those of `file_ids` that some receipt, also a superseded one, already owns."""
        return set(owned_ids.claims(self.connection, file_ids))

    def doubts(self, *, settle_answered_s: float, settle_lost_s: float) -> list[Doubt]:
        """Return every attempt that is still in doubt, oldest first. All of them are of earlier runs."""
        return attempts_in_doubt(
            self.connection, settle_answered_s=settle_answered_s, settle_lost_s=settle_lost_s
        )

    def attempt_fingerprint(self, attempt_id: int) -> Fingerprint:
        """Return the fingerprint of the file that an attempt sent."""
        columns = self.connection.execute(
            f"SELECT {FINGERPRINT_SQL} FROM attempts WHERE attempt_id = ?", (attempt_id,)
        ).fetchone()
        fingerprint = None if columns is None else to_fingerprint(columns)
        if fingerprint is None:
            raise LookupError(f"no attempt {attempt_id}")
        return fingerprint

    def _seem_alive(self, utc_s: float) -> None:
        """Count a record as a heartbeat: a busy event loop may be late with `stay_alive`."""
        # Not after a clock that was set back: that would make a crash look older than it is.
        if utc_s - self._alive_utc_s >= _ALIVE_APART_S:
            self.stay_alive(utc_s=utc_s)

    def _dead_ends(self, utc_s: float) -> tuple[str, str]:
        """Return by when the requests of a dead run had ended: those that it made itself, and those of its agents."""
        (text,) = self.connection.execute("SELECT last_alive_utc FROM job").fetchone()
        last_alive_s = utc_seconds(text)
        if last_alive_s is None:
            return utc_text(utc_s), utc_text(utc_s)
        (ttl_s,) = self.connection.execute(
            "SELECT coalesce(max(agents_ttl_s), 0) FROM runs"
            " WHERE run_id IN (SELECT run_id FROM attempts WHERE outcome IS NULL)"
        ).fetchone()
        latest_s = last_alive_s + ALIVE_EVERY_S
        # By the clock of the dead run: a time before its last sign of life is of a clock that was set back since.
        own_s = utc_s if last_alive_s <= utc_s < latest_s else latest_s
        # A restart proves that the process is dead, and nothing about its agents.
        return utc_text(own_s), utc_text(latest_s + ttl_s)

    def _close_attempt(self, over: AttemptEnd, outcome: Outcome) -> None:
        cursor = self.connection.execute(
            "UPDATE attempts SET outcome = ?, ended_utc = ?, http_status = ?, answered = ?, reason = ?, request_id = ?,"
            " candidate_id = ?, sha256 = coalesce(?, sha256), blake3 = coalesce(?, blake3), ctime_ns = coalesce(?, ctime_ns),"
            " version = coalesce(?, version), began_utc = ?, clock_offset_s = ?, agent = ?"
            " WHERE attempt_id = ? AND entry_id = ? AND outcome IS NULL",
            (
                OUTCOME_NAMES[type(outcome)],
                utc_text(over.at_utc_s),
                status_in(outcome),
                outcome.answered if isinstance(outcome, InDoubt) else None,
                optional_text(reason_in(outcome)),
                optional_text(getattr(outcome, "request_id", None)),
                optional_text(outcome.candidate_id) if isinstance(outcome, InDoubt) else None,
                *from_content_hash(over.sent.content_hash),
                from_change_time(over.sent.fingerprint),
                from_version(over.sent.fingerprint),
                None if over.began_utc_s is None else utc_text(over.began_utc_s),
                over.clock_offset_s,
                over.agent,
                over.attempt_id,
                over.entry_id,
            ),
        )
        _require_changed(cursor)

    def _file_receipt(
        self,
        *,
        entry_id: int,
        attempt_id: int,
        file: ListedFile,
        obtained: ReceiptOrigin,
        size_confirmed: bool,
        utc_s: float,
    ) -> int:
        now = utc_text(utc_s)
        self.connection.execute(
            "UPDATE receipts SET superseded_utc = ? WHERE receipt_id ="
            " (SELECT receipt_id FROM entries WHERE entry_id = ?)",
            (now, entry_id),
        )
        cursor = self.connection.execute(
            "INSERT INTO receipts (entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, blake3, mtime_ns, inode,"
            " ctime_ns, etag, version, obtained, size_confirmed, server_created_at, settled_utc)"
            " SELECT entry_id, attempt_id, ?, sent_name, purpose, a.size, sha256, blake3, a.mtime_ns, a.inode, a.ctime_ns, a.etag,"
            " a.version, ?, ?, ?, ?"
            " FROM attempts a JOIN entries e USING (entry_id) WHERE attempt_id = ?",
            (file.file_id, obtained.value, size_confirmed, optional_text(file.created_at), now, attempt_id),
        )
        return cursor.lastrowid or 0

    def _resolve(
        self, doubt: Doubt, resolution: str, utc_s: float, decided_by: str, detail: str | None = None
    ) -> None:
        cursor = self.connection.execute(
            "UPDATE attempts SET resolution = ?"
            " WHERE attempt_id = ? AND entry_id = ? AND outcome = 'in_doubt' AND resolution IS NULL",
            (optional_text(resolution), doubt.attempt_id, doubt.entry_id),
        )
        _require_changed(cursor)
        note_decision(
            self.connection,
            self.run_id,
            doubt.entry_id,
            decision=resolution,
            detail=detail,
            decided_by=decided_by,
            utc_s=utc_s,
        )


def _require_changed(cursor: sqlite3.Cursor, row_count: int = 1) -> None:
    if cursor.rowcount != row_count:
        raise LookupError(f"{row_count} rows were to change, {cursor.rowcount} did")
