"""Ledgers for tests: a job, entries and attempts made with one word, on real files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from bulk_upload.core.model import Accepted, Entry, Fingerprint, InDoubt, ListedFile, Outcome, SentBody
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.run.plan import PlannedStep, Step
from bulk_upload.core.run.planned import PlanRow
from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.core.run.records import AttemptEnd, Intent
from bulk_upload.edge.ledger import JobIdentity, Ledger, LedgerReader, LedgerStore, Staging, open_ledger
from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.opening import open_for_writing

JOB = JobIdentity(profile="flow", endpoint="https://api.example", team="team-1", root="/data")
START_S = 1_780_000_000.0
"""When every story here begins, in UTC seconds."""

PRINT = Fingerprint(size=100, mtime_ns=1_700_000_000_000_000_001, inode=7)
NEWER = Fingerprint(size=200, mtime_ns=2, inode=8)
LOST = InDoubt(reason="connection lost", answered=False)


def entry(path: str, **more: Any) -> Entry:
    """A manifest entry."""
    return Entry(path=path, purpose=more.pop("purpose", "fine-tune"), **more)


def accepted(file_id: str, **more: Any) -> Accepted:
    """A 200 with that id."""
    return Accepted(file_id=file_id, http_status=200, size_confirmed=True, **more)


def body(fingerprint: Fingerprint = PRINT, *, complete: bool = True) -> SentBody:
    """What an attempt put on the wire."""
    return SentBody(
        sent_name="name",
        purpose="fine-tune",
        file_bytes=fingerprint.size,
        complete=complete,
        content_hash="a" * 64,
        fingerprint=fingerprint,
    )


def planned(
    one: Entry,
    *,
    fingerprint: Fingerprint | None = PRINT,
    step: Step = Step.SEND,
    reason: str = "",
    entry_id: int | None = None,
) -> PlanRow:
    """An entry that something was decided for."""
    return PlanRow(one, one.key, fingerprint, PlannedStep(step=step, reason=reason), entry_id)


def stage(staging: Staging, *entries: Entry) -> dict[int, int]:
    """Stage entries that are to be sent; return the earlier line of each line that repeats one."""
    return staging.add([planned(one) for one in entries])


@asynccontextmanager
async def opened(
    path: Path | str, *, job: JobIdentity = JOB, moved_root: bool = False, utc_s: float = START_S
) -> AsyncIterator[Ledger]:
    """A run's ledger, closed at the end."""
    ledger = open_ledger(os.fspath(path), job, version="1.0", moved_root=moved_root, utc_s=utc_s)
    try:
        yield ledger
    finally:
        await ledger.close()


@contextmanager
def stored(path: Path | str, *, utc_s: float = START_S) -> Iterator[Store]:
    """A store with a run begun, each of its steps a transaction of its own; no thread, no lock."""
    with closing(open_for_writing(os.fspath(path))) as connection:
        store = Store(connection)
        claim(connection, JOB, moved_root=False, utc_s=utc_s)
        store.begin_run(version="1.0", utc_s=utc_s)
        yield store


class Store(LedgerStore):
    """A store whose common sequences are one call."""

    def known(self, *entries: Entry, utc_s: float = START_S) -> list[int]:
        """Register entries and return their ids."""
        self.connection.execute("BEGIN")
        self.register(entries, utc_s=utc_s)
        self.connection.execute("COMMIT")
        find = "SELECT entry_id FROM entries WHERE key = ?"
        return [self.connection.execute(find, (one.key,)).fetchone()[0] for one in entries]

    def intended(self, entry_id: int, fingerprint: Fingerprint = PRINT, *, utc_s: float = START_S) -> int:
        """Record the intent of an attempt and return its id."""
        (attempt_id,) = self.intend([intent(entry_id, fingerprint, utc_s=utc_s)])
        return attempt_id

    def tried(
        self,
        entry_id: int,
        outcome: Outcome,
        fingerprint: Fingerprint = PRINT,
        *,
        utc_s: float = START_S,
        reopen: Iterable[int] = (),
    ) -> Outcome:
        """Make a whole attempt."""
        attempt_id = self.intended(entry_id, fingerprint, utc_s=utc_s)
        over = attempt_over(attempt_id, entry_id, outcome, fingerprint, utc_s=utc_s)
        return self.conclude(over, reopen=tuple(reopen))

    def open_doubts(self) -> list[Doubt]:
        """All doubts, settled at once."""
        return self.doubts(settle_answered_s=2.0, settle_lost_s=30.0)

    def row(self, entry_id: int) -> dict[str, Any]:
        """The entry's columns by name."""
        cursor = self.connection.execute("SELECT * FROM entries WHERE entry_id = ?", (entry_id,))
        return dict(zip([one[0] for one in cursor.description], cursor.fetchone(), strict=True))


def intent(entry_id: int, fingerprint: Fingerprint = PRINT, *, utc_s: float = START_S) -> Intent:
    """The intent of a first attempt."""
    return Intent(entry_id=entry_id, attempt_no=1, sent_name="name", fingerprint=fingerprint, at_utc_s=utc_s)


def attempt_over(
    attempt_id: int,
    entry_id: int,
    outcome: Outcome,
    fingerprint: Fingerprint = PRINT,
    *,
    utc_s: float = START_S,
) -> AttemptEnd:
    """The end of an attempt."""
    return AttemptEnd(
        attempt_id=attempt_id, entry_id=entry_id, outcome=outcome, sent=body(fingerprint), at_utc_s=utc_s
    )


def exported(path: Path | str, *, all_receipts: bool = False) -> list[ExportRow]:
    """All rows of an export."""
    with LedgerReader(os.fspath(path)) as reader:
        return list(reader.rows(all_receipts=all_receipts))


def query(path: Path | str, sql: str) -> list[tuple[Any, ...]]:
    """What a reader with tools of its own would see."""
    with closing(sqlite3.connect(os.fspath(path))) as connection:
        return connection.execute(sql).fetchall()


def files(folder: Path) -> dict[str, bytes]:
    """Everything in a folder, to see what changed."""
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir()) if one.is_file()}


def attempt(store: Store, attempt_id: int = 1) -> dict[str, Any]:
    """The columns of an attempt by name."""
    cursor = store.connection.execute("SELECT * FROM attempts WHERE attempt_id = ?", (attempt_id,))
    return dict(zip([one[0] for one in cursor.description], cursor.fetchone(), strict=True))


def doubt(store: Store) -> Doubt:
    """The only doubt."""
    (only,) = store.open_doubts()
    return only


def listed(file_id: str) -> ListedFile:
    """A file in the server's list that is what was sent."""
    return ListedFile(
        file_id=file_id, filename="name", bytes=100, purpose="fine-tune", created_at="2026-05-28"
    )
