"""A manifest spread out beside its ledger, so that a plan of a million entries works in pages.

The entries live in a private temporary database that SQLite spills to disk and deletes by itself; the ledger is
attached read-only.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bulk_upload.core.display import printable
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.names import sent_name
from bulk_upload.core.plan import KnownEntry, Step
from bulk_upload.core.work import StagedEntry, StepTotal
from bulk_upload.edge.ledger import orphans
from bulk_upload.edge.ledger.columns import (
    from_exact_text,
    from_fingerprint,
    to_exact_text,
    to_fingerprint,
    to_integer,
)
from bulk_upload.edge.ledger.lock import run_is_at_work
from bulk_upload.edge.ledger.opening import reading_uri
from bulk_upload.edge.ledger.schema import CREATE
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

PAGE_ENTRIES = 512

# Texts are kept exactly, as `from_exact_text` has them: an entry that comes back must have the key it had.
_CREATE = """
CREATE TABLE staged (
    seq                 INTEGER PRIMARY KEY,
    line_no             INTEGER NOT NULL,
    key                 BLOB NOT NULL UNIQUE,
    path                BLOB NOT NULL,
    purpose             BLOB NOT NULL,
    remote_name         BLOB,
    vector_database_id  BLOB,
    fields              TEXT NOT NULL,
    sent_name           TEXT NOT NULL,
    size                INTEGER,
    mtime_ns            INTEGER,
    inode               INTEGER,
    step                TEXT,
    note                TEXT NOT NULL DEFAULT ''
);
"""
_SELECT = f"""
SELECT s.seq, s.line_no, s.path, s.purpose, s.remote_name, s.vector_database_id, s.fields, s.sent_name,
       s.size, s.mtime_ns, s.inode, s.step, s.note,
       e.entry_id, {orphans.STATE}, {orphans.SIZE}, {orphans.MTIME_NS}, {orphans.INODE}, {orphans.REASON_TEXT}, r.sha256
FROM staged s LEFT JOIN ledger.entries e ON e.key = s.key {{attempts}}
     LEFT JOIN ledger.receipts r ON r.receipt_id = e.receipt_id
