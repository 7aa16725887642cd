"""Reads objects to be sent: one GET for each, of the version that was planned, or nothing of it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.content_hash import ContentHasher, HashFunction, hash_of
from bulk_upload.core.objects.address import read_address
from bulk_upload.core.run.source import LoadedFile, SourceChanged, SourceError, SourceGrew
from bulk_upload.edge.objects.failures import REPLACED
from bulk_upload.edge.objects.places import Places
from bulk_upload.edge.objects.stream import BLOCK_BYTES, BLOCK_BYTES_MANY, ObjectStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.source import ContentCheck
    from bulk_upload.edge.objects.stores import Stores

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
        hashing: what is read to be sent is hashed with on the way, None for no hash.
    """

    def __init__(self, stores: Stores, *, hashing: HashFunction | None = HashFunction.SHA256) -> None:
        self._stores = stores
        self._places = Places(stores)
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

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash an object as it is now, only some `ranges` of it where any are given. Raises SourceError, also for one
        that is not the `expected` version."""
        if ranges:
            return await self._hash_ranges(path, function, expected, ranges)
        async with await self._stream(path, expected, hashing=function) as stream:
            while await stream.read():
                pass
            if stream.content_hash is None:
                raise AssertionError("asked to hash")
            return stream.content_hash, stream.fingerprint

    async def version(self, path: str) -> Fingerprint:
        """Return the version of an object that its store has now. Raises SourceError, UsageError."""
        address = read_address(path)
        return await self._places.of(address).look(address)

    async def _stream(
        self, path: str, expected: Fingerprint | None, *, hashing: HashFunction | None
    ) -> ObjectStream:
        address = read_address(path)
        place = self._places.of(address)
        answer = await place.open(address, expected or await place.look(address))

        async def confirm() -> None:
            if not answer.is_bound and not answer.fingerprint.same_version(await answer.look()):
                raise SourceError(REPLACED, transient=True)

        return ObjectStream(
            answer.blocks(self._block_bytes()),
            answer.fingerprint,
            stall_s=self._stores.stall_s,
            hashing=hashing,
            confirm=confirm,
            release=answer.close,
        )

    def _block_bytes(self) -> int:
        return BLOCK_BYTES if self._open_count <= FEW_OPEN_MAX else BLOCK_BYTES_MANY

    async def _load(
        self, path: str, content_check: ContentCheck | None, expected: Fingerprint | None
    ) -> LoadedFile:
        address = read_address(path)
        place = self._places.of(address)
        answer = await place.open(address, expected or await place.look(address))
        found = answer.fingerprint
        try:
            if found.size > SMALL_OBJECT_BYTES_MAX:
                raise SourceGrew(found)
            content = await answer.whole()
            if len(content) != found.size:
                raise SourceError("the store sent another number of bytes than it announced", transient=True)
            if not answer.is_bound and not found.same_version(await answer.look()):
                raise SourceError(REPLACED, transient=True)
        finally:
            answer.close()
        looking = partial(_loaded, content, found, content_check, hashing=self._hashing)
        return await asyncio.get_running_loop().run_in_executor(self._pool, looking)

    def close(self) -> None:
        """End the threads and the connections."""
        self._pool.shutdown(wait=False)
        self._places.close()

    async def _hash_ranges(
        self, path: str, function: HashFunction, expected: Fingerprint | None, ranges: Sequence[ByteRange]
    ) -> tuple[str, Fingerprint]:
        address = read_address(path)
        place = self._places.of(address)
        expected = expected or await place.look(address)
        hasher = ContentHasher(function)
        for one in ranges:
            answer = await place.open(address, expected, part=one)
            try:
                if not answer.fingerprint.same_version(expected):
                    raise SourceChanged("the object has changed", answer.fingerprint, transient=True)
                content = await answer.whole()
            finally:
                answer.close()
            if len(content) != one.length:
                raise SourceError("the store does not serve parts of the object")
            hasher.update(content)
        return hasher.text, expected


def _loaded(
    content: bytes, found: Fingerprint, content_check: ContentCheck | None, *, hashing: HashFunction | None
) -> LoadedFile:
    return LoadedFile(
        content=content,
        content_hash=None if hashing is None else hash_of(content, hashing),
        fingerprint=found,
        report=None if content_check is None else content_check(content),
    )
