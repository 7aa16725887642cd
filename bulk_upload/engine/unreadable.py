"""Ends the entries whose file could not be used when the run was planned: they do not hold up the others."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.events import EntrySettled
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger import Unreadable, record_unreadable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.planned_entries import PlannedEntries

_STATES = {Step.MISSING: EntryState.FAILED_LOCAL, Step.UNREACHABLE: EntryState.PENDING}


async def end_unreadable(
    entries: PlannedEntries, ledger: Ledger[LedgerStore], clock: Clock, emit: Callable[[Event], None]
) -> None:
    """Record entries without a usable file, and emit their ends. The next run looks at their files again.

    They do not count for `--max-errors`: they say nothing about the server. Raises LedgerUnusable.
    """
    for step, state in _STATES.items():
        async for page in entries.pages((step,)):
            unreadable = [Unreadable(one.entry, state, one.note) for one in page]
            await ledger.run(partial(record_unreadable, entries=unreadable, utc_s=clock.utc_s()))
            for one in unreadable:
                emit(
                    EntrySettled(
                        path=one.entry.path,
                        purpose=one.entry.purpose,
                        state=one.state,
                        file_bytes=0,
                        reason=one.reason,
                    )
                )
