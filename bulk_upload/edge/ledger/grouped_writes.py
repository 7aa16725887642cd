"""Many records in few statements.

Each statement releases the interpreter lock and then waits for it, beside an event loop that is always busy; that
costs more than SQLite's own work. So the usual record, an upload that was accepted, is written a whole group at a
time. Anything unusual in a group is left to the steps for single records, in `store`.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from bulk_upload.core.model import Accepted, ReceiptOrigin
from bulk_upload.core.run.records import reason_in
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger.columns import (
    FINGERPRINT,
    FINGERPRINT_SQL,
    HASHES,
    HASHES_SQL,
    fingerprint_of,
    from_change_time,
    from_content_hash,
    from_fingerprint,
    from_version,
    optional_text,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.records import AttemptEnd, Intent

T = TypeVar("T")

CAN_CONCLUDE = sqlite3.sqlite_version_info >= (3, 33)
"""Whether SQLite supports `UPDATE … FROM` (https://sqlite.org/lang_update.html#upfrom)."""

_MANY = 64 if sqlite3.sqlite_version_info >= (3, 32) else 58
"""As many as a bundle has at most. 58 rows of the widest have 986 parameters: older versions of SQLite take 999
(https://sqlite.org/limits.html)."""

_SIZES = (1, 2, 4, 8, 16, 32, _MANY)
"""Groups are filled up with rows of zeros, which no id has, to one of these sizes: few statements are ever prepared, all of
them stay in the connection's cache of 128, and less than half of a statement is filling."""

GROUP_MAX = _SIZES[-1]


class _Grouped(NamedTuple):
    """A statement for a group of rows, which it reads from a table `given` with these columns, an id first."""

    columns: tuple[str, ...]
    sql: str


_INTEND = _Grouped(
    (
        "attempt_id",
        "entry_id",
        "run_id",
        "attempt_no",
        "sent_name",
        *FINGERPRINT,
        "intent_utc",
        *HASHES,
        "clock_offset_s",
        "bundle_id",
        "agent",
    ),
    f"INSERT INTO attempts (attempt_id, entry_id, run_id, attempt_no, sent_name, {FINGERPRINT_SQL}, intent_utc,"
    f" {HASHES_SQL}, clock_offset_s, bundle_id, agent)"
    f" SELECT attempt_id, entry_id, run_id, attempt_no, sent_name, {FINGERPRINT_SQL}, intent_utc, {HASHES_SQL},"
    " clock_offset_s, bundle_id, agent"
    " FROM given WHERE attempt_id <> 0",
)
_LOOK = (
    "SELECT (SELECT coalesce(max(receipt_id), 0) FROM receipts),"
    " EXISTS (SELECT 1 FROM receipts WHERE file_id IN ({files}))"
    " OR EXISTS (SELECT 1 FROM attempts WHERE candidate_id IN ({files})),"
    " EXISTS (SELECT 1 FROM entries WHERE entry_id IN ({entries}) AND receipt_id IS NOT NULL)"
)
_CLOSE = _Grouped(
    (
        "attempt_id",
        "entry_id",
        "ended_utc",
        "http_status",
        "reason",
        "request_id",
        *HASHES,
        "ctime_ns",
        "version",
        "began_utc",
        "clock_offset_s",
        "agent",
    ),
    "UPDATE attempts SET outcome = 'accepted', ended_utc = given.ended_utc, http_status = given.http_status,"
    " reason = given.reason, request_id = given.request_id, sha256 = coalesce(given.sha256, attempts.sha256),"
    " blake3 = coalesce(given.blake3, attempts.blake3),"
    " ctime_ns = coalesce(given.ctime_ns, attempts.ctime_ns), version = coalesce(given.version, attempts.version),"
    " began_utc = given.began_utc,"
    " clock_offset_s = given.clock_offset_s, agent = given.agent FROM given"
    " WHERE attempts.attempt_id = given.attempt_id AND attempts.entry_id = given.entry_id AND outcome IS NULL",
)
_SUPERSEDE = _Grouped(
    ("entry_id", "superseded_utc"),
    "UPDATE receipts SET superseded_utc = given.superseded_utc FROM given"
    " JOIN entries e ON e.entry_id = given.entry_id WHERE receipts.receipt_id = e.receipt_id",
)
_FILE = _Grouped(
    ("receipt_id", "attempt_id", "file_id", "size_confirmed", "server_created_at", "settled_utc"),
    "INSERT INTO receipts (receipt_id, entry_id, attempt_id, file_id, sent_name, purpose, bytes, sha256, blake3, mtime_ns, inode,"
    " ctime_ns, etag, version, obtained, size_confirmed, server_created_at, settled_utc)"
    " SELECT given.receipt_id, a.entry_id, a.attempt_id, given.file_id, a.sent_name, e.purpose, a.size, a.sha256, a.blake3,"
    f" a.mtime_ns, a.inode, a.ctime_ns, a.etag, a.version, '{ReceiptOrigin.ANSWERED.value}', given.size_confirmed, given.server_created_at,"
    " given.settled_utc"
    " FROM given JOIN attempts a ON a.attempt_id = given.attempt_id JOIN entries e ON e.entry_id = a.entry_id",
)
_SETTLE = _Grouped(
    ("entry_id", "attempt_id", "receipt_id", "http_status", "reason", "settled_utc"),
    "UPDATE entries SET state = 'accepted', attempt_count = attempt_count + 1, http_status = given.http_status,"
    " reason = given.reason, settled_utc = given.settled_utc, receipt_id = given.receipt_id,"
    f" ({FINGERPRINT_SQL}) = ({fingerprint_of('a')})"
    " FROM given JOIN attempts a ON a.attempt_id = given.attempt_id WHERE entries.entry_id = given.entry_id",
)


def last_attempt_id(connection: sqlite3.Connection) -> int:
    """Return the number of the last attempt that was intended, 0 before the first one."""
    (last,) = connection.execute("SELECT coalesce(max(attempt_id), 0) FROM attempts").fetchone()
    return int(last)


def intend(
    connection: sqlite3.Connection,
    intents: Sequence[Intent],
    run_id: int | None,
    first_id: int,
    *,
    bundle_id: int | None = None,
) -> list[int]:
    """Record attempts that are about to be made and return their ids: from `first_id` on, in order."""
    ids: list[int] = []
    for group in groups(intents):
        rows = [
            (
                first_id + index,
                one.entry_id,
                run_id,
                one.attempt_no,
                one.sent_name,
                *from_fingerprint(one.fingerprint),
                utc_text(one.at_utc_s),
                *from_content_hash(one.content_hash),
                one.clock_offset_s,
                bundle_id,
                one.agent,
            )
            for index, one in enumerate(group)
        ]
        _execute(connection, _INTEND, rows)
        ids += range(first_id, first_id + len(group))
        first_id += len(group)
    return ids


def is_usual(overs: Sequence[AttemptEnd]) -> bool:
    """Whether a group has accepted uploads only, each of a different entry and with a different id."""
    if not all(type(one.outcome) is Accepted for one in overs):
        return False
    entries = {one.entry_id for one in overs}
    files = {one.outcome.file_id for one in overs if isinstance(one.outcome, Accepted)}
    return len(entries) == len(files) == len(overs)


def conclude(connection: sqlite3.Connection, overs: Sequence[AttemptEnd]) -> list[Outcome] | None:
    """Record how a usual group of at most `GROUP_MAX` ended; None, and nothing is recorded, where an id is known.

    Raises LookupError when one of the attempts is not open.
    """
    accepted = [(one, one.outcome) for one in overs if isinstance(one.outcome, Accepted)]
    last_id, any_known, any_older = _look(connection, accepted)
    if any_known:
        return None
    receipt_id = 1 + last_id
    closed, old, filed, settled = [], [], [], []
    for index, (over, outcome) in enumerate(accepted):
        now = utc_text(over.at_utc_s)
        reason = optional_text(reason_in(outcome))
        began = None if over.began_utc_s is None else utc_text(over.began_utc_s)
        closed.append(
            (
                over.attempt_id,
                over.entry_id,
                now,
                outcome.http_status,
                reason,
                optional_text(outcome.request_id),
                *from_content_hash(over.sent.content_hash),
                from_change_time(over.sent.fingerprint),
                from_version(over.sent.fingerprint),
                began,
                over.clock_offset_s,
                over.agent,
            )
        )
        old.append((over.entry_id, now))
        created = optional_text(outcome.created_at)
        filed.append(
            (receipt_id + index, over.attempt_id, outcome.file_id, int(outcome.size_confirmed), created, now)
        )
        settled.append((over.entry_id, over.attempt_id, receipt_id + index, outcome.http_status, reason, now))
    _change(connection, _CLOSE, closed)
    if any_older:
        _execute(connection, _SUPERSEDE, old)
    _change(connection, _FILE, filed)
    _change(connection, _SETTLE, settled)
    return [outcome for _, outcome in accepted]


def insert(
    connection: sqlite3.Connection, into: str, rows: Sequence[tuple[Any, ...]], *, on_conflict: str
) -> int:
    """Insert rows `into` columns of a table, and return how many were new: `on_conflict` says which are not.

    Full groups take one statement each, half of the time of a statement for each row.
    """
    before = connection.total_changes
    for group in groups(rows):
        if len(group) == GROUP_MAX:
            used = _used(group)
            values = [value for row in group for value in compress(row, used)]
            connection.execute(f"INSERT INTO {into} {_values_of(GROUP_MAX, used)} {on_conflict}", values)
        else:
            one_row = _values_of(1, (True,) * len(group[0]))
            connection.executemany(f"INSERT INTO {into} {one_row} {on_conflict}", group)
    return connection.total_changes - before


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield items in order, at most `GROUP_MAX` at a time."""
    for start in range(0, len(items), GROUP_MAX):
        yield items[start : start + GROUP_MAX]


def _look(
    connection: sqlite3.Connection, accepted: Sequence[tuple[AttemptEnd, Accepted]]
) -> tuple[int, bool, bool]:
    """Return the last receipt's number, whether any file's id is known, and whether any entry has a receipt."""
    size = _size_for(len(accepted))
    left = size - len(accepted)
    file_ids = [outcome.file_id for _, outcome in accepted] + [""] * left
    entry_ids = [over.entry_id for over, _ in accepted] + [0] * left
    # Twice, because the placeholders are not numbered: the sqlite3 module of Python 3.12 warns about those.
    values = (*file_ids, *file_ids, *entry_ids)
    last_id, any_known, any_older = connection.execute(_look_at(size), values).fetchone()
    return int(last_id), bool(any_known), bool(any_older)


def _change(connection: sqlite3.Connection, statement: _Grouped, rows: Sequence[tuple[Any, ...]]) -> None:
    changed_count = _execute(connection, statement, rows)
    if changed_count != len(rows):
        raise LookupError(f"{len(rows)} rows were to change, {changed_count} did")


def _execute(connection: sqlite3.Connection, statement: _Grouped, rows: Sequence[tuple[Any, ...]]) -> int:
    size = _size_for(len(rows))
    used = _used(rows)
    values = [value for row in rows for value in compress(row, used)]
    values += [0] * ((size - len(rows)) * sum(used))
    before = connection.total_changes
    connection.execute(_with_rows(statement, size, used), values)
    # Not `rowcount`: the sqlite3 module counts only for statements that do not begin with WITH.
    return connection.total_changes - before


def _size_for(row_count: int) -> int:
    return next(size for size in _SIZES if row_count <= size)


def _used(rows: Sequence[tuple[Any, ...]]) -> tuple[bool, ...]:
    """Return which columns have a value in any row. The others are NULL in the statement: to pass a None takes the sqlite3
    module five times as long as a number."""
    return tuple([any(value is not None for value in column) for column in zip(*rows, strict=True)])


@lru_cache(maxsize=64)
def _with_rows(statement: _Grouped, size: int, used: tuple[bool, ...]) -> str:
    return f"WITH given({', '.join(statement.columns)}) AS ({_values_of(size, used)}) {statement.sql}"


@lru_cache(maxsize=16)
def _values_of(size: int, used: tuple[bool, ...]) -> str:
    row = f"({', '.join('?' if one else 'NULL' for one in used)})"
    return f"VALUES {', '.join([row] * size)}"


@lru_cache(maxsize=8)
def _look_at(size: int) -> str:
    marks = ", ".join("?" * size)
    return _LOOK.replace("{files}", marks).replace("{entries}", marks)
