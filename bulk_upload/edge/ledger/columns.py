"""Converts values to columns and back, odd ones included: every file name can be recorded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.content_hash import BLAKE3_PREFIX, blake3_in, sha256_in
from bulk_upload.core.model import Fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

Integer = int | bytes
"""A whole number: as an INTEGER where 64 bits hold it, else as a BLOB of its decimal digits."""

_INTEGERS = range(-(1 << 63), 1 << 63)


def from_integer(number: int) -> Integer:
    """Return the column of a number. Inodes of network drives and times after 2262 need more than 63 bits."""
    return number if number in _INTEGERS else str(number).encode("ascii")


def to_integer(column: object) -> int:
    """Return the number in a column."""
    if type(column) is int:
        return column
    if not isinstance(column, int | bytes):
        raise TypeError(f"expected an integer, found {type(column).__name__}")
    return int(column)


FINGERPRINT = ("size", "mtime_ns", "inode", "ctime_ns", "etag", "version")
"""The columns of a fingerprint, in the order of `from_fingerprint`."""

FINGERPRINT_SQL = ", ".join(FINGERPRINT)
SET_FINGERPRINT = ", ".join(f"{one} = ?" for one in FINGERPRINT)

FingerprintColumns = tuple[Integer, Integer, Integer, Integer | None, str | None, str | None]


def fingerprint_of(table: str) -> str:
    """Return the columns of a fingerprint in a table, by the name that a statement has for it."""
    return ", ".join(f"{table}.{one}" for one in FINGERPRINT)


def from_fingerprint(fingerprint: Fingerprint) -> FingerprintColumns:
    """Return the columns of `FINGERPRINT`."""
    return (
        from_integer(fingerprint.size),
        from_integer(fingerprint.mtime_ns),
        from_integer(fingerprint.inode),
        from_change_time(fingerprint),
        optional_text(fingerprint.etag),
        optional_text(fingerprint.version),
    )


def from_change_time(fingerprint: Fingerprint | None) -> Integer | None:
    """Return the column `ctime_ns`, None where the change time is not known."""
    if fingerprint is None or fingerprint.ctime_ns is None:
        return None
    return from_integer(fingerprint.ctime_ns)


def from_version(fingerprint: Fingerprint | None) -> str | None:
    """Return the column `version`, None where the version of an object is not known: lists do not show it."""
    return None if fingerprint is None else optional_text(fingerprint.version)


def to_fingerprint(columns: Sequence[object]) -> Fingerprint | None:
    """Return the fingerprint in the columns of `FINGERPRINT`, None where they are NULL."""
    size, mtime_ns, inode, ctime_ns, etag, version = columns
    if size is None:
        return None
    return Fingerprint(
        size=to_integer(size),
        mtime_ns=to_integer(mtime_ns),
        inode=to_integer(inode),
        ctime_ns=None if ctime_ns is None else to_integer(ctime_ns),
        etag=None if etag is None else str(etag),
        version=None if version is None else str(version),
    )


HASHES = ("sha256", "blake3")
"""The columns of a content's hash, in the order of `from_content_hash`: one of them has it."""

HASHES_SQL = ", ".join(HASHES)


def from_content_hash(content_hash: str | None) -> tuple[str | None, str | None]:
    """Return the columns of `HASHES`, both None where no hash is known."""
    return sha256_in(content_hash), blake3_in(content_hash)


def content_hash_of(table: str) -> str:
    """Return what has a content's hash as its text in a table, by the name that a statement has for it."""
    return f"coalesce({table}.sha256, '{BLAKE3_PREFIX}' || {table}.blake3)"


def from_path(path: str) -> bytes:
    """Return the bytes of a file name as the disk has them."""
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        # No file can have this name; the ledger must still identify the entry.
        return from_exact_text(path)


def to_path(column: object) -> str:
    """Return the file name in a column that `from_path` made."""
    if not isinstance(column, bytes):
        raise TypeError(f"expected bytes, found {type(column).__name__}")
    return os.fsdecode(column)


def from_text(text: str) -> str:
    """Return text as SQLite can store it: surrogates, which UTF-8 cannot encode, are spelled out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def optional_text(text: str | None) -> str | None:
    """Return text as SQLite can store it; None stays None."""
    return None if text is None else from_text(text)


def from_exact_text(text: str) -> bytes:
    """Return text as bytes that `to_exact_text` turns into the same text again, whatever it is."""
    return text.encode("utf-8", "surrogatepass")


def to_exact_text(column: object) -> str:
    """Return the text in a column that `from_exact_text` made."""
    if not isinstance(column, bytes):
        raise TypeError(f"expected bytes, found {type(column).__name__}")
    return column.decode("utf-8", "surrogatepass")
