"""Reading the files that are sent: open late, hash on the way, check at the end that nothing changed.

Reads run on a thread pool of their own, so that a slow disk starves neither the event loop nor the ledger.
"""

from __future__ import annotations

import asyncio
import os
import time
from concurrent import futures
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files.hashed import HashedFile, source_error
from bulk_upload.edge.files.pool import FileCalls, ReadingPool
from bulk_upload.edge.files.streamed import Blocks, StreamedFile
from bulk_upload.edge.files.whole import hash_ranges, read_whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from concurrent.futures import Future

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.source import ContentCheck, Source

_Opened = TypeVar("_Opened", bound="LoadedFile | HashedFile")

READING_THREADS = 8
"""Enough for any disk, and fewer than the maximum of uploads in flight: the C library keeps memory for each
thread (2 MB and more with blocks of this size). Threads that hang do not count."""

SMALL_FILE_BYTES_MAX = 256 * 1024
"""Files up to this size are read in one piece, whole batches of them in one hop to the reading pool."""

SLOW_FILE_S = 0.002
"""A small file that takes longer than this comes from a cold or distant disk: then several are read at once.
From a warm cache one thread reads faster than several, which would wait for each other at the interpreter."""

PART_FILES_MIN = 4

AT_ONCE_S = 0.004
"""How long a busy event loop does nothing while a batch of small files is read. Each system call of the reading thread
lets go of the interpreter lock; beside a thread that wants it, the thread gets it back only after a switch of threads,
several times a file. From a warm cache a batch takes half of this. Where it does not, the loop goes on, and waits only for
every `TRIED_EVERY`th batch, to see whether that has changed."""

TRIED_EVERY = 32


