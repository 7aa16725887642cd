"""Whether a ledger can live where it was asked to, and whether it is still there."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from bulk_upload.core.display import printable
from bulk_upload.errors import LedgerUnusable

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.ceph",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gpfs",
        "lustre",
        "nfs",
        "nfs4",
        "smb3",
        "smbfs",
    }
)
_OCTAL = re.compile(r"\\([0-7]{3})")


def require_local_folder(ledger_path: str, *, mounts: str = "/proc/self/mounts") -> None:
    """Raise LedgerUnusable unless the ledger's folder exists and is on this machine.

    SQLite's write-ahead log needs shared memory, which a network file system cannot give
    (https://sqlite.org/wal.html). Where the mounts cannot be read, nothing is refused.
    """
    folder = os.path.dirname(os.path.abspath(ledger_path))
    if not os.path.isdir(folder):
        raise LedgerUnusable(
            f"the ledger's folder {printable(folder)} does not exist",
            hint="create it, or choose another with --ledger FILE",
        )
    kind = _file_system(os.path.realpath(folder), mounts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise LedgerUnusable(
            f"the ledger's folder {printable(folder)} is on a network file system ({kind})",
            hint="a ledger needs a local disk: pass --ledger FILE with a place on this machine",
        )


def _file_system(folder: str, mounts: str) -> str | None:
    best_path, best_kind = "", None
    with suppress(OSError), open(mounts, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split(" ")
            if len(fields) < 3:
                continue
            path = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[1])
            inside = folder == path or folder.startswith(path.rstrip("/") + "/")
            if inside and len(path) >= len(best_path):
                best_path, best_kind = path, fields[2]
    return best_kind


class FilesInPlace:
    """Watches that a ledger's files keep their names.

    A file that is moved, replaced or deleted while it is open takes what is written to it along, without any
    error: the next run would find a ledger that lacks what was recorded.
    """

    def __init__(self, ledger_path: str) -> None:
        self._ledger_path = ledger_path
        self._identities = self._look()

    def require(self) -> None:
        """Raise LedgerUnusable when a file is no longer the one that had its name at first."""
        if self._look() != self._identities:
            raise LedgerUnusable(
                f"the ledger {printable(self._ledger_path)} was moved, replaced or deleted during the run",
                hint="put the ledger and its -wal file back under their names before you run again;"
                " without them files may be uploaded twice",
            )

    def _look(self) -> list[tuple[int, int] | None]:
        return [_identity(self._ledger_path + suffix) for suffix in ("", "-wal")]


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
