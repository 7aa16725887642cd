"""`--api-key-file`: reads a key from a file that no other user can read, or that the user cannot protect better."""

from __future__ import annotations

import os
import shlex
import stat

from bulk_upload.cli.output.streams import tell
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

_BYTES_MAX = 10_000

_warned_of: set[str] = set()


def bytes_in(path: str) -> bytes:
    """Return the content of a key file.

    Raises UsageError where it cannot be read, or where others can read it and a chmod would keep them from it. One
    that a container mounts is used with a warning.
    """
    try:
        with open(path, "rb") as file:
            _check_mode(path, file.fileno())
            return file.read(_BYTES_MAX)
    except OSError as error:
        raise UsageError(
            f"cannot read the API key in {printable(path)}: {error.strerror}",
            hint="check the path given with --api-key-file",
        ) from None


def exposure(*, mode: int, owner_uid: int, our_uid: int, read_only: bool) -> tuple[str, bool] | None:
    """Return who else can read a file, and whether it may be used all the same; None where no one else can.

    It may where this user cannot deny others access, and others cannot change the file.
    """
    if not mode & 0o077:
        return None
    if read_only:
        return "and its file system is read-only", True
    if our_uid in (0, owner_uid):
        return "", False
    if owner_uid == 0 and not mode & 0o022:
        return "which belongs to root", True
    return "which belongs to someone else", False


def _check_mode(path: str, descriptor: int) -> None:
    status = os.fstat(descriptor)
    exposed = exposure(
        mode=stat.S_IMODE(status.st_mode),
        owner_uid=status.st_uid,
        our_uid=os.geteuid(),
        read_only=bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY),
    )
    if exposed is None:
        return
    why, usable = exposed
    what = f"others can read the API key in {printable(path)}" + (f", {why}" if why else "")
    if not usable:
        remedy = "use your own file for it, with chmod 600" if why else None
        raise UsageError(what, hint=remedy or f"chmod 600 {printable(shlex.quote(path))}")
    if path not in _warned_of:
        _warned_of.add(path)
        tell(f"warning: {what}")
