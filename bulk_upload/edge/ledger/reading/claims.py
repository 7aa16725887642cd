"""Which upload owns an id, and what becomes of a receipt that turns out to be another's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import Accepted, InDoubt
from bulk_upload.edge.ledger.columns import optional_text
from bulk_upload.edge.ledger.owned_ids import OWNS, named

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.records import AttemptEnd


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What the upload that a receipt is for had sent. `sha256` is None where it is not known."""

    entry_id: int
    sent_name: str
    purpose: str
    file_bytes: int
    sha256: str | None


def claims(connection: sqlite3.Connection, file_ids: Collection[str]) -> dict[str, Claim]:
    """Return the receipts that own some ids, superseded ones too, by the id."""
    found = {}
    # One look-up an id: a list of all of them could be longer than a statement may be.
    for file_id in file_ids:
        row = connection.execute(
            f"SELECT entry_id, sent_name, purpose, bytes, sha256 FROM receipts r WHERE file_id = ? AND {OWNS}",
            (file_id,),
        ).fetchone()
        if row is not None:
            found[file_id] = Claim(
                entry_id=row[0], sent_name=row[1], purpose=row[2], file_bytes=row[3], sha256=row[4]
            )
    return found


def may_be_sent_by_another(
    connection: sqlite3.Connection, *, entry_id: int, sent_name: str, file_bytes: int
) -> bool:
    """Whether another entry sent a file of this name and size, and got no receipt for it yet."""
    row = connection.execute(
        "SELECT 1 FROM attempts WHERE sent_name = ? AND size = ? AND entry_id <> ?"
        " AND (outcome IS NULL OR (outcome = 'in_doubt' AND resolution IS NULL)) LIMIT 1",
        (optional_text(sent_name), file_bytes, entry_id),
    ).fetchone()
    return row is not None


def rival_claims(connection: sqlite3.Connection, *, entry_id: int, file_id: str) -> list[Claim]:
    """Return what other entries sent that are in doubt and got this id with an answer."""
    rows = connection.execute(
        "SELECT entry_id, a.sent_name, e.purpose, a.size, a.sha256 FROM attempts a JOIN entries e USING (entry_id)"
        " WHERE candidate_id = ? AND entry_id <> ? AND outcome = 'in_doubt' AND resolution IS NULL",
        (optional_text(file_id), entry_id),
    )
    return [
        Claim(entry_id=row[0], sent_name=row[1], purpose=row[2], file_bytes=row[3], sha256=row[4])
        for row in rows
    ]


def sent_sha256(connection: sqlite3.Connection, attempt_id: int) -> str | None:
    """Return the hash of what an attempt sent, None where it is not known."""
    row = connection.execute("SELECT sha256 FROM attempts WHERE attempt_id = ?", (attempt_id,)).fetchone()
    return None if row is None else row[0]


def unless_claimed(connection: sqlite3.Connection, over: AttemptEnd) -> Outcome:
    """Return the outcome of an attempt, in doubt where its id is, or may be, another upload's.

    The id stays as its candidate: whose it is must be asked, for the receipt of the other rests on an answer, too.
    """
    outcome = over.outcome
    if not isinstance(outcome, Accepted):
        return outcome
    file_id = outcome.file_id
    if named(connection, file_id):
        whose = "which the ledger has a receipt for already"
    elif _answered_elsewhere(connection, file_id, over.entry_id):
        whose = "which came with an answer to another entry, too"
    else:
        return outcome
    return InDoubt(
        reason=f"the server answered with {file_id}, {whose}",
        answered=False,
        http_status=outcome.http_status,
        candidate_id=file_id,
        request_id=outcome.request_id,
    )


def _answered_elsewhere(connection: sqlite3.Connection, file_id: str, entry_id: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM attempts WHERE candidate_id = ? AND entry_id <> ? LIMIT 1", (file_id, entry_id)
    ).fetchone()
    return row is not None
