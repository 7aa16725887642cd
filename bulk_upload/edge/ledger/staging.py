"""A manifest spread out beside its ledger, so that a plan of a million entries works in pages.

The entries live in a private temporary database that SQLite spills to disk and deletes by itself; the ledger is
attached read-only.
"""

from __future__ import annotations

import json
import os
import sqlite3
from typing import TYPE_CHECKING
from urllib.parse import quote

from bulk_upload.core.model import Entry, EntryState, Fingerprint
from bulk_upload.core.names import sent_name
from bulk_upload.core.plan import KnownEntry, Step
from bulk_upload.core.work import StagedEntry, StepTotal
from bulk_upload.edge.ledger.schema import CREATE, signed, unsigned

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

PAGE_ENTRIES = 512

_CREATE = """
CREATE TABLE staged (
    seq                 INTEGER PRIMARY KEY,
    line_no             INTEGER NOT NULL,
    key                 BLOB NOT NULL UNIQUE,
    path                BLOB NOT NULL,
    purpose             TEXT NOT NULL,
    remote_name         BLOB,
    vector_database_id  TEXT,
    fields              TEXT NOT NULL,
    sent_name           TEXT NOT NULL,
    size                INTEGER,
    mtime_ns            INTEGER,
    inode               INTEGER,
    step                TEXT,
    note                TEXT NOT NULL DEFAULT ''
);
"""
_SELECT = """
SELECT s.seq, s.line_no, s.path, s.purpose, s.remote_name, s.vector_database_id, s.fields, s.sent_name,
       s.size, s.mtime_ns, s.inode, s.step, s.note,
       e.entry_id, e.state, e.size, e.mtime_ns, e.inode, e.reason, r.sha256
FROM staged s LEFT JOIN ledger.entries e ON e.key = s.key LEFT JOIN ledger.receipts r ON r.receipt_id = e.receipt_id
"""


