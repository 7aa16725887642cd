"""A ledger opened for one run: locked, claimed, its writer started."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.edge.ledger.file.identity import claim
from bulk_upload.edge.ledger.file.location import require_folder
from bulk_upload.edge.ledger.file.lock import RunLock
from bulk_upload.edge.ledger.file.opening import open_for_writing, require_ledger, require_safe_name
from bulk_upload.edge.ledger.file.unusable import unusable
from bulk_upload.edge.ledger.recovery.places import EarlierRuns, earlier_runs, place_of
from bulk_upload.edge.ledger.store import LedgerStore
from bulk_upload.edge.ledger.writer import LedgerWriter

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.file.identity import JobIdentity


class Ledger(msgspec.Struct):
    """What `open_ledger` returns: a ledger that no other run writes to.

    `earlier` is what it knows of the runs before, `notice` what its person should know.
    """

    path: str
    writer: LedgerWriter
    earlier: EarlierRuns
    notice: str | None = None

    async def close(self) -> None:
        """Write what is queued and release the lock."""
        await self.writer.close()


def open_ledger(
    path: str, job: JobIdentity, *, version: str, moved_root: bool, utc_s: float, private: bool = False
) -> Ledger:
    """Open, lock and claim the ledger of a job. Raises LedgerUnusable or one of its subclasses. Call on the event loop.

    A private ledger and all files beside it are for its owner alone.
    """
    require_safe_name(path)
    # Two names of one ledger must not become two locks.
    path = os.path.realpath(path)
    require_folder(path)
    # Before the lock: no side file is made for a file that is not a ledger.
    require_ledger(path, may_be_new=True)
    lock = RunLock.acquire(path, private=private)
    try:
        connection = open_for_writing(path, private=private)
        try:
            store = LedgerStore(connection)
            connection.execute("BEGIN IMMEDIATE")
            notice = claim(connection, job, moved_root=moved_root, utc_s=utc_s)
            store.begin_run(version=version, utc_s=utc_s, place=place_of(path))
            earlier = earlier_runs(connection, store.run_id)
            connection.execute("COMMIT")
            return Ledger(path, LedgerWriter(store, path, on_end=lock.release), earlier, notice)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        lock.release()
        raise unusable(path, error) from None
    except BaseException:
        lock.release()
        raise
