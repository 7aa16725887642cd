"""A manifest in a database beside its ledger, so that a plan of a million entries works in pages.

The entries live in a private temporary database that SQLite spills to disk and deletes on close; the ledger is
attached read-only.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.run.plan import UNCHANGED, KnownEntry, Step
from bulk_upload.core.run.planned import PlannedEntry, StepTotal
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import grouped_writes
from bulk_upload.edge.ledger.columns import (
    FINGERPRINT,
    FINGERPRINT_SQL,
    content_hash_of,
    fingerprint_of,
    from_exact_text,
    from_fingerprint,
    to_exact_text,
    to_fingerprint,
    to_integer,
    to_path,
)
from bulk_upload.edge.ledger.file.lock import run_is_at_work
from bulk_upload.edge.ledger.file.opening import reading_uri
from bulk_upload.edge.ledger.file.schema import CREATE
from bulk_upload.edge.ledger.file.unusable import shortage_behind
from bulk_upload.edge.ledger.reading import orphans
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.planned import PlanRow

PAGE_ENTRIES = 512

CACHE_KIB = 8 * 1024
"""Of the temporary database, and as much of the ledger. What does not fit, the operating system caches: four times as
much was no faster with a million entries, new or settled."""

# Nearly all entries of a job that is run again are unchanged: their rows only identify them, the rest is
# in the ledger. Of the others, texts are kept exactly, as `from_exact_text` has them: an entry that is read back must
# have the key it had. `rest` holds what few entries have; `sent_name` is set only where it matters who shares it.
_CREATE = """
CREATE TABLE staged (
    seq                 INTEGER PRIMARY KEY,
    line_no             INTEGER NOT NULL,
    entry_id            INTEGER,
    key                 BLOB,
    path                BLOB,
    purpose             BLOB,
    rest                TEXT,
    sent_name           TEXT,
    size                INTEGER,
    mtime_ns            INTEGER,
    inode               INTEGER,
    ctime_ns            INTEGER,
    etag                TEXT,
    version             TEXT,
    step                TEXT NOT NULL,
    note                TEXT NOT NULL
);
CREATE UNIQUE INDEX staged_entry_id ON staged (entry_id) WHERE entry_id IS NOT NULL;
CREATE UNIQUE INDEX staged_key ON staged (key) WHERE entry_id IS NULL;
CREATE TABLE change_times (
    entry_id            INTEGER PRIMARY KEY,
    ctime_ns            INTEGER NOT NULL
);
"""
_STAGED = (
    f"staged (seq, line_no, entry_id, key, path, purpose, rest, sent_name, {FINGERPRINT_SQL}, step, note)"
)
_INSERT_UNCHANGED = f"""
INSERT INTO staged (seq, line_no, entry_id, size, step, note)
VALUES (?, ?, ?, ?, '{UNCHANGED.step.value}', '{UNCHANGED.reason}') ON CONFLICT DO NOTHING
"""
# By row id where known: rows of a ledger are in the order of its manifest, keys are scattered.
_ENTRY = """
LEFT JOIN ledger.entries e
ON e.entry_id = coalesce(s.entry_id, (SELECT k.entry_id FROM ledger.entries k WHERE k.key = s.key))
"""
_KNOWN_COLUMNS = f"""
e.entry_id, {orphans.STATE}, {orphans.FINGERPRINT_SQL}, {orphans.REASON_TEXT}, {content_hash_of("r")}
"""
_SELECT = f"""
SELECT s.seq, s.line_no, s.path, s.purpose, s.rest, {fingerprint_of("s")}, s.step, s.note,
       {_KNOWN_COLUMNS}, e.path, e.purpose, e.remote_name, e.vector_database_id, e.fields
