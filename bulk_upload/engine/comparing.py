"""A file that was touched since it was accepted: is it still what the server has?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState
from bulk_upload.core.plan import Step, same_content
from bulk_upload.core.source import SourceError
from bulk_upload.edge.ledger import receipt_of
from bulk_upload.edge.transport import Unanswered

if TYPE_CHECKING:
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.plan import KnownEntry
    from bulk_upload.engine.endings import Endings
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import Passage


class Comparing:
    """Compares touched files with what was sent of them. Holds no slot."""

    def __init__(self, parts: Parts, parking: Parking, endings: Endings) -> None:
        self._parts = parts
        self._parking = parking
        self._endings = endings

    async def settles(self, passage: Passage, known: KnownEntry) -> bool:
        """Whether nothing is sent of a touched file: it has the content its receipt is for, or nobody can tell now."""
        work = passage.work
        try:
            hashed = await self._hash(work.entry.path)
        except SourceError as error:
            await self._endings.settle(work, known.entry_id, EntryState.FAILED_LOCAL, error.reason)
            return True
        if hashed is None:
            return True
        sha256, fingerprint = hashed
        passage.source = fingerprint
        sent_sha256 = known.sha256
        if sent_sha256 is None:
            try:
                sent_sha256 = await self._read_back(known.entry_id)
            except Unanswered:
                # Its receipt holds, whatever the file is by now; the next run looks again.
                await self._endings.tell_accepted(work, known.entry_id)
                return True
        planned = same_content(sent_sha256, sha256)
        if planned.step is not Step.SETTLED:
            await self.put_back(known.entry_id, planned.reason)
            return False
        await self._parts.ledger.run(lambda store: store.refresh(known.entry_id, fingerprint, sha256=sha256))
        await self._endings.tell_accepted(work, known.entry_id)
        return True

    async def _hash(self, path: str) -> tuple[str, Fingerprint] | None:
        """Hash a file as it is now; None when the run drains first. Raises SourceError."""
        while not self._parts.drain.begun:
            try:
                with self._parts.drain.cut():
                    return await self._parts.reader.sha256(path)
            except SourceError as error:
                if not error.local_limit:
                    raise
                policy = self._parts.settings.retry_policy
                with self._parking.space():
                    await self._parts.drain.sleep(policy.local_limit_s * (0.5 + self._parts.clock.jitter()))
        return None

    async def _read_back(self, entry_id: int) -> str | None:
        """Return the hash of what the server has for an entry whose receipt has none; None where it gives nothing back.

        Raises Unanswered, also when the run drains meanwhile.
        """
        receipt = await self._parts.ledger.run(lambda store: receipt_of(store, entry_id))
        with self._parking.space(), self._parts.drain.cut():
            try:
                return await self._parts.transport.sha256_of(receipt.file_id)
            except Unanswered as error:
                if error.final:
                    return None
                raise
        raise Unanswered("the run ended before the server gave the file back")

    async def put_back(self, entry_id: int, reason: str) -> None:
        """Record that an accepted entry is to be sent anew."""
        now = self._parts.clock.utc_s()
        await self._parts.ledger.run(
            lambda store: store.settle(entry_id, EntryState.PENDING, reason=reason, utc_s=now)
        )
