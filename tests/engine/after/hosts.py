"""One file, a server that has copies of it, and hosts with a ledger each that delete or verify them."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bulk_upload.core.api.paging import ListedPage, PageRequest
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.server_clock import ClockOffset
from bulk_upload.core.content_hash import SHA256_ONLY, HashFunction, function_of
from bulk_upload.core.doubt.content import ByteRange, ReadBack
from bulk_upload.core.model import ListedFile
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import Deleted, Inventory
from bulk_upload.edge.transport import NoAnswer
from bulk_upload.engine.after.undo import Undoing, UndoScope
from bulk_upload.engine.after.verify import Verifier
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.inquiry import ContentInquiry
from tests.edge.ledger.stage import LOST, PRINT, START_S, Store, accepted, entry
from tests.fakes.virtual_time import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Moment
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.verify import Difference
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.after.undo import Undone
    from bulk_upload.engine.after.verify import Verified


SENT_SHA256 = "a" * 64
SENT_BLAKE3 = f"blake3:{'c' * 64}"
OTHER_BLAKE3 = f"blake3:{'d' * 64}"


class Server:
    """Has files of one name and size; each call takes a while of its own."""

    clock_offset_s: float | None = 0.0
    has_content = True
    ahead_s = 0.0
    """The server's clock minus that of the ledger's runs."""

    def clock_offset(self, then: Moment) -> ClockOffset:
        """Say that both clocks agree."""
        return ClockOffset(best_s=0.0, least_s=0.0)

    def __init__(self, chance: random.Random | None = None) -> None:
        self.files: dict[str, ListedFile] = {}
        self.hashes: dict[str, tuple[str, ...]] = {}
        self.refuses: dict[str, int] = {}
        """The HTTP status with which it refuses the content of a file."""
        self._chance = chance

    def store(self, file_id: str, at_s: float, *, sha256: str = SENT_SHA256) -> None:
        """Have a file from then on."""
        self.files[file_id] = ListedFile(
            file_id=file_id,
            filename="name",
            bytes=PRINT.size,
            purpose="fine-tune",
            created_at=utc_text(START_S + at_s + self.ahead_s),
        )
        self.hashes[file_id] = (sha256, SENT_BLAKE3 if sha256 == SENT_SHA256 else OTHER_BLAKE3)

    async def list_page(self, request: PageRequest) -> ListedPage:
        """Return all files."""
        await self._pause()
        return ListedPage(list(self.files.values())[request.offset : request.offset + request.limit])

    async def look_up(self, file_id: str) -> ListedFile | None:
        """Return a file."""
        await self._pause()
        found = self.files.get(file_id)
        await self._pause()
        return found

    async def hashes_of(self, file_id: str, functions: tuple[HashFunction, ...]) -> tuple[str, ...]:
        """Return the hashes of a file."""
        await self._pause()
        if file_id in self.refuses:
            raise NoAnswer(f"reading {file_id} back gave no usable answer", http_status=self.refuses[file_id])
        if file_id not in self.files or not self.has_content:
            return ()
        return tuple(one for one in self.hashes[file_id] if function_of(one) in functions)

    async def read_back(
        self,
        file_id: str,
        *,
        file_bytes: int,
        ranges: tuple[ByteRange, ...] = (),
        functions: tuple[HashFunction, ...] = SHA256_ONLY,
    ) -> ReadBack:
        """Return the hash of a file, or why there is none."""
        hashes = await self.hashes_of(file_id, functions)
        reason = "" if hashes else "the server returns no content, HTTP 404"
        return ReadBack(hashes=hashes, read_bytes=file_bytes if hashes else 0, reason=reason)

    async def download(
        self,
        file_id: str,
        write: Callable[[bytes], object],
        *,
        file_bytes: int | None,
        functions: tuple[HashFunction, ...],
    ) -> ReadBack:
        """Return what `read_back` does; nothing is written."""
        return await self.read_back(file_id, file_bytes=file_bytes or 0)

    async def delete(self, file_id: str) -> bool:
        """Delete a file."""
        await self._pause()
        return self.files.pop(file_id, None) is not None

    async def _pause(self) -> None:
        for _ in range(self._chance.randint(0, 8) if self._chance else 0):
            await asyncio.sleep(0)


class Steps:
    """Runs the steps of one ledger, each a transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, act: Callable[[LedgerStore], Any]) -> Any:
        """Run one step."""
        await asyncio.sleep(0)
        self._store.connection.execute("BEGIN")
        result = act(self._store)
        self._store.connection.execute("COMMIT")
        return result


class Host:
    """One ledger of a job of one file, and what its commands do."""

    def __init__(self, path: Path, store: Store, server: Server) -> None:
        self.store = store
        self.undone: list[Undone] = []
        (self.entry_id,) = store.known(entry("a"))
        self._path = os.fspath(path)
        self._server = server
        self._inquiry = ContentInquiry(server, ApiRetry(VirtualClock()))

    def loses(self, file_id: str | None, at_s: float) -> None:
        """Send the file and get no answer; without an id the server does not store it. It is to be sent again."""
        if file_id is not None:
            self._server.store(file_id, at_s)
        self.store.tried(self.entry_id, LOST, utc_s=START_S + at_s)
        (doubt,) = self.store.open_doubts()
        self.store.release(doubt, "absent", utc_s=START_S + at_s)

    def gets(self, file_id: str, at_s: float) -> None:
        """Send the file and get a receipt."""
        self._server.store(file_id, at_s)
        created_at = self._server.files[file_id].created_at
        self.store.tried(self.entry_id, accepted(file_id, created_at=created_at), utc_s=START_S + at_s)

    async def verify(self, profile: Profile) -> tuple[list[Difference], Verified]:
        """Do `verify --content`; return what it found, and what it compared."""
        inventory = Inventory(self._path)
        verifier = Verifier(
            inventory, self._inquiry, profile=profile, job_began_utc_s=START_S, questions_max=4
        )
        try:
            return [one async for one in verifier.verify(content=True)], verifier.verified
        finally:
            verifier.close()
            inventory.close()

    async def undo(self, *, named: Collection[str] = ()) -> dict[str, tuple[Deleted | None, str | None]]:
        """Do `undo --only duplicates`; return what became of each copy, and why."""
        inventory = Inventory(self._path)
        verifier = Verifier(inventory, self._inquiry, profile=FLOW, job_began_utc_s=START_S, questions_max=4)
        try:
            copies = await verifier.duplicates()
        finally:
            verifier.close()
            inventory.close()
        undoing = self.undoing()
        await undoing.finish()
        await undoing.duplicates(copies, named=named)
        return self.fates()

    async def undo_superseded(self) -> dict[str, tuple[Deleted | None, str | None]]:
        """Do `undo --only superseded`; return what became of each file, and why."""
        await self.undoing().receipts(UndoScope.SUPERSEDED)
        return self.fates()

    def fates(self) -> dict[str, tuple[Deleted | None, str | None]]:
        """Return what became of each file so far, and why."""
        return {one.file_id: (one.outcome, one.reason) for one in self.undone}

    def undoing(self) -> Undoing:
        """Return what deletes."""
        return Undoing(
            ledger=cast("Ledger[LedgerStore]", Steps(self.store)),
            inquiry=self._inquiry,
            clock=VirtualClock(),
            asked_by="test",
            on_undone=self.undone.append,
            questions_max=4,
        )