def part_count_for(file_count: int, waited_s_per_file: float, *, thread_count: int) -> int:
    """Return on how many threads to read this many small files, given how long the previous ones took."""
    if waited_s_per_file < SLOW_FILE_S:
        return 1
    # Half of the threads: large files are read meanwhile, too.
    return max(1, min(thread_count // 2, file_count // PART_FILES_MIN))


class Opener(Protocol):
    """Opens a regular file of the job beneath its root; see `source_tree.SourceTree`."""

    def open_regular(self, relative_path: str) -> int:
        """Return a descriptor; raises OSError."""

    def absolute(self, relative_path: str) -> str:
        """Return the path to show and to stat."""


class FileReader:
    """Opens and reads the files of one job on a thread pool of its own.

    Args:
        tree: where files are opened, and refused if they lie outside.
        thread_count: how many reads may run at once.
        stuck_s: how long one call to the file system may take before it is abandoned: a dead mount never answers.
        hashing: what is read to be sent is hashed with on the way, None for no hash.
        ignore_ctime: see `Job.ignore_ctime`.
    """

    def __init__(
        self,
        tree: Opener,
        *,
        thread_count: int,
        stuck_s: float = 60.0,
        hashing: HashFunction | None = HashFunction.SHA256,
        ignore_ctime: bool = False,
    ) -> None:
        self._tree = tree
        self._thread_count = thread_count
        self._pool = ReadingPool(thread_count)
        self._stuck_s = stuck_s
        self._hashing = hashing
        self._ignore_ctime = ignore_ctime
        self._blocks = Blocks()
        self._waited_s_per_file = 0.0
        self._slow_count = 0
        """Batches that were not read at once, since the last one that was."""

    async def open(self, path: str, *, function: HashFunction | None = None) -> StreamedFile:
        """Open a file to stream it, whatever its size. Raises SourceError.

        It is hashed on the way with `function`, None for what the reader hashes with.
        """
        calls = self._calls()
        file = await _opened(calls, calls.submit(self._open, path, hashing=function or self._hashing))
        return StreamedFile(file, calls, self._blocks)

    @asynccontextmanager
    async def source(self, path: str, *, expected: Fingerprint | None = None) -> AsyncIterator[Source]:  # noqa: ARG002
        """Hold a file ready to be sent: read in the hop that opens it where one block holds all of it, else opened.

        As it is, whatever was `expected`. Raises SourceError.
        """
        calls = self._calls()
        place = object()
        self._blocks.hold(place)
        try:
            taken = await _opened(calls, calls.submit(self._take, path, self._blocks.block_bytes()))
            if isinstance(taken, LoadedFile):
                yield taken
                return
        finally:
            self._blocks.drop(place)
        async with StreamedFile(taken, calls, self._blocks) as stream:
            yield stream

    async def load(
        self,
        paths: Sequence[str],
        content_checks: Sequence[ContentCheck | None] | None = None,
        *,
        expected: Sequence[Fingerprint | None] | None = None,  # noqa: ARG002 - read as they are
    ) -> list[LoadedFile | SourceError]:
        """Read small files whole, in one hop, or a few at once where the disk is slow.

        A file that cannot be read has its error in its place. `content_checks`, one for each path, are shown the
        content in the same hop. A file that is no longer small has SourceGrew in its place: the caller streams it
        instead. Where the file system does not answer, all of them have that error: which file caused it is unknown.
        """
        if not paths:
            return []
        files = list(
            zip(paths, [None] * len(paths) if content_checks is None else content_checks, strict=True)
        )
        part_count = part_count_for(len(files), self._waited_s_per_file, thread_count=self._thread_count)
        size = -(-len(files) // part_count)
        parts = [files[start : start + size] for start in range(0, len(files), size)]
        if len(parts) == 1:
            return await self._load_part(files)
        loaded: list[list[LoadedFile | SourceError]] = [[]] * len(parts)

        async def load(place: int) -> None:
            loaded[place] = await self._load_part(parts[place])

        async with anyio.create_task_group() as tasks:
            for place in range(len(parts)):
                tasks.start_soon(load, place)
        return [file for part in loaded for file in part]

    async def _load_part(
        self, files: Sequence[tuple[str, ContentCheck | None]]
    ) -> list[LoadedFile | SourceError]:
        calls = self._calls()
        loading = calls.submit(self._load_all, files)
        if self._is_read_at_once(loading):
            loaded, self._waited_s_per_file = loading.result()
            return loaded
        try:
            loaded, self._waited_s_per_file = await calls.result_of(asyncio.wrap_future(loading))
        except SourceError as error:
            return [error] * len(files)
        return loaded

    def _is_read_at_once(self, loading: Future[Any]) -> bool:
        """Wait for a batch without letting the event loop go on, as long as that is worth it; return whether it is read."""
        if self._slow_count % TRIED_EVERY or self._waited_s_per_file >= SLOW_FILE_S:
            self._slow_count += 1
            return False
        futures.wait((loading,), AT_ONCE_S)
        is_read = loading.done()
        self._slow_count = 0 if is_read else self._slow_count + 1
        return is_read

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file as it is now, only some `ranges` of it where any are given. Raises SourceError, also for a file
        that is not the `expected` version."""
        if ranges:
            calls = self._calls()
            hashing = calls.submit(self._hash_ranges, path, function, expected, tuple(ranges))
            return await calls.result_of(asyncio.wrap_future(hashing))
        async with await self.open(path, function=function) as file:
            if expected is not None and not expected.same_version(file.fingerprint):
                raise SourceError("the file has changed")
            while await file.read():
                pass
            if file.content_hash is None:
                raise AssertionError("asked to hash")
            return file.content_hash, file.fingerprint

    def close(self) -> None:
        """End the threads once queued calls are done; one that hangs in a read is abandoned."""
        # Queued calls are not cancelled: files that are no longer read must still be closed.
        self._pool.shutdown(wait=False)

    def _calls(self) -> FileCalls:
        return FileCalls(self._pool, self._stuck_s)

    def _open(self, path: str, *, hashing: HashFunction | None) -> HashedFile:
        try:
            return HashedFile(
                self._tree.open_regular(path),
                self._tree.absolute(path),
                hashing=hashing,
                ignore_ctime=self._ignore_ctime,
            )
        except OSError as error:
            raise source_error(error) from error

    def _hash_ranges(
        self, path: str, function: HashFunction, expected: Fingerprint | None, ranges: tuple[ByteRange, ...]
    ) -> tuple[str, Fingerprint]:
        try:
            descriptor = self._tree.open_regular(path)
            try:
                return hash_ranges(
                    descriptor,
                    self._tree.absolute(path),
                    expected=expected,
                    ranges=ranges,
                    function=function,
                    ignore_ctime=self._ignore_ctime,
                )
            finally:
                os.close(descriptor)
        except OSError as error:
            raise source_error(error) from error

    def _take(self, path: str, block_bytes: int) -> LoadedFile | HashedFile:
        name = self._tree.absolute(path)
        try:
            descriptor = self._tree.open_regular(path)
            keeps_open = False
            try:
                taken = read_whole(
                    descriptor,
                    name,
                    bytes_max=block_bytes,
                    hashing=self._hashing,
                    ignore_ctime=self._ignore_ctime,
                )
                if isinstance(taken, LoadedFile):
                    return taken
                file = HashedFile(descriptor, name, hashing=self._hashing, ignore_ctime=self._ignore_ctime)
                keeps_open = True
                return file
            finally:
                # Some file systems report only at close what they could not read.
                if not keeps_open:
                    os.close(descriptor)
        except OSError as error:
            raise source_error(error) from error

    def _load_all(
        self, files: Sequence[tuple[str, ContentCheck | None]]
    ) -> tuple[list[LoadedFile | SourceError], float]:
        """Return the files, and the average wait for each, without the time to hash and check it."""
        began, began_cpu = time.perf_counter(), time.thread_time()
        loaded = [self._load(path, content_check) for path, content_check in files]
        waited_s = (time.perf_counter() - began) - (time.thread_time() - began_cpu)
        return loaded, waited_s / len(files)

    def _load(self, path: str, content_check: ContentCheck | None) -> LoadedFile | SourceError:
        try:
            descriptor = self._tree.open_regular(path)
            try:
                return read_whole(
                    descriptor,
                    self._tree.absolute(path),
                    bytes_max=SMALL_FILE_BYTES_MAX,
                    hashing=self._hashing,
                    ignore_ctime=self._ignore_ctime,
                    content_check=content_check,
                )
            finally:
                os.close(descriptor)
        except SourceError as error:
            return error
        except OSError as error:
            return source_error(error)


async def _opened(calls: FileCalls, opening: Future[_Opened]) -> _Opened:
    """Wait for a file; it is closed again when the caller is cancelled."""
    try:
        return await calls.result_of(asyncio.wrap_future(opening))
    except BaseException:
        opening.add_done_callback(_close_unwanted)
        raise


def _close_unwanted(opening: Future[_Opened]) -> None:
    if opening.cancelled() or opening.exception() is not None:
        return
    file = opening.result()
    if isinstance(file, HashedFile):
        file.close()
