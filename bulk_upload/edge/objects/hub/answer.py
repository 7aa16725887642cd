"""A file of a commit that is read once, and proved by the hash that its commit names it by."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import aiohttp

from bulk_upload.core.run.source import SourceError
from bulk_upload.edge.objects.stores import RETRIES_MAX

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.from_thread import BlockingPortal

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.objects.hub.client import HubClient

_SHA256_DIGITS = 64
_BROKE_OFF = "the Hub sent less of the file than it announced"


class HubAnswer:
    """The bytes of a file, or of a part of it; see `Answer`. They are read on the event loop of the Hub's client.

    An answer that breaks is gone on with from where it ended: bytes of anything else would fail the hash.

    Args:
        response: the answer that has begun.
        portal: to the client's event loop.
        client: asks for the rest.
        path: of the file, after the endpoint.
        fingerprint: whose entity tag is the hash of the content.
        part: what is wanted of it; that is not proved.
    """

    is_bound = True

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        *,
        portal: BlockingPortal,
        client: HubClient,
        path: str,
        fingerprint: Fingerprint,
        part: ByteRange | None,
    ) -> None:
        self.fingerprint = fingerprint
        self._portal = portal
        self._client = client
        self._path = path
        self._response = response
        self._next_byte = 0 if part is None else part.start
        self._end = fingerprint.size if part is None else part.start + part.length
        self._hash = None if part is not None else hash_for(fingerprint)
        self._resumed_count = 0

    def blocks(self, least_bytes: int) -> AsyncIterator[bytes]:
        """Return the content in blocks of at least so many bytes."""
        return _Blocks(self, least_bytes)

    async def whole(self) -> bytes:
        """Return the content. Raises SourceError."""
        return b"".join([block async for block in self.blocks(self.fingerprint.size + 1)])

    async def read(self, least_bytes: int) -> bytes:
        """Return the next block, an empty one at the end. Raises SourceError."""
        return await asyncio.wrap_future(self._portal.start_task_soon(self._read, least_bytes))

    async def look(self) -> Fingerprint:
        """Return the version of the commit, which never changes."""
        return self.fingerprint

    def close(self) -> None:
        """Drop the connection where the answer was not read to its end."""
        with suppress(RuntimeError):  # all connections have ended
            self._portal.start_task_soon(self._close)

    async def _close(self) -> None:
        self._response.close()

    async def _read(self, least_bytes: int) -> bytes:
        block = bytearray()
        while len(block) < least_bytes and (piece := await self._piece()):
            block += piece
        return bytes(block)

    async def _piece(self) -> bytes:
        while True:
            try:
                piece = await self._response.content.readany()
            except (aiohttp.ClientError, OSError, TimeoutError):
                piece = b""
            if self._next_byte + len(piece) > self._end:
                raise SourceError("the Hub sent more of the file than it announced", transient=True)
            if piece or self._next_byte == self._end:
                break
            await self._go_on()
        self._next_byte += len(piece)
        if self._hash is not None:
            self._hash.update(piece)
            if not piece and self._hash.hexdigest() != self.fingerprint.etag:
                raise SourceError(
                    "the Hub sent other bytes than its commit names: the hash differs", transient=True
                )
        return piece

    async def _go_on(self) -> None:
        self._response.close()
        if self._resumed_count == RETRIES_MAX:
            raise SourceError(_BROKE_OFF, transient=True)
        self._resumed_count += 1
        try:
            self._response = await self._client.open(self._path, first_byte=self._next_byte, end=self._end)
        except SourceError as error:
            if error.transient or error.inaccessible:
                raise
            raise SourceError(_BROKE_OFF, transient=True) from None


class _Blocks:
    def __init__(self, answer: HubAnswer, least_bytes: int) -> None:
        self._answer = answer
        self._least_bytes = least_bytes

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        block = await self._answer.read(self._least_bytes)
        if not block:
            raise StopAsyncIteration
        return block


def hash_for(fingerprint: Fingerprint) -> hashlib._Hash:
    """Return what makes the entity tag of a content: its SHA-256, or the id that git has for it as a blob."""
    if len(fingerprint.etag or "") == _SHA256_DIGITS:
        return hashlib.sha256()
    # git's ids are no defence against an attacker; here they tell transfers that went wrong.
    return hashlib.sha1(b"blob %d\0" % fingerprint.size, usedforsecurity=False)
