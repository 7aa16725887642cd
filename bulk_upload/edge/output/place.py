"""Where an output goes, behind all links, and whether it may be written there.

In a folder where everybody may make files (`/tmp`), another user can place a link or a file under the name of an
output: through the link the output would destroy a file of ours; the file would make them owner of what we write.
Both are refused there. In other folders links are followed: only users who can change our files can make one there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from typing import NamedTuple

from bulk_upload.edge.output.device_paths import descriptor_in, is_device_folder

_STANDARD_MAX = 2
"""Standard error, the last descriptor that every process is given."""


_LINKS_MAX = 40
"""The number of links that Linux follows in one path: path_resolution(7)."""


class OutputRefused(OSError):
    """A file that must not be written to; `strerror` says why, as of any other OSError."""

    def __init__(self, why: str) -> None:
        super().__init__(errno.EPERM, why)


class Place(NamedTuple):
    """Where an output goes: the path behind all links, and what is there now.

    `descriptor` is set where the path names one of this process.
    """

    path: str
    status: os.stat_result | None
    descriptor: int | None = None

    @property
    def folder(self) -> str:
        """The folder it is in."""
        return os.path.dirname(self.path)

    @property
    def is_stream(self) -> bool:
        """Whether it is written directly: a descriptor, a device, a pipe, and everything in /dev and /proc."""
        if self.status is None:
            return False
        mode = self.status.st_mode
        is_file = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
        return self.descriptor is not None or not is_file or is_device_folder(self.folder)


def require_safe(path: str) -> None:
    """Raise OutputRefused where no file may be made or written to, and OSError where that cannot be determined.

    For files that others write, such as SQLite: they follow links and take what they find.
    """
    place = place_of(path)
    if place.status is not None:
        require_ours_alone(place.status, place.folder)


def is_stream(path: str) -> bool:
    """Whether a path names a stream, a device or a pipe; False also where that cannot be determined."""
    try:
        return _followed(path).is_stream
    except OSError:
        return False


def descriptor_of(path: str) -> int | None:
    """Return the descriptor of this process that a path names, behind any links; None where it names none."""
    try:
        return _followed(path).descriptor
    except OSError:
        return None


def place_of(path: str) -> Place:
    """Follow the links of a path where that is safe, and require that it may be written to."""
    place = _followed(path, require_safe_link=True)
    if place.descriptor is not None:
        _require_given(place.descriptor)
    elif is_device_folder(place.folder):
        if place.status is None:
            raise OutputRefused(f"no files are made in {place.folder}")
    elif place.status is not None:
        _require_own(place.status, place.folder)
    return place


def _followed(path: str, *, require_safe_link: bool = False) -> Place:
    for _ in range(_LINKS_MAX):
        if (descriptor := descriptor_in(os.path.abspath(path), pid=os.getpid())) is not None:
            return Place(path, os.fstat(descriptor), descriptor)
        folder = os.path.realpath(os.path.dirname(path) or ".")
        path = os.path.join(folder, os.path.basename(path))
        # The links of /proc lead to open files, some of which have no name: they are opened, not followed.
        status = _status(path, follow=is_device_folder(folder))
        if status is None or not stat.S_ISLNK(status.st_mode):
            return Place(path, status)
        if require_safe_link and _anybody_writes(folder):
            raise OutputRefused(f"it is a symbolic link in {folder}, where anybody may have laid it")
        path = os.path.join(folder, os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _status(path: str, *, follow: bool) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except (FileNotFoundError, ValueError):
        # A name with a NUL, or that cannot be encoded, is no file's.
        return None


def _anybody_writes(folder: str) -> bool:
    """Whether anybody may make files in a folder.

    A group that may write is a team that works on the same files; with the sticky bit its members are kept apart,
    and count as anybody does (as with `fs.protected_regular=2`: proc_sys_fs(5)).
    """
    mode = os.stat(folder).st_mode
    return bool(mode & stat.S_IWOTH or (mode & stat.S_IWGRP and mode & stat.S_ISVTX))


def _require_own(status: os.stat_result, folder: str) -> None:
    if status.st_uid != os.geteuid() and _anybody_writes(folder):
        raise OutputRefused(f"it is another user's file in {folder}, where anybody may have laid it")


def require_ours_alone(status: os.stat_result, folder: str) -> None:
    """Also refuse a file of ours that another user hard-linked: the output would overwrite it."""
    _require_own(status, folder)
    if stat.S_ISREG(status.st_mode) and status.st_nlink > 1 and _anybody_writes(folder):
        raise OutputRefused(f"it is a hard link in {folder}, where anybody may have laid it")


def _require_given(descriptor: int) -> None:
    """Refuse a descriptor that this process did not inherit: it may be the ledger's, or a connection's."""
    if descriptor > _STANDARD_MAX and fcntl.fcntl(descriptor, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
        raise OutputRefused(f"this command was not given a descriptor {descriptor}")
