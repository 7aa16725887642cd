"""A ledger in the hands of one run: locked, claimed, its writer at work."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.edge.ledger.lock import RunLock
from bulk_upload.edge.ledger.opening import open_for_writing, unusable
from bulk_upload.edge.ledger.place import require_local_folder
from bulk_upload.edge.ledger.store import LedgerStore
from bulk_upload.edge.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.store import JobIdentity


@dataclass(slots=True)
class Ledger:
    """What `open_ledger` returns. `orphan_count` entries were left open by a run that died."""

    path: str
    writer: LedgerWriter
    lock: RunLock
    orphan_count: int

    async def close(self) -> None:
        """Write what is queued and let the next run in."""
        try:
            await self.writer.close()
        finally:
            self.lock.release()


def open_ledger(path: str, job: JobIdentity, *, version: str, moved_root: bool, utc_s: float) -> Ledger:
    """Open, lock and claim the ledger of a job. Raises LedgerUnusable and its kin. Call on the event loop."""
    require_local_folder(path)
    lock = RunLock.acquire(path)
    try:
        connection = open_for_writing(path)
        try:
            store = LedgerStore(connection)
            connection.execute("BEGIN IMMEDIATE")
            store.claim(job, moved_root=moved_root, utc_s=utc_s)
            orphan_count = store.begin_run(version=version, utc_s=utc_s)
            connection.execute("COMMIT")
            return Ledger(path, LedgerWriter(store, path), lock, orphan_count)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        lock.release()
        raise unusable(path, error) from None
    except BaseException:
        lock.release()
        raise
