"""Reads the first bytes of files, and of what lies beside them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from bulk_upload.core.folder.likeness import FileHead
from bulk_upload.core.folder.own_files import (
    COMPANIONS,
    LINEAGE_SUFFIX,
    OF_A_LEDGER,
    QUARANTINED,
    is_ledger,
)
from bulk_upload.core.purposes import LINE_BYTES_MAX
from bulk_upload.core.validation.file_types import PARQUET_MAGIC
from bulk_upload.edge.folder.first_bytes import READING, first_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST_BYTES = 64 * 1024


def head_of(path: str, *, columns_of: Callable[[int], tuple[str, ...] | None]) -> FileHead:
    """Return the beginning of a file, with its first line whole where that is possible.

    `columns_of` returns the columns of an open Parquet file, None where they cannot be read.

    Raises:
        OSError: it cannot be read, or is no longer a regular file.
    """
    descriptor = os.open(path, READING)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        content = os.read(descriptor, FIRST_BYTES)
        if content.startswith(PARQUET_MAGIC):
            return FileHead(content=content, is_whole=False, columns=columns_of(descriptor))
        while b"\n" not in content and len(content) < LINE_BYTES_MAX and b"\0" not in content[:FIRST_BYTES]:
            piece = os.read(descriptor, len(content) or FIRST_BYTES)
            if not piece:
                return FileHead(content=content, is_whole=True)
            content += piece
        return FileHead(content=content, is_whole=len(content) >= status.st_size)
    finally:
        os.close(descriptor)


def own_by_neighbours(path: str) -> str | None:
    """Return what a file of ours is by the file that it belongs to: of a ledger, or of a quarantine."""
    for suffix in COMPANIONS:
        if path.endswith(suffix) and _begins_like_a_ledger(path.removesuffix(suffix)):
            return OF_A_LEDGER
    for suffix in QUARANTINED:
        if path.endswith(suffix) and os.path.isfile(path.removesuffix(suffix) + LINEAGE_SUFFIX):
            return "of a quarantine"
    return None


def _begins_like_a_ledger(path: str) -> bool:
    return is_ledger(first_bytes(path))
