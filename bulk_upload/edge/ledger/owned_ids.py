"""Which entry owns an id of the server: by a receipt, or by one in question, whose attempt is in doubt again.

Each function runs inside the caller's transaction, on the caller's thread.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import Accepted, InDoubt
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import from_text, optional_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.reconcile import Doubt
    from bulk_upload.core.run.records import AttemptEnd

LIVE = """r.withdrawn_utc IS NULL AND NOT EXISTS (SELECT 1 FROM {ledger}.deletions d
    WHERE d.receipt_id = r.receipt_id AND d.outcome IN ('deleted', 'gone'))"""
"""The condition that a receipt `r` is believed and its file was not deleted; format it with the name of the ledger's schema."""

_OPEN = "outcome = 'in_doubt' AND resolution IS NULL"

OWNS = f"""{LIVE.format(ledger="main")} AND NOT EXISTS (SELECT 1 FROM attempts a
    WHERE a.attempt_id = r.attempt_id AND {_OPEN})"""
"""The condition that a receipt `r` owns its id: it was not withdrawn, its file not deleted, and it is not in question."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What the upload sent that claims an id."""

    entry_id: int
    attempt_id: int
    sent_name: str
    purpose: str
    file_bytes: int


def claims(connection: sqlite3.Connection, file_ids: Collection[str]) -> dict[str, Claim]:
    """Return the receipts that own some ids, superseded ones too, by the id.

    A withdrawn receipt owns nothing: its id is another file's. Nor does one whose file `undo` deleted: some servers give
    such ids again. Nor does one in question, whose own attempt may get it back.
    """
    found = {}
    # One look-up an id: a list of all of them could be longer than a statement may be.
    for file_id in file_ids:
        row = connection.execute(
            f"SELECT entry_id, attempt_id, sent_name, purpose, bytes FROM receipts r WHERE file_id = ? AND {OWNS}",
            (file_id,),
        ).fetchone()
        if row is not None:
            found[file_id] = _claim(row)
    return found


def rival_claims(
    connection: sqlite3.Connection, *, entry_id: int, file_ids: Collection[str]
) -> list[tuple[str, Claim]]:
    """Return what other entries sent that are in doubt and got one of these ids with an answer, each with the id."""
    return [
        (file_id, _claim(row))
        for file_id in file_ids
        for row in connection.execute(
            "SELECT entry_id, attempt_id, a.sent_name, e.purpose, a.size FROM attempts a JOIN entries e USING (entry_id)"
            f" WHERE candidate_id = ? AND entry_id <> ? AND {_OPEN}",
            (optional_text(file_id), entry_id),
        )
    ]


def may_be_sent_by_another(
    connection: sqlite3.Connection, *, entry_id: int, sent_name: str, file_bytes: int
) -> bool:
    """Whether another entry sent a file of this name and size, and got no receipt for it yet."""
    row = connection.execute(
        "SELECT 1 FROM attempts WHERE sent_name = ? AND size = ? AND entry_id <> ?"
        f" AND (outcome IS NULL OR ({_OPEN})) LIMIT 1",
        (optional_text(sent_name), file_bytes, entry_id),
    ).fetchone()
    return row is not None


def sent_by_another(
    connection: sqlite3.Connection, *, entry_id: int, sent_name: str, file_bytes: int
) -> bool:
    """Whether another entry ever sent a file of this name and size."""
    row = connection.execute(
        "SELECT 1 FROM attempts WHERE sent_name = ? AND size = ? AND entry_id <> ? LIMIT 1",
        (optional_text(sent_name), file_bytes, entry_id),
    ).fetchone()
    return row is not None


def unless_claimed(connection: sqlite3.Connection, over: AttemptEnd) -> Outcome:
    """Return the outcome of an attempt, in doubt where its id is, or may be, another upload's.

    The id stays as its candidate, for the receipt of the other rests on an answer, too: whose it is must be asked. Not one
    that was withdrawn before: an answer with that id proves nothing.
    """
    outcome = over.outcome
    if not isinstance(outcome, Accepted):
        return outcome
    file_id = outcome.file_id
    is_named = _is_named(connection, file_id)
    if is_named:
        whose = "which the ledger has a receipt for already"
    elif _answered_elsewhere(connection, file_id, over.entry_id):
        whose = "which came with an answer to another entry, too"
    else:
        return outcome
    return InDoubt(
        reason=f"the server answered with {file_id}, {whose}",
        answered=False,
        http_status=outcome.http_status,
        candidate_id=None if is_named and _is_false(connection, file_id, over.entry_id) else file_id,
        request_id=outcome.request_id,
    )


def _claim(row: tuple[int, int, str, str, int]) -> Claim:
    entry_id, attempt_id, sent_name, purpose, size = row
    return Claim(
        entry_id=entry_id, attempt_id=attempt_id, sent_name=sent_name, purpose=purpose, file_bytes=size
    )


def _is_named(connection: sqlite3.Connection, file_id: str) -> bool:
    """Whether any receipt names an id, also a withdrawn one."""
    row = connection.execute("SELECT 1 FROM receipts WHERE file_id = ?", (file_id,)).fetchone()
    return row is not None