class Staging:
    """The entries of one manifest. Everything blocks; use it from one thread at a time."""

    def __init__(self, ledger_path: str | None) -> None:
        self._connection = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
        self._connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;" + _CREATE)
        self.attach(ledger_path)

    def attach(self, ledger_path: str | None) -> None:
        """Compare with this ledger from now on; None stands for one that has no entries yet."""
        if any(name == "ledger" for _, name, _ in self._connection.execute("PRAGMA database_list")):
            self._connection.execute("DETACH ledger")
        if ledger_path is None:
            self._connection.execute("ATTACH ':memory:' AS ledger")
            for statement in CREATE.replace("CREATE TABLE ", "CREATE TABLE ledger.").split(";"):
                if "CREATE TABLE" in statement:
                    self._connection.execute(statement)
            return
        place = quote(os.fsencode(os.path.abspath(ledger_path)))
        self._connection.execute("ATTACH ? AS ledger", (f"file:{place}?mode=ro",))

    def add(self, entry: Entry) -> int | None:
        """Add an entry; return the line of the earlier one when it is there already."""
        key = entry.key
        added = self._connection.execute(
            "INSERT INTO staged (line_no, key, path, purpose, remote_name, vector_database_id, fields, sent_name)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
            (
                entry.line_no,
                key,
                os.fsencode(entry.path),
                entry.purpose,
                None if entry.remote_name is None else os.fsencode(entry.remote_name),
                entry.vector_database_id,
                json.dumps(dict(entry.fields)),
                sent_name(entry.path, entry.remote_name),
            ),
        ).rowcount
        if added:
            return None
        (line_no,) = self._connection.execute("SELECT line_no FROM staged WHERE key = ?", (key,)).fetchone()
        return int(line_no)

    def begin(self) -> None:
        """Group the writes that follow; without it each one pays for a transaction of its own."""
        self._connection.execute("BEGIN")

    def commit(self) -> None:
        """End the group that `begin` began."""
        self._connection.execute("COMMIT")

    def pages(
        self, steps: Collection[Step] | None = None, *, after_seq: int = 0
    ) -> Iterator[list[StagedEntry]]:
        """Yield entries in manifest order, a page at a time: all, or those planned for one of `steps`."""
        wanted = "" if steps is None else f"AND s.step IN ({','.join('?' * len(steps))})"
        values = () if steps is None else tuple(step.value for step in steps)
        while True:
            rows = self._connection.execute(
                f"{_SELECT} WHERE s.seq > ? {wanted} ORDER BY s.seq LIMIT {PAGE_ENTRIES}",
                (after_seq, *values),
            ).fetchall()
            if not rows:
                return
            yield [_staged(row) for row in rows]
            after_seq = rows[-1][0]

    def find(self, key: bytes) -> StagedEntry | None:
        """Return one entry as it stands now, with what the ledger knows of it by now."""
        row = self._connection.execute(f"{_SELECT} WHERE s.key = ?", (key,)).fetchone()
        return None if row is None else _staged(row)

    def find_by_entry_id(self, entry_id: int) -> StagedEntry | None:
        """Return the manifest's entry for a ledger row, None where the manifest no longer has it."""
        row = self._connection.execute(
            f"{_SELECT} WHERE s.key = (SELECT key FROM ledger.entries WHERE entry_id = ?)", (entry_id,)
        ).fetchone()
        return None if row is None else _staged(row)

    def record_plan(self, planned: Iterable[StagedEntry]) -> None:
        """Keep what was decided for each entry."""
        self._connection.executemany(
            "UPDATE staged SET size = ?, mtime_ns = ?, inode = ?, step = ?, note = ? WHERE seq = ?",
            [
                (
                    None if one.source is None else one.source.size,
                    None if one.source is None else one.source.mtime_ns,
                    None if one.source is None else signed(one.source.inode),
                    one.step,
                    one.note,
                    one.seq,
                )
                for one in planned
            ],
        )

    def totals(self) -> dict[Step, StepTotal]:
        """Return how many entries and bytes each step has."""
        rows = self._connection.execute(
            "SELECT step, count(*), coalesce(sum(size), 0) FROM staged WHERE step IS NOT NULL GROUP BY step"
        )
        return {Step(step): StepTotal(entry_count=count, file_bytes=size) for step, count, size in rows}

    def twin_count(self) -> int:
        """Return how many entries share sent name, size and purpose with another and so go one at a time."""
        (count,) = self._connection.execute(
            "SELECT coalesce(sum(n), 0) FROM (SELECT count(*) AS n FROM staged WHERE step IN ('send', 'compare')"
            " GROUP BY sent_name, size, purpose HAVING n > 1)"
        ).fetchone()
        return int(count)

    def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""
        rows = self._connection.execute(
            "SELECT coalesce(e.state, 'pending'), count(*) FROM staged s LEFT JOIN ledger.entries e ON e.key = s.key"
            " GROUP BY 1"
        )
        return {EntryState(state): count for state, count in rows}

    def close(self) -> None:
        """Drop everything."""
        self._connection.close()


def _staged(row: tuple[object, ...]) -> StagedEntry:
    seq, line_no, path, purpose, remote_name, database, fields, name, size, mtime_ns, inode, step, note = row[
        :13
    ]
    return StagedEntry(
        seq=_int(seq),
        entry=Entry(
            path=os.fsdecode(_bytes(path)),
            purpose=str(purpose),
            remote_name=None if remote_name is None else os.fsdecode(_bytes(remote_name)),
            vector_database_id=None if database is None else str(database),
            fields=tuple(json.loads(str(fields)).items()),
            line_no=_int(line_no),
        ),
        sent_name=str(name),
        source=_fingerprint(size, mtime_ns, inode),
        known=_known(row[13:]),
        step=None if step is None else Step(str(step)),
        note=str(note),
    )


def _known(row: tuple[object, ...]) -> KnownEntry | None:
    entry_id, state, size, mtime_ns, inode, reason, sha256 = row
    if entry_id is None:
        return None
    return KnownEntry(
        entry_id=_int(entry_id),
        state=EntryState(str(state)),
        fingerprint=_fingerprint(size, mtime_ns, inode),
        sha256=None if sha256 is None else str(sha256),
        reason=None if reason is None else str(reason),
    )


def _fingerprint(size: object, mtime_ns: object, inode: object) -> Fingerprint | None:
    if size is None:
        return None
    return Fingerprint(size=_int(size), mtime_ns=_int(mtime_ns), inode=unsigned(_int(inode)))


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected an integer, found {type(value).__name__}")
    return value


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"expected bytes, found {type(value).__name__}")
    return value
