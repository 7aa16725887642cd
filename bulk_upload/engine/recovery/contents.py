"""Compares listed files with the local files that they may have been sent from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.adoption import Sameness, sameness_of
from bulk_upload.core.doubt.content import ranges_to_compare
from bulk_upload.engine.doubt.reading_twice import Look, look_twice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.doubt.content import ByteRange, ReadBack
    from bulk_upload.core.model import Fingerprint, ListedFile
    from bulk_upload.core.run.planned import PlannedEntry


class LocalFiles(Protocol):
    """Hashes the files of a job."""

    async def hash_content(
        self,
        path: str,
        function: HashFunction,
        *,
        expected: Fingerprint | None = None,
        ranges: Sequence[ByteRange] = (),
    ) -> tuple[str, Fingerprint]:
        """Hash a file, only some `ranges` of it where any are given. Raises SourceError, also for another version than
        the `expected` one."""


class ServerContents(Protocol):
    """Returns what a server has of its files' contents."""

    async def read_back(
        self, file_id: str, *, file_bytes: int, ranges: tuple[ByteRange, ...] = ()
    ) -> ReadBack:
        """Return the hash of a content, by ranges where some are given and the server serves them."""


class ContentMatch(msgspec.Struct, frozen=True, kw_only=True):
    """How some listed files compare with one local file.

    `file` is the first with its content, None where there is none. `content_hash` is the local file's where all of it was
    compared, `detail` says how that was done. `unreadable` says why a file that may be it could not be compared, empty
    where all were.
    """

    file: ListedFile | None = None
    content_hash: str | None = None
    detail: str = ""
    unreadable: str = ""
    read_bytes: int = 0


class Contents:
    """Compares local files with those of a server; the larger ones by ranges.

    Args:
        files: the local ones.
        server: the server's.
        compare_max_bytes: larger files are compared by ranges of as many bytes in all.
    """

    def __init__(self, *, files: LocalFiles, server: ServerContents, compare_max_bytes: int) -> None:
        self._files = files
        self._server = server
        self._compare_max_bytes = compare_max_bytes

    async def match(self, planned: PlannedEntry, candidates: Sequence[ListedFile]) -> ContentMatch:
        """Return the first of some files as large as an entry's that has its content.

        Raises SourceError where the local file cannot be read or is no longer the version that was planned, and what the
        server's side raises.
        """
        fingerprint = planned.fingerprint
        if fingerprint is None or not candidates:
            return ContentMatch()
        path, size = planned.entry.path, fingerprint.size
        hashes: dict[tuple[ByteRange, ...], str] = {}
        wanted = ranges_to_compare(
            size, compare_max_bytes=self._compare_max_bytes, seed=f"{path} {fingerprint.mtime_ns}"
        )
        unreadable, read_bytes = "", 0

        async def ours(ranges: tuple[ByteRange, ...]) -> str:
            if ranges not in hashes:
                hashes[ranges], _ = await self._files.hash_content(
                    path, HashFunction.SHA256, expected=fingerprint, ranges=ranges
                )
            return hashes[ranges]

        async def look(file_id: str) -> Look:
            back = await self._server.read_back(file_id, file_bytes=size, ranges=wanted)
            content_hash = await ours(wanted if back.by_ranges else ())
            return sameness_of(back, file_bytes=size, content_hash=content_hash), back

        for file in candidates:
            sameness, back = await look_twice(partial(look, file.file_id))
            read_bytes += back.read_bytes
            if sameness is Sameness.SAME:
                how = "by ranges" if back.by_ranges else "whole"
                return ContentMatch(
                    file=file,
                    content_hash=None if back.by_ranges else hashes[()],
                    detail=f"content compared {how}",
                    read_bytes=read_bytes,
                )
            if sameness in (Sameness.UNREADABLE, Sameness.UNKNOWN):
                unreadable = back.reason or "the server returns no content"
        return ContentMatch(unreadable=unreadable, read_bytes=read_bytes)
