"""The server's list in a database beside the ledger, to find missing and unexpected files.

The list lives in a private temporary database that SQLite spills to disk and deletes on close; a snapshot of
the ledger is attached.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.verify import AnsweredUpload, LookAlike, offset_by_uploads
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import has_zone, utc_seconds
from bulk_upload.edge.ledger.columns import content_hash_of
from bulk_upload.edge.ledger.file.opening import open_for_reading, reading_uri
from bulk_upload.edge.ledger.file.unusable import shortage_behind
from bulk_upload.edge.ledger.owned_ids import LIVE
from bulk_upload.edge.ledger.reading.receipts import HELD, held_receipt
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.run.verify import HeldReceipt

PAGE_RECEIPTS = 512

_CREATE = """
CREATE TABLE listed (
    file_id     TEXT PRIMARY KEY,
    filename    TEXT,
    bytes       INTEGER,
    purpose     TEXT,
    created_at  TEXT
) WITHOUT ROWID;
"""
_LISTED = "l.file_id, l.filename, l.bytes, l.purpose, l.created_at"
_RECEIPTS = f"""
{HELD.format(ledger="ledger")} WHERE r.receipt_id > ? AND {LIVE.format(ledger="ledger")}
ORDER BY r.receipt_id LIMIT {PAGE_RECEIPTS}
"""
_LOOK_ALIKES = f"""
SELECT {_LISTED}, e.entry_id, e.path, a.size, e.receipt_id IS NOT NULL, coalesce(a.began_utc, a.intent_utc), a.ended_utc,
       coalesce({content_hash_of("a")}, (SELECT max({content_hash_of("b")}) FROM ledger.attempts b WHERE b.entry_id = a.entry_id
           AND b.size = a.size AND b.mtime_ns = a.mtime_ns AND b.inode = a.inode
           AND coalesce(b.ctime_ns = a.ctime_ns, 1) AND b.etag IS a.etag AND b.version IS a.version)),
       a.attempt_id, (a.outcome IS NULL OR a.outcome = 'in_doubt')
           AND NOT EXISTS (SELECT 1 FROM ledger.receipts r WHERE r.attempt_id = a.attempt_id
               AND r.withdrawn_utc IS NULL), a.clock_offset_s, a.run_id
FROM ledger.attempts a
JOIN ledger.entries e ON e.entry_id = a.entry_id
JOIN listed l ON l.filename = a.sent_name AND l.purpose = e.purpose
WHERE NOT EXISTS (SELECT 1 FROM ledger.receipts r WHERE r.file_id = l.file_id)
ORDER BY l.file_id, l.bytes IS a.size DESC, a.attempt_id DESC
"""
_ANSWERED = """
SELECT coalesce(a.began_utc, a.intent_utc), a.ended_utc, r.server_created_at
FROM ledger.receipts r JOIN ledger.attempts a ON a.attempt_id = r.attempt_id
WHERE a.run_id = ? AND r.obtained = 'answered' AND r.server_created_at IS NOT NULL AND a.ended_utc IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM ledger.clock_steps s WHERE s.run_id = a.run_id)
"""


class Inventory:
    """The files on a server, joined with a ledger. Everything blocks; use it from one thread at a time.

    Raises LedgerUnusable when the ledger cannot be read, or when there is no room for the list.
    """

    def __init__(self, ledger_path: str) -> None:
        self._path = ledger_path
        self._offsets: dict[int, float | None] = {}
        # Rejects a file that is not a ledger with a helpful message.
        open_for_reading(ledger_path).close()
        with self._complaining():
            self._connection = sqlite3.connect("", uri=True, isolation_level=None, check_same_thread=False)
            self._connection.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF;" + _CREATE)
            self._connection.execute("ATTACH ? AS ledger", (reading_uri(ledger_path),))

    def add(self, files: Sequence[ListedFile]) -> int:
        """Add one page of the server's list; return how many of its files are new.

        A file without a usable id counts as new, and is left out: no receipt and no deletion can name it.
        """
        usable = [one for one in files if one.has_id]
        before = self._connection.total_changes
        with self._complaining():
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO listed VALUES (?, ?, ?, ?, ?) ON CONFLICT (file_id) DO NOTHING",
                [(one.file_id, one.filename, one.bytes, one.purpose, one.created_at) for one in usable],
            )
            self._connection.execute("COMMIT")
        return self._connection.total_changes - before + len(files) - len(usable)

    def listed(self, file_id: str) -> ListedFile | None:
        """Return a file of the list by its id."""
        rows = self._rows(f"SELECT {_LISTED} FROM listed l WHERE l.file_id = ?", (file_id,))
        return _listed(rows[0]) if rows else None

    def receipts(self) -> Iterator[list[HeldReceipt]]:
        """Yield all receipts whose files were not deleted by `undo`, a page at a time, in the order they were
        recorded."""
        after_id = 0
        while rows := self._rows(_RECEIPTS, (after_id,)):
            page = [held_receipt(row) for row in rows]
            yield page
            after_id = page[-1].receipt_id

    def hash_functions(self) -> tuple[HashFunction, ...]:
        """Return the functions that made the hashes in these receipts."""
        live, found = LIVE.format(ledger="ledger"), []
        for function in HashFunction:
            query = f"SELECT 1 FROM ledger.receipts r WHERE r.{function} IS NOT NULL AND {live} LIMIT 1"
            if self._rows(query):
                found.append(function)
        return tuple(found)

    def look_alikes(self) -> Iterator[LookAlike]:
        """Yield, for each listed file without a receipt, the attempts that sent its name and purpose.

        Attempts that sent its size come first, then the latest.
        """
        with self._complaining():
            self._connection.execute("CREATE INDEX IF NOT EXISTS listed_names ON listed (filename)")
            for row in self._connection.execute(_LOOK_ALIKES):
                offset_s, run_id = row[14:]
                yield LookAlike(
                    file=_listed(row[:5]),
                    entry_id=row[5],
                    path=os.fsdecode(row[6]),
                    file_bytes=row[7],
                    has_receipt=bool(row[8]),
                    sent_at_utc_s=utc_seconds(row[9]) or 0.0,
                    ended_at_utc_s=utc_seconds(row[10]),
                    content_hash=row[11],
                    attempt_id=row[12],
                    unanswered=bool(row[13]),
                    clock_offset_s=self._offset_of_run(run_id) if offset_s is None else offset_s,
                )

    def _offset_of_run(self, run_id: int) -> float | None:
        """Return the server's clock minus ours during a run, by the files that it sent."""
        if run_id not in self._offsets:
            self._offsets[run_id] = offset_by_uploads(
                AnsweredUpload(utc_seconds(began) or 0.0, utc_seconds(ended) or 0.0, created_s)
                for began, ended, created in self._rows(_ANSWERED, (run_id,))
                if (created_s := utc_seconds(created)) is not None and has_zone(created)
            )
        return self._offsets[run_id]

    def close(self) -> None:
        """Close and delete the temporary database."""
        self._connection.close()

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._complaining():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise LedgerUnusable(
                f"cannot compare the server's list with the ledger {printable(self._path)}: {error}",
                hint="if a disk is full, free space on it, or set TMPDIR to another for temporary files"
                if (shortage := shortage_behind(error)) is None
                else shortage.hint,
            ) from None


def _listed(row: tuple[Any, ...]) -> ListedFile:
    file_id, filename, size, purpose, created_at = row
    return ListedFile(file_id=file_id, filename=filename, bytes=size, purpose=purpose, created_at=created_at)
