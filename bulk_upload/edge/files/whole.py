"""A small file read in one piece, with as few calls as prove that it did not change meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.content_hash import ContentHasher, HashFunction, hash_of
from bulk_upload.core.run.source import LoadedFile, SourceError, SourceGrew
from bulk_upload.edge.files.hashed import fingerprint_of, prove_unchanged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.doubt.content import ByteRange
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.source import ContentCheck

_PIECE_BYTES = 1024 * 1024


def read_whole(
    descriptor: int,
    path: str,
    *,
    bytes_max: int,
    hashing: HashFunction | None = HashFunction.SHA256,
    ignore_ctime: bool = False,
    content_check: ContentCheck | None = None,
) -> LoadedFile | SourceGrew:
    """Read an open file from its beginning to its end; SourceGrew where it is larger than `bytes_max`.

    Raises OSError, and SourceError when the file changed meanwhile.
    """
    opened_as = os.fstat(descriptor)
    if opened_as.st_size > bytes_max:
        return SourceGrew(fingerprint_of(opened_as, ignore_ctime=ignore_ctime))
    content = read_exactly(descriptor, opened_as.st_size)
    proven = prove_unchanged(
        descriptor,
        path,
        opened_as,
        has_same_content=None if ignore_ctime else lambda: _has_content(descriptor, content),
    )
    return LoadedFile(
        content=content,
        content_hash=None if hashing is None else hash_of(content, hashing),
        fingerprint=fingerprint_of(proven, ignore_ctime=ignore_ctime),
        report=None if content_check is None else content_check(content),
    )


def hash_ranges(
    descriptor: int,
    path: str,
    *,
    expected: Fingerprint | None,
    ranges: Sequence[ByteRange],
    function: HashFunction,
    ignore_ctime: bool = False,
) -> tuple[str, Fingerprint]:
    """Hash some ranges of an open file, one after another.

    Raises OSError, and SourceError when it is not the `expected` version or changed meanwhile.
    """
    opened_as = os.fstat(descriptor)
    if expected is not None and not expected.same_version(
        fingerprint_of(opened_as, ignore_ctime=ignore_ctime)
    ):
        raise SourceError("the file has changed")
    content_hash = _hash_of(descriptor, ranges, function)
    proven = prove_unchanged(
        descriptor,
        path,
        opened_as,
        has_same_content=None
        if ignore_ctime
        else lambda: _hash_of(descriptor, ranges, function) == content_hash,
    )
    return content_hash, fingerprint_of(proven, ignore_ctime=ignore_ctime)


def read_exactly(descriptor: int, byte_count: int) -> bytes:
    """Read exactly this many bytes. Raises OSError, and SourceError when there are fewer."""
    content = os.read(descriptor, byte_count)
    while len(content) < byte_count:
        piece = os.read(descriptor, byte_count - len(content))
        if not piece:
            raise SourceError("the file became shorter while it was sent")
        content += piece
    return content


def _has_content(descriptor: int, content: bytes) -> bool:
    """Whether an open file, read once more from its beginning, has this content."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    return read_exactly(descriptor, len(content)) == content


def _hash_of(descriptor: int, ranges: Sequence[ByteRange], function: HashFunction) -> str:
    hasher = ContentHasher(function)
    for one in ranges:
        os.lseek(descriptor, one.start, os.SEEK_SET)
        left_bytes = one.length
        while left_bytes:
            piece = read_exactly(descriptor, min(left_bytes, _PIECE_BYTES))
            hasher.update(piece)
            left_bytes -= len(piece)
    return hasher.text
