"""`--api-key-file`: reads a key from a file that nobody else can read, or that nobody here can protect better."""

from __future__ import annotations

import os
import shlex
import stat

from bulk_upload.cli.output import tell
from bulk_upload.core.display import printable
from bulk_upload.errors import UsageError

_BYTES_MAX = 10_000

_warned_of: set[str] = set()


def bytes_in(path: str) -> bytes:
    """Return what is in a key file.

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
            hint="check the name given to --api-key-file",
        ) from None


def _check_mode(path: str, descriptor: int) -> None:
    status = os.fstat(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    if not mode & 0o077:
        return
    shown = printable(path)
    if os.fstatvfs(descriptor).f_flag & os.ST_RDONLY:
        _warn_once(path, f"others can read the API key in {shown}, and its file system is read-only")
        return
    if os.geteuid() in (0, status.st_uid):
        raise UsageError(
            f"others can read the API key in {shown}", hint=f"chmod 600 {printable(shlex.quote(path))}"
        )
    if status.st_uid == 0 and not mode & 0o022:
        _warn_once(path, f"others can read the API key in {shown}, which belongs to root")
        return
    raise UsageError(
        f"others can read or change the API key in {shown}, which belongs to somebody else",
        hint="have a file of your own for it, with chmod 600",
    )


def _warn_once(path: str, what: str) -> None:
    if path not in _warned_of:
        _warned_of.add(path)
        tell(f"warning: {what}")