FROM staged s {_ENTRY} {{attempts}} LEFT JOIN ledger.receipts r ON r.receipt_id = e.receipt_id
"""
_KNOWN = f"""
SELECT {_KNOWN_COLUMNS} FROM ledger.entries e {{attempts}} LEFT JOIN ledger.receipts r ON r.receipt_id = e.receipt_id
"""
_RECALL = f"""
SELECT e.key, e.entry_id, {orphans.STATE}, {orphans.FINGERPRINT_SQL}, r.sent_name, r.missing_utc IS NOT NULL
FROM ledger.entries e {{attempts}} LEFT JOIN ledger.receipts r ON r.receipt_id = e.receipt_id
"""


_STEPS: dict[object, Step] = {one.value: one for one in Step}
_STATES: dict[object, EntryState] = {one.value: one for one in EntryState}
_NO_REST = (None, None, ())
_GATED = (Step.SEND, Step.COMPARE)
"""Steps that entries with equal name, size and purpose take one at a time."""


class Recalled(NamedTuple):
    """What the ledger last recorded of an entry, as columns: most entries only need a comparison.

    `sent_name` is the name that the file of its receipt was sent under, `is_missing` says that `verify` found it gone.
    """

    entry_id: int
    state: str
    size: object
    mtime_ns: object
    inode: object
    ctime_ns: object
    etag: str | None
    version: str | None
    sent_name: str | None
    is_missing: int = 0

    def is_accepted(self, fingerprint: Fingerprint) -> bool:
        """Whether the entry is accepted, and the file it was accepted for is the one that is there."""
        if fingerprint.etag is not None or fingerprint.version is not None or self.etag or self.version:
            # An object, which may have another time and still be the same.
            return self.state == "accepted" and fingerprint.same_version(to_fingerprint(self[2:8]))
        columns = ("accepted", fingerprint.size, fingerprint.mtime_ns, fingerprint.inode)
        same_change = self.ctime_ns in (None, fingerprint.ctime_ns) or fingerprint.ctime_ns is None
        return self[1:5] == columns and same_change


class Staging:
    """The entries of one manifest. Everything blocks; use it from one thread at a time.

    Raises LedgerUnusable when the ledger cannot be read, or when there is no room for the temporary database.
    """

    def __init__(self, ledger_path: str | None) -> None:
        self._ledger_path: str | None = None
        self._abandoned = False
        self._seq = 0
        with self._complaining():
            self._connection = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
            self._connection.executescript(
                f"PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -{CACHE_KIB};{_CREATE}"
            )
        self.attach(ledger_path)

    def attach(self, ledger_path: str | None) -> None:
        """Compare with this ledger from now on; None means one without entries."""
        if any(row[1] == "ledger" for row in self.rows("PRAGMA database_list")):
            self.rows("DETACH ledger")
        self._ledger_path = ledger_path
        run_at_work = ledger_path is not None and run_is_at_work(ledger_path)
        self._attempts = orphans.open_attempts("ledger", run_at_work=run_at_work)
        self._select, self._known, self._recall = (
            sql.format(attempts=self._attempts) for sql in (_SELECT, _KNOWN, _RECALL)
        )
        if ledger_path is None:
            self.rows("ATTACH ':memory:' AS ledger")
            for statement in CREATE.replace("CREATE TABLE ", "CREATE TABLE ledger.").split(";"):
                # An index is looked for in the main database unless it is named with its own; empty tables need none.
                if "INDEX" not in statement:
                    self.rows(statement)
            return
        self.rows("ATTACH ? AS ledger", (reading_uri(ledger_path),))
        self.rows(f"PRAGMA ledger.cache_size = -{CACHE_KIB}")

    def recall(self, keys: Sequence[bytes]) -> dict[bytes, Recalled]:
        """Return what the ledger last recorded of the entries it knows among many, by key."""
        if self._ledger_path is None:
            return {}
        marks = ",".join("?" * len(keys))
        rows = self.rows(f"{self._recall} WHERE e.key IN ({marks})", keys)
        return {row[0]: Recalled._make(row[1:]) for row in rows}

    def known(self, key: bytes) -> KnownEntry | None:
        """Return all that the ledger knows of one entry."""
        rows = self.rows(f"{self._known} WHERE e.key = ?", (key,))
        return _known_entry(rows[0]) if rows else None

    def rules_of_result(self, entry_id: int) -> str | None:
        """Return by which rules an entry's file was last validated, None where the ledger has no result."""
        rows = self.rows("SELECT rules FROM ledger.validations WHERE entry_id = ?", (entry_id,))
        return str(rows[0][0]) if rows else None

    def add(self, planned: Sequence[PlanRow]) -> dict[int, int]:
        """Add entries in one transaction; return, for each line that repeats an earlier entry, that entry's line."""
        rows: list[tuple[object, ...]] = []
        unchanged: list[tuple[object, ...]] = []
        change_times: list[tuple[object, ...]] = []
        for seq, one in enumerate(planned, start=self._seq + 1):
            if one.decided is UNCHANGED and one.entry_id is not None and one.fingerprint is not None:
                unchanged.append((seq, one.entry.line_no, one.entry_id, one.fingerprint.size))
            else:
                rows.append(_row(seq, one))
            if one.has_new_change_time and one.fingerprint is not None:
                change_times.append((one.entry_id, from_fingerprint(one.fingerprint)[3]))
        self._seq += len(planned)
        with self._complaining():
            self._connection.execute("BEGIN")
            added_count = self._connection.executemany(_INSERT_UNCHANGED, unchanged).rowcount
            added_count += grouped_writes.insert(
                self._connection, _STAGED, rows, on_conflict="ON CONFLICT DO NOTHING"
            )
            self._connection.executemany("INSERT OR IGNORE INTO change_times VALUES (?, ?)", change_times)
            self._connection.execute("COMMIT")
        return {} if added_count == len(planned) else self._earlier_lines(planned)

    def _earlier_lines(self, planned: Sequence[PlanRow]) -> dict[int, int]:
        earlier = {}
        for one in planned:
            ((line_no,),) = self.rows(
                "SELECT line_no FROM staged WHERE entry_id = :entry_id UNION ALL"
                " SELECT line_no FROM staged WHERE key = :key AND entry_id IS NULL AND :entry_id IS NULL",
                {"entry_id": one.entry_id, "key": one.key},
            )
            if line_no != one.entry.line_no:
                earlier[one.entry.line_no] = int(line_no)
        return earlier

    def pages(
        self, steps: Collection[Step] | None = None, *, after_seq: int = 0, only_known: bool = False
    ) -> Iterator[list[PlannedEntry]]:
        """Yield entries in manifest order, a page at a time: all, or those planned for one of `steps`.

        `only_known` leaves out those that the ledger does not have now.
        """
        if only_known and not self.rows("SELECT 1 FROM ledger.entries LIMIT 1"):
            # A new ledger: every entry would be looked for in vain.
            return
        wanted = "" if steps is None else f"AND s.step IN ({','.join('?' * len(steps))})"
        wanted += " AND e.entry_id IS NOT NULL" if only_known else ""
        values = () if steps is None else tuple(step.value for step in steps)
        while True:
            rows = self.rows(
                f"{self._select} WHERE s.seq > ? {wanted} ORDER BY s.seq LIMIT {PAGE_ENTRIES}",
                (after_seq, *values),
            )
            if not rows:
                return
            yield [_staged(row) for row in rows]
            after_seq = rows[-1][0]

    def find_by_entry_id(self, entry_id: int) -> PlannedEntry | None:
        """Return the manifest's entry for a ledger row, None where the manifest no longer has it."""
        rows = self.rows(
            f"{self._select} WHERE s.entry_id = :entry_id OR"
            " (s.entry_id IS NULL AND s.key = (SELECT key FROM ledger.entries WHERE entry_id = :entry_id))",
            {"entry_id": entry_id},
        )
        return _staged(rows[0]) if rows else None

    def totals(self) -> dict[Step, StepTotal]:
        """Return how many entries and bytes each step has."""
        rows = self.rows("SELECT step, count(*), coalesce(sum(size), 0) FROM staged GROUP BY step")
        return {Step(step): StepTotal(entry_count=count, file_bytes=size) for step, count, size in rows}

    def twin_count(self) -> int:
        """Return how many entries share sent name, size and purpose with another and so go one at a time."""
        ((count,),) = self.rows(
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM staged WHERE sent_name IS NOT NULL"
            " GROUP BY sent_name, size, purpose HAVING n > 1)"
        )
        return int(count)

    def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""
        rows = self.rows(
            f"SELECT coalesce({orphans.STATE}, 'pending'), count(*)"
            f" FROM staged s {_ENTRY} {self._attempts} GROUP BY 1"
        )
        return {EntryState(state): count for state, count in rows}

    def abandon(self) -> None:
        """Have every call from now on fail, on whatever thread: nobody wants the plan any more."""
        self._abandoned = True

    def close(self) -> None:
        """Close and delete the temporary database. No other thread may use it: SQLite would crash."""
        self._connection.close()

    def rows(self, sql: str, values: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
        """Return the result of a statement about the tables `staged` and `change_times`, and those of `ledger`."""
        with self._complaining():
            return self._connection.execute(sql, values).fetchall()

    def insert(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        """Insert rows in one transaction; return how many were new."""
        with self._complaining():
            self._connection.execute("BEGIN")
            added_count = self._connection.executemany(sql, rows).rowcount
            self._connection.execute("COMMIT")
        return max(0, added_count)

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        if self._abandoned:
            raise LedgerUnusable("the plan was given up")
        try:
            yield
        except sqlite3.Error as error:
            ledger = (
                "no ledger" if self._ledger_path is None else f"the ledger {printable(self._ledger_path)}"
            )
            raise LedgerUnusable(
                f"cannot compare the manifest with {ledger}: {error}",
                hint="if a disk is full, free space on it, or set TMPDIR to another for temporary files"
                if (shortage := shortage_behind(error)) is None
                else shortage.hint,
            ) from None


def _row(seq: int, one: PlanRow) -> tuple[object, ...]:
    entry, step = one.entry, one.decided.step
    rest = (entry.remote_name, entry.vector_database_id, entry.fields)
    return (
        seq,
        entry.line_no,
        one.entry_id,
        one.key,
        from_exact_text(entry.path),
        from_exact_text(entry.purpose),
        None if rest == _NO_REST else json.dumps(rest),
        sent_name(entry.path, entry.remote_name) if step in _GATED else None,
        *((None,) * len(FINGERPRINT) if one.fingerprint is None else from_fingerprint(one.fingerprint)),
        # An enum's member would take sqlite3 several times as long as its text.
        step.value,
        one.decided.reason,
    )


def _staged(row: tuple[object, ...]) -> PlannedEntry:
    seq, line_no, path = row[:3]
    step, note = row[11:13]
    known = _known_entry(row[13:23])
    if path is None and known is not None:
        entry, fingerprint = _entry_in_ledger(row[23:], to_integer(line_no)), known.fingerprint
    else:
        entry, fingerprint = _entry(row[2:5], to_integer(line_no)), to_fingerprint(row[5:11])
    return PlannedEntry(
        seq=to_integer(seq),
        entry=entry,
        sent_name=sent_name(entry.path, entry.remote_name),
        fingerprint=fingerprint,
        known=known,
        step=_STEPS[step],
        note=str(note),
    )


def _entry(row: tuple[object, ...], line_no: int) -> Entry:
    path, purpose, rest = row
    remote_name, database, fields = _NO_REST if rest is None else json.loads(str(rest))
    return Entry(
        path=to_exact_text(path),
        purpose=to_exact_text(purpose),
        remote_name=remote_name,
        vector_database_id=database,
        fields=tuple([(key, value) for key, value in fields]) if fields else (),
        line_no=line_no,
    )


def _known_entry(row: tuple[object, ...]) -> KnownEntry | None:
    entry_id, state = row[:2]
    reason, content_hash = row[8:]
    if entry_id is None:
        return None
    return KnownEntry(
        entry_id=to_integer(entry_id),
        state=_STATES[state],
        fingerprint=to_fingerprint(row[2:8]),
        content_hash=None if content_hash is None else str(content_hash),
        reason=None if reason is None else str(reason),
    )


def _entry_in_ledger(row: tuple[object, ...], line_no: int) -> Entry:
    """Return an unchanged entry as the ledger has it. Its file exists and was sent, so all its text is valid."""
    path, purpose, remote_name, database, fields = row
    return Entry(
        path=to_path(path),
        purpose=str(purpose),
        remote_name=None if remote_name is None else to_path(remote_name),
        vector_database_id=None if database is None else str(database),
        fields=tuple(json.loads(str(fields)).items()),
        line_no=line_no,
    )
