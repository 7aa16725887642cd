"""The entries of a plan that its ledger does not have, as rows for it: no value is made of them on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger.columns import from_path, from_text, optional_text, to_exact_text, to_integer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.model import Entry
    from bulk_upload.edge.ledger.staging import Staging

EntryRow = tuple[bytes, bytes, str, bytes | None, str | None, str]
"""Key, path, purpose, remote name, vector database and fields, as the ledger has them."""

ROWS_PER_PAGE = 4096
"""How many are registered in one transaction: 2 MB of memory, and one wait for the disk."""

_NEW = f"""
SELECT seq, key, path, purpose, rest FROM staged
WHERE step = '{Step.SEND.value}' AND entry_id IS NULL AND seq > ? ORDER BY seq LIMIT {ROWS_PER_PAGE}
"""
_NO_FIELDS = json.dumps({})


def entry_row(entry: Entry) -> EntryRow:
    """Return the row of an entry."""
    return (
        entry.key,
        from_path(entry.path),
        from_text(entry.purpose),
        None if entry.remote_name is None else from_path(entry.remote_name),
        optional_text(entry.vector_database_id),
        json.dumps(dict(entry.fields)),
    )


def new_entries(staging: Staging) -> Iterator[list[EntryRow]]:
    """Yield the rows of entries to send that were new when they were planned, in manifest order, a page at a time."""
    after_seq = 0
    while rows := staging.rows(_NEW, (after_seq,)):
        yield [_row(*row[1:]) for row in rows]
        after_seq = to_integer(rows[-1][0])


def _row(key: bytes, path: bytes, purpose: bytes, rest: str | None) -> EntryRow:
    path = path if path.isascii() else from_path(to_exact_text(path))
    purpose_text = from_text(to_exact_text(purpose))
    if rest is None:
        return key, path, purpose_text, None, None, _NO_FIELDS
    remote_name, database, fields = json.loads(rest)
    return (
        key,
        path,
        purpose_text,
        None if remote_name is None else from_path(remote_name),
        optional_text(database),
        json.dumps(dict(fields)),
    )
