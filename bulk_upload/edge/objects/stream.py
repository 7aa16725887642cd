"""An object that is sent block by block: the next block is fetched while one is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from bulk_upload.core.content_hash import ContentHasher
from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.waiting import answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from types import TracebackType

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.model import Fingerprint

BLOCK_BYTES = 1024 * 1024
BLOCK_BYTES_MANY = 256 * 1024
"""The least that is given out at once, while few objects are open and while many are."""


class ObjectStream:
    """One version of an object, read once from front to back.

    The last block is returned only after the store ended its answer as announced, and `confirm` did not object: a body
    is never completed from an object that is short, longer, or another one.

    Args:
        blocks: the answer of the store.
        fingerprint: of the version that it began with.
        stall_s: how long the store may stand still.
        hashing: what is read is hashed with, None for no hash.
        confirm: raises SourceError where the object is no longer this version.
        release: called at the end, wherever that is.
    """

    def __init__(
        self,
        blocks: AsyncIterator[bytes],
        fingerprint: Fingerprint,
        *,
        stall_s: float,
        hashing: HashFunction | None,
        confirm: Callable[[], Awaitable[None]],
        release: Callable[[], None],
    ) -> None:
        self._blocks = blocks
        self._fingerprint = fingerprint
        self._stall_s = stall_s
        self._hash = None if hashing is None else ContentHasher(hashing)
        self._confirm = confirm
        self._release = release
        self._left_bytes = fingerprint.size
        self._ended = False
        self._ahead: asyncio.Task[bytes] | None = None

    @property
    def fingerprint(self) -> Fingerprint:
        """The version of the object that is read."""
        return self._fingerprint

    @property
    def content_hash(self) -> str | None:
        """The hash of everything read so far; None where nothing is hashed."""
        return None if self._hash is None else self._hash.text

    async def read(self) -> bytes:
        """Return the next block, empty at the end. Raises SourceError."""
        fetching, self._ahead = self._ahead, None
        block = await (fetching or self._fetch())
        if self._hash is not None:
            # Here, and not ahead: the hash is of what was handed over.
            self._hash.update(block)
        if not self._ended:
            # Not in a task group: it ends with the object, in `__aexit__`.
            self._ahead = asyncio.create_task(self._fetch())  # noqa: TID251
            self._ahead.add_done_callback(_retrieve)
            # So that it begins before this block is sent: a write that the socket takes whole never yields to the
            # event loop.
            await asyncio.sleep(0)
        return block

    async def _fetch(self) -> bytes:
        if self._ended:
            return b""
        block = await self._next() if self._left_bytes else b""
        if self._left_bytes and not block:
            raise SourceError("the store sent less of the object than it announced", transient=True)
        self._left_bytes -= len(block)
        if self._left_bytes < 0:
            raise SourceError("the store sent more of the object than it announced", transient=True)
        if not self._left_bytes:
            if await self._next():
                raise SourceError("the store sent more of the object than it announced", transient=True)
            await self._confirm()
            self._ended = True
        return block

    async def _next(self) -> bytes:
        return await answered(anext(self._blocks, b""), self._stall_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
        # What is left of an answer of obstore is dropped with the iterator, and its connection closed.
        del self._blocks
        self._release()


def _retrieve(fetching: asyncio.Task[bytes]) -> None:
    """Retrieve the result of a fetch that may never be awaited: asyncio would warn otherwise."""
    if not fetching.cancelled():
        fetching.exception()
