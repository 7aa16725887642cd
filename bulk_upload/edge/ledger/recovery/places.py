"""Where a ledger lay during its runs, and which of them may have sent something."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger.columns import from_integer, from_path, from_text, to_integer, to_path

if TYPE_CHECKING:
    import sqlite3


class Place(NamedTuple):
    """Where a ledger lies. A copy has another inode, also where it got the path of the original."""

    host: str
    path: str
    inode: int

    def is_same_file(self, other: Place) -> bool:
        """Whether two places are one file as far as is known: containers have a new host name each time."""
        return (self.path, self.inode) == (other.path, other.inode)

    def __str__(self) -> str:
        return printable(f"{self.host}:{self.path}")


class EarlierRuns(msgspec.Struct, frozen=True, kw_only=True):
    """What a ledger knows of the runs before the one that has just begun.

    `sent_since_utc_s` is when the last one began that may have sent something: what the server got since is ours by a
    receipt, or another's. None where there was none. `last_place` is where the ledger lay then, `place` where it lies now;
    None where that is not known, as before version 5.
    """

    has_receipts: bool
    sent_since_utc_s: float | None
    last_place: Place | None
    place: Place | None

    @property
    def moved(self) -> bool:
        """Whether the ledger lies elsewhere than in its last run: it was moved, restored or copied."""
        return (
            self.last_place is not None
            and self.place is not None
            and not self.place.is_same_file(self.last_place)
        )


def place_of(ledger_path: str) -> Place | None:
    """Return where a ledger lies, None where its file cannot be found."""
    path = os.path.realpath(ledger_path)
    try:
        inode = os.stat(path).st_ino
    except OSError:
        return None
    return Place(host=socket.gethostname(), path=path, inode=inode)


def record_place(connection: sqlite3.Connection, run_id: int | None, place: Place) -> None:
    """Record where the ledger of a run lies."""
    connection.execute(
        "UPDATE runs SET host = ?, ledger_path = ?, ledger_inode = ? WHERE run_id = ?",
        (from_text(place.host), from_path(place.path), from_integer(place.inode), run_id),
    )


def earlier_runs(connection: sqlite3.Connection, run_id: int | None) -> EarlierRuns:
    """Return what the ledger knows of the runs before one.

    Only `run` and `ledger rebuild` have a manifest, once they know what is at the server.
    """
    (has_receipts,) = connection.execute("SELECT EXISTS (SELECT 1 FROM receipts)").fetchone()
    # Before version 5 no place was recorded, and before version 4 no manifest.
    (since,) = connection.execute(
        "SELECT max(started_utc) FROM runs WHERE (manifest IS NOT NULL OR host IS NULL) AND run_id < ?",
        (run_id,),
    ).fetchone()
    return EarlierRuns(
        has_receipts=bool(has_receipts),
        sent_since_utc_s=None if since is None else utc_seconds(since),
        last_place=_place(
            connection, "manifest IS NOT NULL AND run_id < ? ORDER BY run_id DESC LIMIT 1", run_id
        ),
        place=_place(connection, "run_id = ?", run_id),
    )


def _place(connection: sqlite3.Connection, which: str, run_id: int | None) -> Place | None:
    row = connection.execute(
        f"SELECT host, ledger_path, ledger_inode FROM runs WHERE host IS NOT NULL AND {which}", (run_id,)
    ).fetchone()
    return None if row is None else Place(host=row[0], path=to_path(row[1]), inode=to_integer(row[2]))
