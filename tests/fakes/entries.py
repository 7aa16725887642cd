"""A plan's entries out of a list, beside files and a ledger in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.model import EntryState, Fingerprint
from bulk_upload.core.run.plan import KnownEntry, Step, plan_entry
from bulk_upload.core.run.planned import PlannedEntry, StepTotal
from bulk_upload.edge.ledger.reading.new_entries import entry_row
from bulk_upload.engine.plan import Plan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bulk_upload.core.model import Entry
    from bulk_upload.edge.ledger.reading.new_entries import EntryRow
    from tests.fakes.files import MemoryFiles
    from tests.fakes.ledger import LedgerFile

_KNOWN = """
SELECT e.entry_id, e.state, e.size, e.mtime_ns, e.inode, e.ctime_ns, e.reason, coalesce(r.sha256, 'blake3:' || r.blake3)
FROM entries e LEFT JOIN receipts r USING (receipt_id) WHERE e.key = ?
"""


class FakeEntries:
    """Plans a list of entries as `engine.prepare` does, and serves them as `engine.staged` does.

    Args:
        entries: of the manifest.
        files: where they lie; one that is not there is planned as missing.
        ledger: what is known of them, looked up anew each time.
        page_entries: how many entries a page has.
        hop_s: how long each look takes.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        files: MemoryFiles,
        ledger: LedgerFile,
        *,
        retry: frozenset[EntryState] = frozenset(),
        page_entries: int = 64,
        hop_s: float = 0.0005,
    ) -> None:
        self._ledger = ledger
        self._page_entries = page_entries
        self._hop_s = hop_s
        self.busy_count = 0
        self._keys = [entry.key for entry in entries]
        self.staged = [
            self._plan(PlannedEntry(seq=seq, entry=entry, sent_name=_name(entry)), files, retry)
            for seq, entry in enumerate(entries)
        ]

    @property
    def plan(self) -> Plan:
        """The plan's totals."""
        totals: dict[Step, StepTotal] = {}
        for one in self.staged:
            if one.step is None:
                continue
            old = totals.get(one.step, StepTotal())
            size = 0 if one.fingerprint is None else one.fingerprint.size
            totals[one.step] = StepTotal(entry_count=old.entry_count + 1, file_bytes=old.file_bytes + size)
        return Plan(totals=totals, twin_count=0)

    def paths(self, *steps: Step) -> set[str]:
        """Return the paths of the entries planned for one of `steps`."""
        return {one.entry.path for one in self.staged if one.step in steps}

    async def pages(
        self, steps: tuple[Step, ...], *, only_known: bool = False
    ) -> AsyncIterator[list[PlannedEntry]]:
        """Yield the entries planned for one of `steps`, a page at a time, as the ledger knows them now."""
        wanted = [one for one in self.staged if one.step in steps and (self._known(one) or not only_known)]
        for start in range(0, len(wanted), self._page_entries):
            await self._hop()
            yield [self._with_known(one) for one in wanted[start : start + self._page_entries]]

    async def new_rows(self) -> AsyncIterator[list[EntryRow]]:
        """Yield the entries to send that were new when they were planned, a page at a time."""
        new = [one.entry for one in self.staged if one.step is Step.SEND and one.known is None]
        for start in range(0, len(new), self._page_entries):
            await self._hop()
            yield [entry_row(one) for one in new[start : start + self._page_entries]]

    async def find(self, entry_id: int) -> PlannedEntry | None:
        """Return the entry of a ledger row, None where the manifest no longer has it."""
        await self._hop()
        (key,) = self._ledger.connection.execute(
            "SELECT key FROM entries WHERE entry_id = ?", (entry_id,)
        ).fetchone()
        return self._with_known(self.staged[self._keys.index(key)]) if key in self._keys else None

    async def states(self) -> dict[EntryState, int]:
        """Return how many of the manifest's entries the ledger has in each state."""
        await self._hop()
        counts: dict[EntryState, int] = {}
        for one in self.staged:
            known = self._known(one)
            state = EntryState.PENDING if known is None else known.state
            counts[state] = counts.get(state, 0) + 1
        return counts

    async def _hop(self) -> None:
        self.busy_count += 1
        try:
            await asyncio.sleep(self._hop_s)
        finally:
            self.busy_count -= 1

    def _plan(self, staged: PlannedEntry, files: MemoryFiles, retry: frozenset[EntryState]) -> PlannedEntry:
        file = files.find(staged.entry.path)
        fingerprint = None if file is None else file.fingerprint
        known = self._known(staged)
        decided = plan_entry(known, fingerprint, retry=retry)
        return replace(staged, fingerprint=fingerprint, known=known, step=decided.step, note=decided.reason)

    def _with_known(self, staged: PlannedEntry) -> PlannedEntry:
        return replace(staged, known=self._known(staged))

    def _known(self, staged: PlannedEntry) -> KnownEntry | None:
        row = self._ledger.connection.execute(_KNOWN, (self._keys[staged.seq],)).fetchone()
        if row is None:
            return None
        entry_id, state, size, mtime_ns, inode, ctime_ns, reason, content_hash = row
        fingerprint = (
            None
            if size is None
            else Fingerprint(size=size, mtime_ns=mtime_ns, inode=inode, ctime_ns=ctime_ns)
        )
        return KnownEntry(
            entry_id=entry_id,
            state=EntryState(state),
            fingerprint=fingerprint,
            content_hash=content_hash,
            reason=reason,
        )


def _name(entry: Entry) -> str:
    return sent_name(entry.path, entry.remote_name)
