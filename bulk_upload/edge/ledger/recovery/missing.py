"""Which files of receipts the server no longer has, as `verify` found it: for `run --retry missing`."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.edge.ledger.file.opening import open_for_reading, open_for_writing
from bulk_upload.edge.ledger.file.unusable import unusable

if TYPE_CHECKING:
    from collections.abc import Sequence


def record_missing(path: str, file_ids: Sequence[str], *, utc_s: float, settle_s: float) -> int:
    """Record which receipts' files are missing, and that those of all others are there; return how many are.

    Receipts younger than `settle_s` are left out. A ledger that says so already is not written to. Raises LedgerLocked,
    LedgerUnusable.
    """
    path = os.path.realpath(path)
    if not file_ids and not _has_missing(path):
        return 0
    lock = RunLock.acquire(path, private=False)
    try:
        with closing(open_for_writing(path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE receipts SET missing_utc = NULL WHERE missing_utc IS NOT NULL")
            count = connection.executemany(
                "UPDATE receipts SET missing_utc = ? WHERE file_id = ? AND withdrawn_utc IS NULL AND settled_utc <= ?",
                [(utc_text(utc_s), file_id, utc_text(utc_s - settle_s)) for file_id in file_ids],
            ).rowcount
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise unusable(path, error) from None
    finally:
        lock.release()
    return max(0, count)


def _has_missing(path: str) -> bool:
    with closing(open_for_reading(path)) as connection:
        (found,) = connection.execute(
            "SELECT EXISTS (SELECT 1 FROM receipts WHERE missing_utc IS NOT NULL)"
        ).fetchone()
    return bool(found)
