"""The server's list in the temporary database of a plan, to find the files of entries that are to be sent.

Every function blocks, and runs on the thread of the staging.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.model import ListedFile
from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger.columns import from_exact_text, optional_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.edge.ledger.staging import Staging

_CREATE = """
CREATE TABLE IF NOT EXISTS listed (
    place       INTEGER PRIMARY KEY,
    file_id     TEXT NOT NULL UNIQUE,
    filename    TEXT,
    bytes       INTEGER,
    purpose     TEXT,
    created_at  TEXT
);
CREATE INDEX IF NOT EXISTS listed_names ON listed (filename, bytes);
CREATE INDEX IF NOT EXISTS listed_sizes ON listed (bytes)
"""
_INSERT = """
INSERT INTO listed (file_id, filename, bytes, purpose, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_COLUMNS = "l.file_id, l.filename, l.bytes, l.purpose, l.created_at"

# Also a withdrawn receipt, and an id of an attempt in doubt: such a file is not another's.
_FREE = """
NOT EXISTS (SELECT 1 FROM ledger.receipts r WHERE r.file_id = l.file_id)
AND NOT EXISTS (SELECT 1 FROM ledger.attempts a WHERE a.candidate_id = l.file_id)
"""
_CANDIDATES = f"""
SELECT {_COLUMNS} FROM listed l WHERE {{named}} l.bytes = ? AND (l.purpose IS NULL OR l.purpose = CAST(? AS TEXT))
AND {_FREE} ORDER BY l.place LIMIT ?
"""

# Outer loop over the plan: the list has an index, and is the shorter one. What lost answers of ours left, also those
# to twins of an entry, is not another's.
_SEEN = f"""
FROM staged s CROSS JOIN listed l ON l.filename = s.sent_name AND l.bytes = s.size
    AND (l.purpose IS NULL OR l.purpose = CAST(s.purpose AS TEXT))
WHERE s.step = '{Step.SEND.value}' AND {_FREE}
    AND (s.entry_id IS NULL OR s.entry_id NOT IN
        (SELECT entry_id FROM ledger.attempts WHERE outcome = 'in_doubt'))
    AND (l.filename, l.bytes) NOT IN
        (SELECT a.sent_name, a.size FROM ledger.attempts a WHERE a.outcome IS NULL OR a.outcome = 'in_doubt')
"""
_TWINS_INDEX = (
    "CREATE INDEX IF NOT EXISTS staged_names ON staged (sent_name, size) WHERE sent_name IS NOT NULL"
)
_TWINS = f"""
SELECT count(*) FROM staged s WHERE s.step = '{Step.SEND.value}' AND s.sent_name = ? AND s.size = ? AND s.purpose = ?
"""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries that are to be sent have a file of their name, size and purpose in the list.

    `smallest` are some of them, each with such a file.
    """

    entry_count: int
    smallest: tuple[tuple[PlannedEntry, ListedFile], ...]


def add_listed(staging: Staging, files: Sequence[ListedFile]) -> int:
    """Add files of the list, in its order; return how many are new.

    A file without a usable id counts as new, and is left out: no receipt can name it.
    """
    for statement in _CREATE.split(";"):
        staging.rows(statement)
    usable = [one for one in files if one.has_id]
    added_count = staging.insert(
        _INSERT,
        [
            (
                one.file_id,
                optional_text(one.filename),
                one.bytes,
                optional_text(one.purpose),
                optional_text(one.created_at),
            )
            for one in usable
        ],
    )
    return added_count + len(files) - len(usable)


def candidates(staging: Staging, planned: PlannedEntry, *, by_name: bool, count_max: int) -> list[ListedFile]:
    """Return listed files that an entry may have been sent as and that no receipt has, in the order of the list.

    Without `by_name` any name will do.
    """
    if planned.fingerprint is None:
        return []
    sent = (planned.fingerprint.size, from_exact_text(planned.entry.purpose), count_max)
    if by_name:
        name = optional_text(planned.sent_name)
        rows = staging.rows(_CANDIDATES.format(named="l.filename = ? AND"), (name, *sent))
    else:
        rows = staging.rows(_CANDIDATES.format(named=""), sent)
    return [_listed(row) for row in rows]


def twin_count(staging: Staging, planned: PlannedEntry) -> int:
    """Return how many entries that are to be sent have the name, size and purpose of one, itself included."""
    if planned.fingerprint is None:
        return 0
    staging.rows(_TWINS_INDEX)
    sent = (planned.sent_name, planned.fingerprint.size, from_exact_text(planned.entry.purpose))
    ((count,),) = staging.rows(_TWINS, sent)
    return int(count)


def seen(staging: Staging, *, count_max: int, file_bytes_max: int) -> Seen:
    """Return which entries that are to be sent the added files look like; a file counts for one entry only.

    `smallest` has up to `count_max` of them, with content of at most `file_bytes_max` bytes.
    """
    if not staging.rows("SELECT 1 FROM listed LIMIT 1"):
        # As before nearly every run: a large plan is not gone through for nothing.
        return Seen(entry_count=0, smallest=())
    ((entry_count, file_count),) = staging.rows(
        f"SELECT count(DISTINCT s.seq), count(DISTINCT l.file_id) {_SEEN}"
    )
    rows = staging.rows(
        f"SELECT s.seq, {_COLUMNS} {_SEEN} AND s.size BETWEEN 1 AND ? GROUP BY l.file_id ORDER BY s.size LIMIT ?",
        (file_bytes_max, count_max),
    )
    smallest = tuple((_planned(staging, row[0]), _listed(row[1:])) for row in rows)
    return Seen(entry_count=min(entry_count, file_count), smallest=smallest)


def _planned(staging: Staging, seq: int) -> PlannedEntry:
    return next(staging.pages((Step.SEND,), after_seq=seq - 1))[0]


def _listed(row: Sequence[object]) -> ListedFile:
    file_id, filename, size, purpose, created_at = row
    return ListedFile(
        file_id=str(file_id),
        filename=None if filename is None else str(filename),
        bytes=size if isinstance(size, int) else None,
        purpose=None if purpose is None else str(purpose),
        created_at=None if created_at is None else str(created_at),
    )
