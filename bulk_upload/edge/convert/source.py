"""Reads a data file of any packing as UTF-8 text, piece by piece. Everything blocks."""

from __future__ import annotations

import bz2
import codecs
import csv
import errno
import gzip
import hashlib
import io
import lzma
import os
import stat
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bulk_upload.core.convert.framing import HEAD_BYTES, RECORD_BYTES_MAX
from bulk_upload.core.shapes.values import ValueTooLong
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.shell_words import path_word
from bulk_upload.core.text.text_bytes import BOM, wide_json
from bulk_upload.edge.output import descriptor_of
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _typeshed import WriteableBuffer

STANDARD_INPUT = "-"
PIECE_BYTES = 256 * 1024

_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_MAGIC_BYTES = 6
_MARKS = (
    (BOM, None, "byte order mark"),
    # UTF-32 first: its mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_SEEN_BYTES = 64
_BAD_DATA = (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class Source:
    """An open data file.

    `head` is the beginning of its text, `is_whole` whether it is all of it, and `mended` names what was done to its
    bytes to make them UTF-8.
    """

    def __init__(self, raw: _Hashing) -> None:
        self._raw = raw
        stream, self.packing = _unpacked(io.BufferedReader(raw, PIECE_BYTES))
        self._stream = stream
        start = _filled(self._read, HEAD_BYTES)
        encoding, mark, self.mended = _encoding_of(start)
        self._decoder = None if encoding is None else codecs.getincrementaldecoder(encoding)("strict")
        self.is_whole = len(start) < HEAD_BYTES
        self.head = self._text(start[mark:], final=self.is_whole)

    @property
    def byte_count(self) -> int:
        """How many bytes of the file were read."""
        return self._raw.byte_count

    @property
    def sha256(self) -> str:
        """The hash of what was read of the file, as it is on disk."""
        return self._raw.hasher.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """Return the text of the file. Raises UsageError where it cannot be unpacked or decoded."""
        yield self.head
        while piece := self._read(PIECE_BYTES):
            yield self._text(piece)
        if self._decoder is not None and not self.is_whole:
            yield self._text(b"", final=True)

    def _read(self, size: int) -> bytes:
        try:
            return bytes(self._stream.read(size))
        except _BAD_DATA as error:
            raise _unusable(self.packing, error) from None
        except OSError as error:
            if error.errno is not None:
                raise
            raise _unusable(self.packing, error) from None
        except Exception as error:
            # zstandard's own error, whose type is known only where it is installed.
            if type(error).__name__ != "ZstdError":
                raise
            raise _unusable(self.packing, error) from None

    def _text(self, piece: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return piece
        try:
            return self._decoder.decode(piece, final).encode()
        except UnicodeError as error:
            raise UsageError(
                f"the text is not what its first bytes say: {error}", hint="save it as UTF-8"
            ) from None


_HINTS = {errno.ENOSPC: "free some space, or name another place with -o", errno.ENOENT: "check the name"}


@contextmanager
def explained(path: str, *, doing: str) -> Iterator[None]:
    """Raise UsageError in words for what may happen while a file is read."""
    name = printable(path)
    try:
        yield
    except ValueTooLong:
        limit = human_bytes(RECORD_BYTES_MAX)
        raise UsageError(f"{name} holds a value of more than {limit}", hint="split the file") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is not UTF-8: {error.reason} (0x{error.object[error.start]:02x})",
            hint='save it as "CSV UTF-8"',
        ) from None
    except OSError as error:
        raise UsageError(
            f"cannot {doing} {name}: {error.strerror or error}", hint=_HINTS.get(error.errno or 0)
        ) from error


@contextmanager
def long_cells() -> Iterator[None]:
    """Let cells of CSV be as long as records may be."""
    before = csv.field_size_limit(RECORD_BYTES_MAX)
    try:
        yield
    finally:
        csv.field_size_limit(before)


@contextmanager
def opened(path: str, on_bytes: Callable[[int], None] | None = None) -> Iterator[tuple[Source, int]]:
    """Yield the file at `path`, `-` for standard input, and its descriptor. Raises UsageError, OSError."""
    descriptor = _descriptor(path)
    try:
        yield Source(_Hashing(descriptor, on_bytes)), descriptor
    finally:
        os.close(descriptor)


def _descriptor(path: str) -> int:
    given = 0 if path == STANDARD_INPUT else descriptor_of(path)
    if given is not None:
        return os.dup(given)
    # A named pipe without a writer would block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            files = path_word(path.rstrip("/"))
            raise UsageError(
                f"{printable(path)} is a folder",
                hint=f"name its files: bulk-upload convert {files}/*.jsonl --purpose P",
            )
        raise UsageError(
            f"{printable(path)} is not a regular file",
            hint="for a pipe, write `-` in its place, and let the shell read it: - < PIPE",
        )
    return descriptor


class _Hashing(io.RawIOBase):
    """The bytes of a descriptor, hashed as they are read."""

    def __init__(self, descriptor: int, on_bytes: Callable[[int], None] | None) -> None:
        self._descriptor = descriptor
        self._on_bytes = on_bytes
        self.hasher = hashlib.sha256()
        self.byte_count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        count = os.readv(self._descriptor, [view])
        self.hasher.update(view[:count])
        self.byte_count += count
        if self._on_bytes is not None:
            self._on_bytes(count)
        return count


def _unpacked(stream: io.BufferedReader) -> tuple[Any, str | None]:
    magic = stream.peek(_MAGIC_BYTES)[:_MAGIC_BYTES]
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=stream), "gzip"
    if magic.startswith(_BZIP2):
        return bz2.BZ2File(stream), "bzip2"
    if magic.startswith(_XZ):
        return lzma.LZMAFile(stream), "xz"
    if magic.startswith(_ZSTD):
        return _zstd(stream), "Zstandard"
    return stream, None


def _zstd(stream: io.BufferedReader) -> Any:  # noqa: ANN401 - the reader of an extra
    try:
        import zstandard  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            "the file is compressed by Zstandard, and the package to read it is not installed",
            hint="pip install 'bulk-upload[zstd]', or unpack it: zstd -d FILE",
        ) from None
    return zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)


def _filled(read: Callable[[int], bytes], size: int) -> bytes:
    pieces = []
    while size > 0 and (piece := read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _encoding_of(start: bytes) -> tuple[str | None, int, str | None]:
    """Return the encoding of a text other than UTF-8, the length of a mark to leave out, and what that is called."""
    for mark, encoding, name in _MARKS:
        if start.startswith(mark):
            return encoding, len(mark) if encoding is None else 0, name
    seen = start[:_SEEN_BYTES]
    if len(seen) >= 8 and any(seen):
        if not any(seen[1::2]):
            return "utf-16-le", 0, "UTF-16"
        if not any(seen[::2]):
            return "utf-16-be", 0, "UTF-16"
    wide = wide_json(start)
    return wide, 0, None if wide is None else "UTF-16"


def _unusable(packing: str | None, error: Exception) -> UsageError:
    return UsageError(
        f"the {packing} data cannot be unpacked: {error}", hint="the file may be cut off: copy it again"
    )
