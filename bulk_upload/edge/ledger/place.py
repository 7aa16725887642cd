"""Whether a ledger can live where it was asked to."""

from __future__ import annotations

import os
from contextlib import suppress

from bulk_upload.core.display import printable
from bulk_upload.errors import LedgerUnusable

_NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "9p",
        "ceph",
        "lustre",
    }
)


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
            path = fields[1].replace("\\040", " ")
            inside = folder == path or folder.startswith(path.rstrip("/") + "/")
            if inside and len(path) >= len(best_path):
                best_path, best_kind = path, fields[2]
    return best_kind
