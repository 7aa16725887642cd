"""Reading a ledger for people and programs, in pages, also while a run writes it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from bulk_upload.core.export import ExportRow
from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger.opening import open_for_reading

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_ROWS = """
SELECT e.path, e.purpose, e.state, r.file_id, coalesce(r.bytes, e.size), r.sha256, coalesce(r.sent_name, ''),
       e.attempt_count, e.http_status, e.reason, e.first_seen_utc, e.settled_utc
FROM entries e LEFT JOIN receipts r ON r.receipt_id = e.receipt_id AND e.state = 'accepted'
"""
_SUPERSEDED_ROWS = """
SELECT e.path, e.purpose, 'superseded', r.file_id, r.bytes, r.sha256, r.sent_name,
       0, NULL, NULL, e.first_seen_utc, r.settled_utc
FROM receipts r JOIN entries e ON e.entry_id = r.entry_id WHERE r.superseded_utc IS NOT NULL
ORDER BY r.receipt_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """Whose ledger it is and when it was last at work."""

    profile: str
    endpoint: str
    team: str | None
    root: str
    created_utc: str
    last_alive_utc: str


class LedgerReader:
    """A read-only view of one ledger. Raises LedgerUnusable when there is none."""

    def __init__(self, path: str) -> None:
        self._connection: sqlite3.Connection = open_for_reading(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def job(self) -> JobFacts | None:
        """Return the facts of the job, None for a ledger no run has claimed yet."""
        row = self._connection.execute(
            "SELECT profile, endpoint, team, root, created_utc, last_alive_utc FROM job"
        ).fetchone()
        if row is None:
            return None
        return JobFacts(
            profile=row[0],
            endpoint=row[1],
            team=row[2],
            root=os.fsdecode(row[3]),
            created_utc=row[4],
            last_alive_utc=row[5],
        )

    def states(self) -> dict[EntryState, int]:
        """Return how many entries are in each state."""
        rows = self._connection.execute("SELECT state, count(*) FROM entries GROUP BY state")
        return {EntryState(state): count for state, count in rows}

    def accepted_bytes(self) -> int:
        """Return the bytes of all current receipts."""
        (total,) = self._connection.execute(
            "SELECT coalesce(sum(bytes), 0) FROM receipts WHERE superseded_utc IS NULL"
        ).fetchone()
        return int(total)

    def rows(
        self, *, states: frozenset[EntryState] = frozenset(EntryState), all_receipts: bool = False
    ) -> Iterator[ExportRow]:
        """Yield one row an entry in the order they became known; with `all_receipts` superseded ones after them."""
        marks = ",".join("?" * len(states))
        cursor = self._connection.execute(
            f"{_ROWS} WHERE e.state IN ({marks}) ORDER BY e.entry_id", tuple(state.value for state in states)
        )
        yield from map(_export_row, cursor)
        if all_receipts:
            yield from map(_export_row, self._connection.execute(_SUPERSEDED_ROWS))


def _export_row(row: tuple[str | int | bytes | None, ...]) -> ExportRow:
    path, purpose, status, file_id, size, sha256, sent_name, attempts, http_status, reason, first, settled = (
        row
    )
    return ExportRow(
        path=os.fsdecode(path) if isinstance(path, bytes) else str(path),
        purpose=str(purpose),
        status=str(status),
        file_id=_text(file_id),
        bytes=_number(size),
        sha256=_text(sha256),
        sent_name=_text(sent_name) or None,
        attempts=_number(attempts) or 0,
        http_status=_number(http_status),
        reason=_text(reason),
        first_seen_utc=_text(first),
        settled_utc=_text(settled),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
