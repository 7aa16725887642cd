"""Records in the ledger which of its entries the manifest of a run has, before anything is sent."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.edge.ledger import (
    fill_change_times,
    mark_dropped,
    mark_taken_up,
    new_change_times,
    newly_dropped,
    note_manifest,
    taken_up_again,
)

if TYPE_CHECKING:
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.planned_entries import StagedEntries


async def record_manifest(
    ledger: Ledger[LedgerStore],
    entries: StagedEntries,
    *,
    manifest: str,
    utc_s: float,
    is_partial: bool = False,
) -> int:
    """Mark what the manifest no longer has and what it has again; return how many entries it does not have.

    A manifest with a part of the job's entries (`is_partial`) says nothing about the others. Files that the ledger has without a change time, as in one of an earlier version, get theirs. Raises LedgerUnusable.
    """
    async for change_times in entries.each(new_change_times):
        await ledger.run(partial(fill_change_times, change_times=change_times))
    if not is_partial:
        async for entry_ids in entries.each(newly_dropped):
            await ledger.run(partial(mark_dropped, entry_ids=entry_ids, utc_s=utc_s))
    async for entry_ids in entries.each(taken_up_again):
        await ledger.run(partial(mark_taken_up, entry_ids=entry_ids))
    return await ledger.run(partial(note_manifest, manifest=manifest))
