"""A file that is sent block by block, and how large the blocks of all such files may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from aiofiles.threadpool import wrap

from bulk_upload.edge.files.hashed import source_error
from bulk_upload.errors import ResourceShortage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.files.hashed import HashedFile
    from bulk_upload.edge.files.pool import FileCalls

FEW_BLOCKS_MAX = 4
"""Up to this many open files count as few: each may have a large block, and its next one is read while one is sent.
With more, one file is read while another is sent anyway, and second or larger blocks would only cost memory."""

BLOCK_BYTES_FEW = 2 * 1024 * 1024
BLOCK_BYTES_MANY = 1024 * 1024
BLOCK_BYTES_MIN = 256 * 1024
"""A hop to a thread costs 130 to 240 µs, as much as reading half a megabyte. Blocks of 4 MiB were slower again: they
leave the processor's cache before they are sent (measured with 2 and 16 files in flight)."""

BLOCK_BYTES_PASSED = 512 * 1024
"""Of blocks that the reading thread writes, too, each costs less: smaller ones are still in the processor's cache when they are
hashed and sent (2 files of 1 GiB: 10 % less processor time than with 1 MiB)."""

BLOCKS_BYTES = 16 * 1024 * 1024
"""Memory that many blocks share. More than 64 exceed it together, since none gets less than the minimum, and a file
that is held whole keeps what it has."""


def block_bytes_for(block_count: int) -> int:
    """Return how much to read at once with this many blocks in memory, this one included."""
    if block_count <= FEW_BLOCKS_MAX:
        return BLOCK_BYTES_FEW
    return min(BLOCK_BYTES_MANY, max(BLOCK_BYTES_MIN, BLOCKS_BYTES // block_count))


class Blocks:
    """The blocks in memory or about to be, each with its holder."""

    def __init__(self) -> None:
        self._holders: set[object] = set()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._holders)

    def block_bytes(self, *, more: int = 0) -> int:
        """Return how much to read at once now, or once there are `more` additional blocks."""
        return block_bytes_for(self.count + more)

    def hold(self, holder: object) -> None:
        """Count one more, unless its holder has one already."""
        self._holders.add(holder)

    def drop(self, holder: object) -> None:
        """Stop counting a holder's block."""
        self._holders.discard(holder)


class StreamedFile:
    """A file being sent: an async view of `HashedFile` through aiofiles, which reads a block ahead while few files
    are open."""

    def __init__(self, file: HashedFile, calls: FileCalls, blocks: Blocks) -> None:
        self._raw = file
        self._file = wrap(file, executor=calls)
        self._calls = calls
        self._blocks = blocks
        self._unread_bytes = file.fingerprint.size
        self._ahead: asyncio.Task[bytes] | None = None
        blocks.hold(file)

    @property
    def fingerprint(self) -> Fingerprint:
        """The file's fingerprint when it was opened."""
        return self._raw.fingerprint

    @property
    def content_hash(self) -> str | None:
        """The hash of the file once all of it was read; None where the reader hashes nothing."""
        return self._raw.content_hash

    async def read(self) -> bytes:
        """Return the next block, empty at the end. Raises SourceError."""
        reading, self._ahead = self._ahead, None
        self._blocks.drop(self)
        try:
            block: bytes = await self._calls.result_of(reading or self._file.read(self._blocks.block_bytes()))
        except OSError as error:
            raise source_error(error) from error
        self._unread_bytes -= len(block)
        await self._read_ahead()
        return block

    def gains_by_passing(self) -> bool:
        """Whether the reading thread should also write: where several files are open, and not for the last block.

        Of a single file a block is better read while another one is written.
        """
        return self._ahead is None and self._blocks.count > 1 and self._unread_bytes > self._passed_bytes()

    async def pass_on(self, send: Callable[[bytes], int]) -> bytes:
        """Have the reading thread give blocks to `send`; see `HashedFile.pass_on`. Raises SourceError."""
        before = self._raw.left_bytes
        passing = self._calls.submit(self._raw.pass_on, self._passed_bytes(), send)
        try:
            rest = await self._calls.result_of(asyncio.wrap_future(passing))
        except OSError as error:
            raise source_error(error) from error
        self._unread_bytes -= before - self._raw.left_bytes
        return rest

    def _passed_bytes(self) -> int:
        return min(self._blocks.block_bytes(), BLOCK_BYTES_PASSED)

    async def _read_ahead(self) -> None:
        """Start reading the next block while this one is sent.

        Not the last one: reading it checks that the file did not change, and that check must come as late as possible.
        """
        block_bytes = self._blocks.block_bytes(more=1)
        if self._blocks.count >= FEW_BLOCKS_MAX or self._unread_bytes <= block_bytes:
            return
        self._blocks.hold(self)
        # Not in a task group: it ends with the file, in `__aexit__`.
        self._ahead = asyncio.create_task(self._file.read(block_bytes))  # noqa: TID251
        self._ahead.add_done_callback(_hear)
        # So that it begins before this block is sent: a write that the socket takes whole never yields to the event
        # loop.
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._blocks.drop(self._raw)
        self._blocks.drop(self)
        if self._ahead is not None:
            self._ahead.cancel()
            self._calls.give_up()
        # Not awaited: a close that hangs on a dead mount must not block the run; the pool completes it.
        try:
            self._calls.let_go(self._raw.abandon)
        except (RuntimeError, ResourceShortage):  # the pool was shut down first, or has no thread left
            self._raw.abandon()


def _hear(reading: asyncio.Task[bytes]) -> None:
    """Retrieve the result of a read that may never be awaited: asyncio would warn otherwise."""
    if not reading.cancelled():
        reading.exception()
