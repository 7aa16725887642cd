"""Ledgers as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bulk_upload.core.model import EntryState
from bulk_upload.edge.ledger import LedgerReader

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable


def read_ledger(
    path: str | os.PathLike[str],
    *,
    states: Iterable[EntryState | str] = tuple(EntryState),
    all_entries: bool = False,
    all_receipts: bool = False,
) -> list[dict[str, Any]]:
    """Return the rows of a ledger as dicts with the columns of an export: `pandas.DataFrame(read_ledger(path))`.

    A run may be at work on it. `LedgerReader` gives the same rows one by one, without keeping them.

    Args:
        path: the ledger.
        states: only rows of entries in these states.
        all_entries: also entries that the manifest no longer has.
        all_receipts: these, and a row for every other receipt: each id the server ever returned is in one row.

    Raises LedgerUnusable; ValueError for a state that there is not.
    """
    with LedgerReader(path) as reader:
        rows = reader.rows(
            states=frozenset(map(EntryState, states)), all_entries=all_entries, all_receipts=all_receipts
        )
        return [row._asdict() for row in rows]
