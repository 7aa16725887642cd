"""The identity of a ledger: one profile, one endpoint, one team, one root."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text
from bulk_upload.errors import LedgerMismatch

if TYPE_CHECKING:
    import sqlite3


class JobIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a ledger. `root` is the absolute path that entries are relative to."""

    profile: str
    endpoint: str
    team: str | None
    root: str


def claim(connection: sqlite3.Connection, job: JobIdentity, *, moved_root: bool, utc_s: float) -> None:
    """Claim the ledger for this job, or check that it was. Raises LedgerMismatch."""
    found = connection.execute("SELECT profile, endpoint, team, root FROM job").fetchone()
    if found is None:
        now = utc_text(utc_s)
        connection.execute(
            "INSERT INTO job VALUES (1, ?, ?, ?, ?, ?, ?)",
            (job.profile, job.endpoint, _stored(job.team), os.fsencode(job.root), now, now),
        )
        return
    profile, endpoint, team, root = found
    theirs = JobIdentity(profile=profile, endpoint=endpoint, team=team, root=os.fsdecode(root))
    require_same(job, theirs, moved_root=moved_root)
    if theirs.root != job.root:
        connection.execute("UPDATE job SET root = ?", (os.fsencode(job.root),))


def require_same(ours: JobIdentity, theirs: JobIdentity, *, moved_root: bool) -> None:
    """Raise LedgerMismatch unless a ledger, whose identity is `theirs`, may serve this job."""
    for what, mine, found in (
        ("profile", ours.profile, theirs.profile),
        ("endpoint", ours.endpoint, theirs.endpoint),
        ("team", _stored(ours.team), theirs.team),
    ):
        if mine != found:
            raise LedgerMismatch(
                f"the ledger belongs to {_named(what, found)}, this run is for {_named(what, mine)}",
                hint="one ledger serves one endpoint, team and profile: choose another with --ledger FILE",
            )
    if ours.root != theirs.root and not moved_root:
        raise LedgerMismatch(
            f"the ledger's paths are relative to {printable(theirs.root)}, this run's to {printable(ours.root)}",
            hint="if the same tree moved there, run again with --moved-root; else choose another --ledger FILE",
        )


def _stored(team: str | None) -> str | None:
    return None if team is None else from_text(team)


def _named(what: str, value: str | None) -> str:
    return f"no {what}" if value is None else f"{what} {printable(value)}"
