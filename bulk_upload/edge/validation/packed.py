"""Reads compressed lines, gzip and Zstandard, in pieces: nothing is unpacked to disk, nor whole into memory."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from bulk_upload.core.shapes.command import PLAIN
from bulk_upload.core.validation.line_splitter import PIECE_BYTES
from bulk_upload.core.validation.rules import Complaint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_GZIP = b"\x1f\x8b"
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
MAGIC_BYTES = len(_ZSTANDARD)

_PACKED_BYTES = 16 * 1024
"""Little, because of what it may become."""

_REASON_CHARACTERS = 120


def is_packed(head: bytes) -> bool:
    """Whether a file with such first bytes is compressed in a way that can be read here."""
    return head.startswith((_GZIP, _ZSTANDARD))


def unpacked(file: IO[bytes], head: bytes) -> Iterator[bytes | Complaint]:
    """Yield the content of a compressed file in pieces, and complaints about its compression.

    Raises OSError when the file system fails.
    """
    name, pieces = ("gzip", _gunzipped(file)) if head.startswith(_GZIP) else ("Zstandard", _unzstd(file))
    packed = Complaint(
        "compressed", f"the file is {name}, not JSON Lines", remedy="Write an unpacked copy", convert=PLAIN
    )
    try:
        yield from pieces
    except ImportError:
        yield packed
        yield Complaint(
            "compressed-unread", "what is in the file was not checked: zstandard is not installed"
        )
    except _Damaged as error:
        # It cannot be unpacked.
        yield Complaint("bad-compressed", f"the {name} data is damaged or was cut off: {error}")
    else:
        yield packed


class _Damaged(Exception):
    """The compressed data ends too early, or is none."""


def _gunzipped(file: IO[bytes]) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as reader:
        while True:
            try:
                piece = reader.read(PIECE_BYTES)
            except (gzip.BadGzipFile, zlib.error, EOFError) as error:
                raise _Damaged(str(error)[:_REASON_CHARACTERS]) from None
            if not piece:
                return
            yield piece


def _unzstd(file: IO[bytes]) -> Iterator[bytes]:
    import zstandard  # noqa: PLC0415 - an extra

    decompressor = zstandard.ZstdDecompressor()
    # Not its reader, which says nothing when the last frame lacks its end.
    frame = decompressor.decompressobj()
    is_within = False
    while data := file.read(_PACKED_BYTES):
        while data:
            try:
                piece = frame.decompress(data)
            except zstandard.ZstdError as error:
                raise _Damaged(str(error)[:_REASON_CHARACTERS]) from None
            if piece:
                yield piece
            is_within = not frame.eof
            data = b"" if is_within else frame.unused_data
            if not is_within:
                frame = decompressor.decompressobj()
    if is_within:
        raise _Damaged("the last frame has no end")
