"""Which file system a folder is on, and which kind of journal SQLite can keep there."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHARED = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "davfs", "drvfs", "fuse", "gfs2", "gpfs", "lustre", "nfs", "nfs4", "ocfs2",
        "orangefs", "panfs", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs",
    }
)  # fmt: skip
"""Named as in /proc/self/mounts. Other machines may have the same files open, or the file system is a
program of its own (FUSE): memory that is mapped from a file need not be shared there."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class Journal(StrEnum):
    """How SQLite makes a transaction atomic; the value is that of `PRAGMA journal_mode`."""

    WAL = "wal"
    """A write-ahead log: readers and the writer do not wait for each other. Needs shared memory."""
    ROLLBACK = "truncate"
    """The previous pages, in a file beside the ledger, truncated at each commit. Needs only locks."""


def file_system_of(folder: str, mounts: Iterable[str]) -> str | None:
    """Return the kind of file system of an absolute folder without links, None where `mounts` does not list it.

    `mounts` has the lines of /proc/self/mounts; of several on one mount point the last one is visible.
    """
    best_path, best_kind = "", None
    for line in mounts:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        path = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
        inside = folder == path or folder.startswith(path.rstrip("/") + "/")
        if inside and len(path) >= len(best_path):
            best_path, best_kind = path, fields[2]
    return best_kind


def journal_for(kind: str | None) -> Journal:
    """Return the journal for a kind of file system: a rollback journal where shared memory cannot be relied on.

    SQLite's write-ahead log does not work over a network file system (https://sqlite.org/wal.html).
    """
    if kind is None:
        return Journal.WAL
    return Journal.ROLLBACK if kind in _SHARED or kind.startswith("fuse.") else Journal.WAL
