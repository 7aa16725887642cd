"""Objects of stores and web servers, through obstore."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.run.source import SourceChanged, SourceError
from bulk_upload.edge.objects.failures import REPLACED
from bulk_upload.edge.objects.versions import if_match, version_of
from bulk_upload.edge.objects.waiting import answered

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.objects.address import Address
    from bulk_upload.edge.objects.stores import Stores


class StorePlace:
    """The stores and web servers of a job. Their connections are obstore's, which ends them itself.

    Args:
        stores: where they are.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def look(self, address: Address) -> Fingerprint:
        """Return the version that the store has now. Raises SourceError."""
        store = self._stores.asked(address)
        return version_of(await answered(store.head_async(address.key), self._stores.stall_s))

    async def open(
        self, address: Address, expected: Fingerprint, *, part: ByteRange | None = None
    ) -> StoreAnswer:
        """Ask for an object, or a part of it. Raises SourceError; SourceChanged where it is another version."""
        tag = expected.strong_etag
        options: GetOptions = {}
        if tag is not None:
            options["if_match"] = if_match(tag)
        if part is not None:
            options["range"] = (part.start, part.start + part.length)
        store = self._stores.of(address, resumes=tag is not None)
        try:
            result = await answered(_get(store, address.key, options), self._stores.stall_s)
        except SourceError as error:
            if error.reason != REPLACED:
                raise
            now = await self.look(address)
            if now.same_version(expected):
                # The store contradicts itself, as caches do for a while.
                raise
            raise SourceChanged("the object has changed since it was planned", now, transient=True) from None
        return StoreAnswer(result, look=partial(self.look, address), stall_s=self._stores.stall_s)

    def close(self) -> None:
        """Nothing is to be ended."""


class StoreAnswer:
    """The answer to a GET; see `Answer`."""

    def __init__(
        self, result: GetResult, *, look: Callable[[], Awaitable[Fingerprint]], stall_s: float
    ) -> None:
        self._result = result
        self._look = look
        self._stall_s = stall_s
        self.fingerprint = version_of(result.meta)
        self.is_bound = self.fingerprint.strong_etag is not None

    def blocks(self, least_bytes: int) -> AsyncIterator[bytes]:
        """Return the content block by block."""
        return self._result.stream(least_bytes)

    async def whole(self) -> bytes:
        """Return the content. Raises SourceError."""
        return bytes(await answered(self._result.bytes_async(), self._stall_s))

    async def look(self) -> Fingerprint:
        """Return the version that the store has now. Raises SourceError."""
        return await self._look()

    def close(self) -> None:
        """What is left of the answer is dropped with the iterator over it, and its connection closed."""


async def _get(store: ObjectStore, key: str, options: GetOptions) -> GetResult:
    return await store.get_async(key, options=options)