"""


class Staging:
    """The entries of one manifest. Everything blocks; use it from one thread at a time.

    Raises LedgerUnusable when the ledger cannot be read, or when there is no room for the temporary database.
    """

    def __init__(self, ledger_path: str | None) -> None:
        self._ledger_path: str | None = None
        with self._complaining():
            self._connection = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
            self._connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;" + _CREATE)
        self.attach(ledger_path)

    def attach(self, ledger_path: str | None) -> None:
        """Compare with this ledger from now on; None stands for one that has no entries yet."""
        if any(row[1] == "ledger" for row in self._rows("PRAGMA database_list")):
            self._rows("DETACH ledger")
        self._ledger_path = ledger_path
        run_at_work = ledger_path is not None and run_is_at_work(ledger_path)
        self._attempts = orphans.open_attempts("ledger", run_at_work=run_at_work)
        self._select = _SELECT.format(attempts=self._attempts)
        if ledger_path is None:
            self._rows("ATTACH ':memory:' AS ledger")
            for statement in CREATE.replace("CREATE TABLE ", "CREATE TABLE ledger.").split(";"):
                if "CREATE TABLE" in statement:
                    self._rows(statement)
            return
        self._rows("ATTACH ? AS ledger", (reading_uri(ledger_path),))

    def add(self, entry: Entry) -> int | None:
        """Add an entry; return the line of the earlier one when it is there already."""
        key = entry.key
        with self._complaining():
            added = self._connection.execute(
                "INSERT INTO staged (line_no, key, path, purpose, remote_name, vector_database_id, fields, sent_name)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (
                    entry.line_no,
                    key,
                    from_exact_text(entry.path),
                    from_exact_text(entry.purpose),
                    _from_optional(entry.remote_name),
                    _from_optional(entry.vector_database_id),
                    json.dumps(entry.fields) if entry.fields else "[]",
                    sent_name(entry.path, entry.remote_name),
                ),
            ).rowcount
        if added:
            return None
        ((line_no,),) = self._rows("SELECT line_no FROM staged WHERE key = ?", (key,))
        return int(line_no)

    def begin(self) -> None:
        """Group the writes that follow; without it each one pays for a transaction of its own."""
        self._rows("BEGIN")

    def commit(self) -> None:
        """End the group that `begin` began."""
        self._rows("COMMIT")

    def pages(
        self, steps: Collection[Step] | None = None, *, after_seq: int = 0
    ) -> Iterator[list[StagedEntry]]:
        """Yield entries in manifest order, a page at a time: all, or those planned for one of `steps`."""
        wanted = "" if steps is None else f"AND s.step IN ({','.join('?' * len(steps))})"
        values = () if steps is None else tuple(step.value for step in steps)
        while True:
            rows = self._rows(
                f"{self._select} WHERE s.seq > ? {wanted} ORDER BY s.seq LIMIT {PAGE_ENTRIES}",
                (after_seq, *values),
            )
            if not rows:
                return
            yield [_staged(row) for row in rows]
            after_seq = rows[-1][0]

    def find(self, key: bytes) -> StagedEntry | None:
        """Return one entry as it stands now, with what the ledger knows of it by now."""
        rows = self._rows(f"{self._select} WHERE s.key = ?", (key,))
        return _staged(rows[0]) if rows else None

    def find_by_entry_id(self, entry_id: int) -> StagedEntry | None:
        """Return the manifest's entry for a ledger row, None where the manifest no longer has it."""
        rows = self._rows(
            f"{self._select} WHERE s.key = (SELECT key FROM ledger.entries WHERE entry_id = ?)", (entry_id,)
        )
        return _staged(rows[0]) if rows else None

    def record_plan(self, planned: Iterable[StagedEntry]) -> None:
        """Keep what was decided for each entry."""
        values = [
            (
                *((None, None, None) if one.source is None else from_fingerprint(one.source)),
                one.step,
                one.note,
                one.seq,
            )
            for one in planned
        ]
        with self._complaining():
            self._connection.executemany(
                "UPDATE staged SET size = ?, mtime_ns = ?, inode = ?, step = ?, note = ? WHERE seq = ?",
                values,
            )

    def totals(self) -> dict[Step, StepTotal]:
        """Return how many entries and bytes each step has."""
        rows = self._rows(
            "SELECT step, count(*), coalesce(sum(size), 0) FROM staged WHERE step IS NOT NULL GROUP BY step"
        )
        return {Step(step): StepTotal(entry_count=count, file_bytes=size) for step, count, size in rows}

    def twin_count(self) -> int:
        """Return how many entries share sent name, size and purpose with another and so go one at a time."""
        ((count,),) = self._rows(
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM staged WHERE step IN ('send', 'compare')"
            " GROUP BY sent_name, size, purpose HAVING n > 1)"
        )
        return int(count)

    def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""
        rows = self._rows(
            f"SELECT coalesce({orphans.STATE}, 'pending'), count(*)"
            f" FROM staged s LEFT JOIN ledger.entries e ON e.key = s.key {self._attempts} GROUP BY 1"
        )
        return {EntryState(state): count for state, count in rows}

    def close(self) -> None:
        """Drop everything."""
        self._connection.close()

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._complaining():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            ledger = (
                "no ledger" if self._ledger_path is None else f"the ledger {printable(self._ledger_path)}"
            )
            raise LedgerUnusable(
                f"cannot compare the manifest with {ledger}: {error}",
                hint="if a disk is full, free space on it or let TMPDIR name another for temporary files",
            ) from None


def _staged(row: tuple[object, ...]) -> StagedEntry:
    seq, line_no, path, purpose, remote_name, database, fields, name = row[:8]
    step, note = row[11:13]
    return StagedEntry(
        seq=to_integer(seq),
        entry=Entry(
            path=to_exact_text(path),
            purpose=to_exact_text(purpose),
            remote_name=_to_optional(remote_name),
            vector_database_id=_to_optional(database),
            fields=tuple((key, value) for key, value in json.loads(str(fields))),
            line_no=to_integer(line_no),
        ),
        sent_name=str(name),
        source=to_fingerprint(row[8:11]),
        known=_known(row[13:]),
        step=None if step is None else Step(str(step)),
        note=str(note),
    )


def _known(row: tuple[object, ...]) -> KnownEntry | None:
    entry_id, state = row[:2]
    reason, sha256 = row[5:]
    if entry_id is None:
        return None
    return KnownEntry(
        entry_id=to_integer(entry_id),
        state=EntryState(str(state)),
        fingerprint=to_fingerprint(row[2:5]),
        sha256=None if sha256 is None else str(sha256),
        reason=None if reason is None else str(reason),
    )


def _from_optional(text: str | None) -> bytes | None:
    return None if text is None else from_exact_text(text)


def _to_optional(column: object) -> str | None:
    return None if column is None else to_exact_text(column)