def _is_false(connection: sqlite3.Connection, file_id: str, entry_id: int) -> bool:
    """Whether a receipt for an id was withdrawn, and the entry has no other for it, as one has that took it back."""
    row = connection.execute(
        "SELECT 1 FROM receipts WHERE file_id = ? AND withdrawn_utc IS NOT NULL AND NOT EXISTS"
        f" (SELECT 1 FROM receipts r WHERE file_id = ? AND entry_id = ? AND {OWNS}) LIMIT 1",
        (file_id, file_id, entry_id),
    ).fetchone()
    return row is not None


def _answered_elsewhere(connection: sqlite3.Connection, file_id: str, entry_id: int) -> bool:
    row = connection.execute(
        "SELECT 1 FROM attempts WHERE candidate_id = ? AND entry_id <> ? LIMIT 1", (file_id, entry_id)
    ).fetchone()
    return row is not None


def settle_in_question(
    connection: sqlite3.Connection, doubt: Doubt, *, file_id: str, utc_s: float
) -> int | None:
    """Return the number of the receipt that a doubt is about, now that its file is known; None where there is none.

    A receipt for another file is withdrawn.
    """
    found = _in_question(connection, doubt)
    if found is not None and found[1] != file_id:
        drop_in_question(connection, doubt, reason=f"the file is {file_id}", utc_s=utc_s)
        return None
    return None if found is None else found[0]


def _in_question(connection: sqlite3.Connection, doubt: Doubt) -> tuple[int, str] | None:
    row = connection.execute(
        "SELECT r.receipt_id, r.file_id FROM receipts r JOIN entries e USING (receipt_id)"
        " WHERE e.entry_id = ? AND r.attempt_id = ?",
        (doubt.entry_id, doubt.attempt_id),
    ).fetchone()
    return None if row is None else (int(row[0]), str(row[1]))


def drop_in_question(connection: sqlite3.Connection, doubt: Doubt, *, reason: str, utc_s: float) -> None:
    """Record that the receipt a doubt is about, if there is one, is false after all."""
    found = _in_question(connection, doubt)
    if found is not None:
        mark_false(connection, found[0], reason=reason, utc_s=utc_s, entry_id=doubt.entry_id)


def retire_deleted(connection: sqlite3.Connection, *, file_id: str, utc_s: float) -> None:
    """Withdraw the receipt of a file that `undo` deleted, now that the server gave its id to another one."""
    connection.execute(
        "UPDATE receipts AS r SET withdrawn_utc = ?, withdrawn_reason = 'the server gave the id again' WHERE file_id = ?"
        f" AND withdrawn_utc IS NULL AND NOT ({LIVE.format(ledger='main')})",
        (utc_text(utc_s), file_id),
    )


def is_taken(connection: sqlite3.Connection, doubt: Doubt, *, file_id: str) -> bool:
    """Whether a receipt owns an id that a doubt may not have.

    Its entry may take back the one of its own earlier version that came with the answer.
    """
    claim = claims(connection, [file_id]).get(file_id)
    return claim is not None and not (claim.entry_id == doubt.entry_id and file_id == doubt.candidate_id)


def take_back(connection: sqlite3.Connection, doubt: Doubt, *, file_id: str, utc_s: float) -> None:
    """Withdraw the receipt of an earlier version of the entry, now that the server gave its id again."""
    connection.execute(
        "UPDATE receipts SET withdrawn_utc = ?, withdrawn_reason = 'the server gave the id again' WHERE file_id = ?"
        " AND entry_id = ? AND attempt_id <> ? AND withdrawn_utc IS NULL",
        (utc_text(utc_s), file_id, doubt.entry_id, doubt.attempt_id),
    )


def take_over(connection: sqlite3.Connection, doubt: Doubt, *, file_id: str, utc_s: float) -> None:
    """Withdraw the receipt in question that another entry has for an id which turns out to be this doubt's."""
    row = connection.execute(
        "SELECT receipt_id, entry_id FROM receipts WHERE file_id = ? AND withdrawn_utc IS NULL AND entry_id <> ?",
        (file_id, doubt.entry_id),
    ).fetchone()
    if row is not None:
        mark_false(connection, row[0], reason="it is another entry's file", utc_s=utc_s, entry_id=row[1])


def mark_false(
    connection: sqlite3.Connection, receipt_id: int, *, reason: str, utc_s: float, entry_id: int
) -> None:
    """Record that a receipt is false; its entry then has none."""
    connection.execute(
        "UPDATE receipts SET withdrawn_utc = ?, withdrawn_reason = ? WHERE receipt_id = ?",
        (utc_text(utc_s), from_text(reason), receipt_id),
    )
    connection.execute(
        "UPDATE entries SET receipt_id = NULL WHERE entry_id = ? AND receipt_id = ?", (entry_id, receipt_id)
    )


def have_other_contents(connection: sqlite3.Connection, attempt_ids: Collection[int]) -> bool:
    """Whether the hashes of some attempts are all known, of one function, and no two are equal."""
    row = connection.execute(
        "SELECT max(count(DISTINCT sha256), count(DISTINCT blake3)) FROM attempts WHERE attempt_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(attempt_ids)),),
    ).fetchone()
    return int(row[0]) == len(attempt_ids)
