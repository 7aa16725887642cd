"""Whose ledger it is: one profile, one endpoint, one team, one root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.core.display import printable
from bulk_upload.core.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text
from bulk_upload.errors import LedgerMismatch

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True, kw_only=True)
class JobIdentity:
    """Whose ledger it is. `root` is the absolute path that entries are relative to."""

    profile: str
    endpoint: str
    team: str | None
    root: str


def claim(connection: sqlite3.Connection, job: JobIdentity, *, moved_root: bool, utc_s: float) -> None:
    """Make the ledger this job's, or check that it is. Raises LedgerMismatch."""
    found = connection.execute("SELECT profile, endpoint, team, root FROM job").fetchone()
    team = None if job.team is None else from_text(job.team)
    now = utc_text(utc_s)
    if found is None:
        connection.execute(
            "INSERT INTO job VALUES (1, ?, ?, ?, ?, ?, ?)",
            (job.profile, job.endpoint, team, os.fsencode(job.root), now, now),
        )
        return
    for what, ours, theirs in zip(
        ("profile", "endpoint", "team"), (job.profile, job.endpoint, team), found[:3], strict=True
    ):
        if ours != theirs:
            raise LedgerMismatch(
                f"the ledger belongs to {_named(what, theirs)}, this run is for {_named(what, ours)}",
                hint="one ledger serves one endpoint, team and profile: choose another with --ledger FILE",
            )
    _follow(connection, os.fsdecode(found[3]), job.root, moved_root=moved_root)


def _follow(connection: sqlite3.Connection, theirs: str, ours: str, *, moved_root: bool) -> None:
    if theirs == ours:
        return
    if not moved_root:
        raise LedgerMismatch(
            f"the ledger's paths are relative to {printable(theirs)}, this run's to {printable(ours)}",
            hint="if the same tree moved there, run again with --moved-root; else choose another --ledger FILE",
        )
    connection.execute("UPDATE job SET root = ?", (os.fsencode(ours),))


def _named(what: str, value: str | None) -> str:
    return f"no {what}" if value is None else f"{what} {printable(value)}"
