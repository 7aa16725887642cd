"""Reads objects to be sent: one GET for each, of the version that was planned, or nothing of it."""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from bulk_upload.core.objects.address import read_address
from bulk_upload.core.run.source import LoadedFile, SourceChanged, SourceError, SourceGrew
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.objects.failures import REPLACED, no_answer, source_error
from bulk_upload.edge.objects.stream import BLOCK_BYTES, BLOCK_BYTES_MANY, ObjectStream
from bulk_upload.edge.objects.versions import if_match, version_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Sequence

    from obstore import GetOptions, GetResult
    from obstore.store import ObjectStore

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.objects.address import Address
    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.edge.objects.stores import Stores

_T = TypeVar("_T")

SMALL_OBJECT_BYTES_MAX = 256 * 1024
"""Objects up to this size are read whole, as files are."""

LOADED_AT_ONCE = 32
"""How many small objects are fetched side by side: each waits for the store most of the time."""


FEW_OPEN_MAX = 8
"""With more objects open, each has smaller blocks: two of them are in memory for each."""

CHECKING_THREADS = 2
"""Small objects are hashed and checked beside the event loop."""


class ObjectReader:
    """Reads the objects of a job.

    A store serves one version of an object in one answer. Where the answer breaks, obstore asks for the rest: with the
    tag of the version, so that the parts cannot be of two. Without a strong tag the rest is never asked for, and the
    object is looked at once more before its last block is handed over.

    Args:
        stores: where the objects are.
        hashing: whether what is read to be sent is hashed on the way.
    """

    def __init__(self, stores: Stores, *, hashing: bool = True) -> None:
        self._stores = stores
        self._hashing = hashing
        self._open_count = 0
        self._loading = anyio.CapacityLimiter(LOADED_AT_ONCE)
        self._pool = ThreadPoolExecutor(CHECKING_THREADS, thread_name_prefix="bulk-upload-objects")

    @asynccontextmanager
    async def source(self, path: str, *, expected: Fingerprint | None = None) -> AsyncIterator[ObjectStream]:
        """Hold an object open to be sent. Raises SourceError; SourceChanged where it is not the `expected` version."""
        self._open_count += 1
        try:
            async with await self._stream(path, expected, hashing=self._hashing) as stream:
                yield stream
        finally:
            self._open_count -= 1

    async def load(
        self,
        paths: Sequence[str],
        content_checks: Sequence[ContentCheck | None] | None = None,
        *,
        expected: Sequence[Fingerprint | None] | None = None,
    ) -> list[LoadedFile | SourceError]:
        """Read small objects whole, many at once; one that cannot be read has its error in its place."""
        loaded: list[LoadedFile | SourceError] = [SourceError("not read")] * len(paths)
        checks = [None] * len(paths) if content_checks is None else content_checks
        wanted = [None] * len(paths) if expected is None else expected

        async def load(place: int) -> None:
            async with self._loading:
                try:
                    loaded[place] = await self._load(paths[place], checks[place], wanted[place])
                except SourceError as error:
                    loaded[place] = error

        async with anyio.create_task_group() as tasks:
            for place in range(len(paths)):
                tasks.start_soon(load, place)
        return loaded

    async def sha256(
        self, path: str, *, expected: Fingerprint | None = None, ranges: Sequence[ByteRange] = ()
    ) -> tuple[str, Fingerprint]:
        """Hash an object as it is now, only some `ranges` of it where any are given. Raises SourceError, also for one
        that is not the `expected` version."""
        if ranges:
            return await self._hash_ranges(path, expected, ranges)
        async with await self._stream(path, expected, hashing=True) as stream:
            while await stream.read():
                pass
            if stream.sha256 is None:
                raise AssertionError("asked to hash")
            return stream.sha256, stream.fingerprint

    async def version(self, path: str) -> Fingerprint:
        """Return the version of an object that its store has now. Raises SourceError, UsageError."""
        return await self._look(read_address(path))

    async def _stream(self, path: str, expected: Fingerprint | None, *, hashing: bool) -> ObjectStream:
        address = read_address(path)
        expected = expected or await self._look(address)
        result, found = await self._get(address, expected)

        async def confirm() -> None:
            if found.strong_etag is None and not found.same_version(await self._look(address)):
                raise SourceError(REPLACED, transient=True)

        return ObjectStream(
            result.stream(self._block_bytes()),
            found,
            stall_s=self._stores.stall_s,
            hashing=hashing,
            confirm=confirm,
        )

    def _block_bytes(self) -> int:
        return BLOCK_BYTES if self._open_count <= FEW_OPEN_MAX else BLOCK_BYTES_MANY

    async def _load(
        self, path: str, content_check: ContentCheck | None, expected: Fingerprint | None
    ) -> LoadedFile:
        address = read_address(path)
        result, found = await self._get(address, expected or await self._look(address))
        if found.size > SMALL_OBJECT_BYTES_MAX:
            raise SourceGrew(found)
        content = bytes(await self._answer(result.bytes_async()))
        if len(content) != found.size:
            raise SourceError("the store sent another number of bytes than it announced", transient=True)
        if found.strong_etag is None and not found.same_version(await self._look(address)):
            raise SourceError(REPLACED, transient=True)
        looking = partial(_loaded, content, found, content_check, hashing=self._hashing)
        return await asyncio.get_running_loop().run_in_executor(self._pool, looking)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False)

    async def _hash_ranges(
        self, path: str, expected: Fingerprint | None, ranges: Sequence[ByteRange]
    ) -> tuple[str, Fingerprint]:
        address = read_address(path)
        expected = expected or await self._look(address)
        digest = hashlib.sha256()
        for one in ranges:
            result, found = await self._get(address, expected, part=one)
            if not found.same_version(expected):
                raise SourceChanged("the object has changed", found, transient=True)
            content = await self._answer(result.bytes_async())
            if len(content) != one.length:
                raise SourceError("the store does not serve parts of the object")
            digest.update(content)
        return digest.hexdigest(), expected

    async def _get(
        self, address: Address, expected: Fingerprint, *, part: ByteRange | None = None
    ) -> tuple[GetResult, Fingerprint]:
        """Ask for an object, or a part of it. Raises SourceError; SourceChanged where it is another version."""
        tag = expected.strong_etag
        options: GetOptions = {}
        if tag is not None:
            options["if_match"] = if_match(tag)
        if part is not None:
            options["range"] = (part.start, part.start + part.length)
        store = self._stores.of(address, resumes=tag is not None)
        try:
            result = await self._answer(_get(store, address.key, options))
        except SourceError as error:
            if error.reason != REPLACED:
                raise
            now = await self._look(address)
            if now.same_version(expected):
                # The store contradicts itself, as caches do for a while.
                raise
            raise SourceChanged("the object has changed since it was planned", now, transient=True) from None
        return result, version_of(result.meta)

    async def _look(self, address: Address) -> Fingerprint:
        """Return the version that the store has now. Raises SourceError."""
        store = self._stores.asked(address)
        return version_of(await self._answer(store.head_async(address.key)))

    async def _answer(self, asking: Awaitable[_T]) -> _T:
        """Wait for the store as long as it may stand still. Raises SourceError."""
        limit = asyncio.timeout(self._stores.stall_s)
        try:
            async with limit:
                return await asking
        except TimeoutError as error:
            if limit.expired():
                raise no_answer(human_seconds(self._stores.stall_s)) from None
            raise source_error(error) from None
        except Exception as error:  # noqa: BLE001 - obstore raises what it likes
            raise source_error(error) from None


async def _get(store: ObjectStore, key: str, options: GetOptions) -> GetResult:
    return await store.get_async(key, options=options)


def _loaded(
    content: bytes, found: Fingerprint, content_check: ContentCheck | None, *, hashing: bool
) -> LoadedFile:
    return LoadedFile(
        content=content,
        sha256=hashlib.sha256(content).hexdigest() if hashing else None,
        fingerprint=found,
        report=None if content_check is None else content_check(content),
    )
