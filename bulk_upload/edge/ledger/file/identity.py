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

    from bulk_upload.edge.ledger.store import LedgerStore

DECIDED_BY = "bulk-upload"

MAY_HAVE_SENT = """SELECT EXISTS (SELECT 1 FROM receipts) OR EXISTS
    (SELECT 1 FROM attempts WHERE outcome IS NULL OR outcome IN ('accepted', 'in_doubt'))"""
"""Whether the ledger's endpoint has a file of it, or may have one."""


class JobIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The identity of a ledger. `root` is the absolute path that entries are relative to."""

    profile: str
    endpoint: str
    team: str | None
    root: str


def claim(connection: sqlite3.Connection, job: JobIdentity, *, moved_root: bool, utc_s: float) -> str | None:
    """Claim the ledger for this job, or check that it was. Raises LedgerMismatch.

    A ledger whose endpoint has nothing of it follows the job to another endpoint: the address was mistyped. Returns
    what a person should know of that.
    """
    found = connection.execute("SELECT profile, endpoint, team, root FROM job").fetchone()
    if found is None:
        now = utc_text(utc_s)
        connection.execute(
            "INSERT INTO job VALUES (1, ?, ?, ?, ?, ?, ?)",
            (job.profile, job.endpoint, _stored(job.team), os.fsencode(job.root), now, now),
        )
        return None
    profile, endpoint, team, root = found
    theirs = JobIdentity(profile=profile, endpoint=endpoint, team=team, root=os.fsdecode(root))
    follows = theirs.endpoint != job.endpoint and not _may_have_sent(connection)
    require_same(job, theirs, moved_root=moved_root, may_follow=follows)
    if theirs.root != job.root:
        connection.execute("UPDATE job SET root = ?", (os.fsencode(job.root),))
    return _follow(connection, theirs.endpoint, job.endpoint, utc_s=utc_s) if follows else None


def has_receipts(store: LedgerStore) -> bool:
    """Whether a file was ever accepted at the ledger's endpoint."""
    (found,) = store.connection.execute("SELECT EXISTS (SELECT 1 FROM receipts)").fetchone()
    return bool(found)


def _may_have_sent(connection: sqlite3.Connection) -> bool:
    (found,) = connection.execute(MAY_HAVE_SENT).fetchone()
    return bool(found)


def _follow(connection: sqlite3.Connection, old: str, new: str, *, utc_s: float) -> str:
    """Give the ledger another endpoint, and record that. What the old one rejected says nothing about the new one."""
    words = f"the ledger now belongs to endpoint {new}: nothing was sent to {old}"
    connection.execute("UPDATE job SET endpoint = ?", (new,))
    connection.execute(
        "UPDATE entries SET state = 'pending', settled_utc = NULL, http_status = NULL, reason = ?"
        " WHERE state = 'rejected'",
        (f"was rejected at {old}",),
    )
    connection.execute(
        "INSERT INTO decisions (decided_utc, decided_by, decision) VALUES (?, ?, ?)",
        (utc_text(utc_s), DECIDED_BY, words),
    )
    return words


def require_same(
    ours: JobIdentity, theirs: JobIdentity, *, moved_root: bool, may_follow: bool = False
) -> None:
    """Raise LedgerMismatch unless a ledger, whose identity is `theirs`, may serve this job.

    `may_follow` says that its endpoint has nothing of it: the endpoint may be another.
    """
    for what, mine, found in (
        ("profile", ours.profile, theirs.profile),
        ("endpoint", ours.endpoint, theirs.endpoint),
        ("team", _stored(ours.team), theirs.team),
    ):
        if mine != found and not (may_follow and what == "endpoint"):
            raise LedgerMismatch(
                f"the ledger belongs to {_named(what, found)}, this run is for {_named(what, mine)}",
                hint="one ledger serves one endpoint, team and profile: choose another with --ledger FILE",
            )
    if ours.root != theirs.root and not moved_root:
        raise LedgerMismatch(
            f"the ledger's paths are relative to {printable(theirs.root)}, this run's to {printable(ours.root)}",
            hint=_root_hint(ours.root, theirs.root),
        )


def _root_hint(ours: str, theirs: str) -> str:
    """Return what to do about a ledger of another root. A tree that is still in its place has not moved."""
    if not os.path.isdir(theirs):
        return "if the same tree moved there, run again with --moved-root; else choose another --ledger FILE"
    mine, found = (f"{root.rstrip('/')}/" for root in (ours, theirs))
    if mine.startswith(found) or found.startswith(mine):
        return (
            "both folders are there, one within the other: the ledger is of another job that has the same name."
            " Give this one its own with --ledger FILE"
        )
    return (
        f"{printable(theirs)} is still there: for another job choose another --ledger FILE; --moved-root is for the"
        " same job, which goes on with a copy"
    )


def _stored(team: str | None) -> str | None:
    return None if team is None else from_text(team)


def _named(what: str, value: str | None) -> str:
    return f"no {what}" if value is None else f"{what} {printable(value)}"
