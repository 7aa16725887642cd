"""The purposes under which a ledger has files: a file keeps its purpose unless a person gives it another."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Self

import msgspec

from bulk_upload.core.folder.sightings import Recorded
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.edge.ledger.columns import from_path, to_path
from bulk_upload.edge.ledger.file.identity import MAY_HAVE_SENT
from bulk_upload.edge.ledger.file.lock import run_is_at_work
from bulk_upload.edge.ledger.file.opening import open_for_reading
from bulk_upload.edge.ledger.file.unusable import unusable
from bulk_upload.edge.ledger.reading import orphans

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_KEYS_MAX = 500
"""Below the 999 variables that a statement may have in any SQLite (sqlite.org/limits.html)."""


class LedgerOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger is for. `may_have_sent` says that its endpoint has, or may have, a file of it."""

    endpoint: str
    root: str
    may_have_sent: bool


class RecordedPurposes:
    """A read-only snapshot of a ledger's purposes, of any version. Raises LedgerUnusable where it cannot be read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection = open_for_reading(path, may_be_older=True)
        attempts = orphans.open_attempts("main", run_at_work=run_is_at_work(path))
        self._select = f"SELECT e.key, {orphans.STATE}, e.receipt_id FROM entries e {attempts} WHERE e.key IN"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def origin(self) -> LedgerOrigin | None:
        """Return what the ledger is for; None where no run has claimed it yet."""
        rows = self._rows("SELECT endpoint, root FROM job")
        if not rows:
            return None
        ((may_have_sent,),) = self._rows(MAY_HAVE_SENT)
        endpoint, root = rows[0]
        return LedgerOrigin(endpoint=endpoint, root=to_path(root), may_have_sent=bool(may_have_sent))

    def recall(self, wanted: Mapping[str, Collection[str]]) -> dict[str, list[Recorded]]:
        """Return what the ledger has of files, by path, among the purposes that are wanted of each."""
        keys = {
            Entry(path=path, purpose=purpose).key: (path, purpose)
            for path, purposes in wanted.items()
            for purpose in purposes
        }
        found: dict[str, list[Recorded]] = {}
        everything = list(keys)
        for start in range(0, len(everything), _KEYS_MAX):
            some = everything[start : start + _KEYS_MAX]
            for key, state, receipt_id in self._rows(f"{self._select} ({','.join('?' * len(some))})", some):
                path, purpose = keys[key]
                is_there = receipt_id is not None or state == EntryState.IN_DOUBT
                found.setdefault(path, []).append(Recorded(purpose=purpose, may_be_there=is_there))
        return found

    def has_beneath(self, folder: str) -> bool:
        """Whether the ledger has entries whose files are in a folder, which is relative to the root."""
        start = from_path(f"{folder}/")
        ((found,),) = self._rows(
            "SELECT EXISTS (SELECT 1 FROM entries WHERE path >= ? AND path < ?)",
            # "0" follows "/".
            (start, start[:-1] + b"0"),
        )
        return bool(found)

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise unusable(self._path, error) from None
