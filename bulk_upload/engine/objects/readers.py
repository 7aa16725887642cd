"""Reads files and objects: each path by the reader for it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.objects.address import is_address
from bulk_upload.core.run.source import SourceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.ports import Reader
    from bulk_upload.core.run.source import ContentCheck, LoadedFile, Source
    from bulk_upload.edge.files import FileReader
    from bulk_upload.edge.objects.reader import ObjectReader


class Readers:
    """A reader of files, and one of objects for paths that are addresses."""

    def __init__(self, files: FileReader, objects: ObjectReader) -> None:
        self._files = files
        self.objects = objects

    @asynccontextmanager
    async def source(self, path: str, *, expected: Fingerprint | None = None) -> AsyncIterator[Source]:
        """Hold a file or an object ready to be sent. Raises SourceError."""
        async with self._reader(path).source(path, expected=expected) as source:
            yield source

    async def load(
        self,
        paths: Sequence[str],
        content_checks: Sequence[ContentCheck | None] | None = None,
        *,
        expected: Sequence[Fingerprint | None] | None = None,
    ) -> list[LoadedFile | SourceError]:
        """Read small files and objects whole; one that cannot be read has its error in its place."""
        objects = [place for place, path in enumerate(paths) if is_address(path)]
        if not objects:
            return await self._files.load(paths, content_checks, expected=expected)
        files = [place for place, path in enumerate(paths) if not is_address(path)]
        loaded: list[LoadedFile | SourceError] = [SourceError("not read")] * len(paths)

        async def load(reader: Reader, places: list[int]) -> None:
            found = await reader.load(
                [paths[one] for one in places],
                None if content_checks is None else [content_checks[one] for one in places],
                expected=None if expected is None else [expected[one] for one in places],
            )
            for place, one in zip(places, found, strict=True):
                loaded[place] = one

        async with anyio.create_task_group() as tasks:
            for reader, places in ((self._files, files), (self.objects, objects)):
                if places:
                    tasks.start_soon(load, reader, places)
        return loaded

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file or an object as it is now, only some `ranges` of it where any are given. Raises SourceError, also
        for one that is not the `expected` version."""
        return await self._reader(path).hash_content(path, function, expected=expected, ranges=ranges)

    def close(self) -> None:
        """End the threads of both."""
        self._files.close()
        self.objects.close()

    def _reader(self, path: str) -> Reader:
        return self.objects if is_address(path) else self._files
