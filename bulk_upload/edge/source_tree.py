"""The files of a job: checked before a plan, opened at the last moment, never outside their root.

Names are checked twice on purpose. `inspect` reports what is wrong before anything is sent;
`open_regular` checks again on the open file, because a name may lead elsewhere by then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.manifest.paths import (
    PathComplaint,
    is_beneath,
    is_plain,
    nul_in_path,
    outside_root,
    unencodable_path,
)
from bulk_upload.core.manifest.paths import relative_path as canonical_path
from bulk_upload.core.text.printable import escaped
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.manifest.similar_names import FolderNames

FOLDERS_REMEMBERED_MAX = 4096
"""How many folders are cached as beneath the root or not."""

NAMES_REMEMBERED_MAX = 100_000
"""How many names of a folder are read to find the one that is meant; a larger folder is not searched."""

_FOLDERS_SEARCHED_MAX = 8

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OPEN_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_ACCESS_AS_EFFECTIVE_USER = os.access in os.supports_effective_ids


class OutsideRoot(OSError):
    """The name led to a file outside the root."""


class NotRegular(OSError):
    """The name led to a folder, a pipe, a socket or a device."""


class SourceTree:
    """Finds and opens files beneath one root. All calls block; they may come from any thread.

    Args:
        root: the folder that relative paths start from.
        follow_symlinks: whether symbolic links may lead out of the root.
        allow_outside: whether absolute paths may name files outside the root.

    Attributes:
        root: the root without symbolic links, `.` or `..`.
        root_as_typed: another absolute spelling of it, if it was given as one.

    Raises:
        UsageError: the root is not a folder.
    """

    def __init__(self, root: str, *, follow_symlinks: bool = False, allow_outside: bool = False) -> None:
        try:
            self.root = _real_folder(root)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no folder can have this name"
            raise UsageError(
                f"the root {quoted(root)} cannot be used: {reason}",
                hint="--root names the folder that the paths in the manifest start from",
            ) from error
        self._prefix = self.root.rstrip("/") + "/"
        typed = os.path.abspath(root)
        # abspath drops `name/..` blindly, which is another folder where `name` is a symbolic link.
        self.root_as_typed = typed if typed != self.root and os.path.realpath(typed) == self.root else None
        self._root_as_opened = _folder_as_opened(self.root)
        self._follow_symlinks = follow_symlinks
        self._allow_outside = allow_outside
        self._folder_leaves = lru_cache(maxsize=FOLDERS_REMEMBERED_MAX)(self._leaves)
        self._names_in = lru_cache(maxsize=_FOLDERS_SEARCHED_MAX)(_names_in)

    def absolute(self, relative_path: str) -> str:
        """Return the absolute path of a file, symbolic links not followed."""
        return relative_path if relative_path.startswith("/") else self._prefix + relative_path

    def inspect(self, relative_path: str) -> os.stat_result | PathComplaint:
        """Return the status of the regular file that a path names, or why it cannot be sent. Nothing is opened."""
        if "\0" in relative_path:
            return nul_in_path(relative_path)
        full = self.absolute(relative_path)
        if self._is_named_outside(relative_path):
            return outside_root(self._as_typed(relative_path), self.root)
        if relative_path and not is_plain(relative_path):
            named = canonical_path(relative_path, root=self.root, allow_outside=True)
            if isinstance(named, PathComplaint):
                return named
        try:
            return self._inspected(relative_path, full)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return self._missing(relative_path, full)
            return _unusable(relative_path, error)
        except UnicodeEncodeError:
            return unencodable_path(relative_path)

    def open_regular(self, relative_path: str) -> int:
        """Open a file for reading and return its descriptor, which the caller closes.

        The check that the file lies beneath the root uses the open descriptor: a symbolic link that replaced
        it meanwhile has no effect.

        Raises:
            OutsideRoot: the file lies elsewhere, and the tree does not allow that.
            NotRegular: it is not a regular file.
            OSError: it cannot be opened.
        """
        if "\0" in relative_path:
            raise OSError(errno.EINVAL, "the path contains a NUL character")
        if self._is_named_outside(relative_path):
            raise OutsideRoot(errno.EACCES, f"it is outside the root {self.root}")
        try:
            descriptor = os.open(self.absolute(relative_path), _OPEN_FLAGS)
        except UnicodeEncodeError as error:
            raise OSError(errno.EINVAL, "the path contains half of a surrogate pair") from error
        try:
            self._prove(descriptor, relative_path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _inspected(self, path: str, full: str) -> os.stat_result | PathComplaint:
        contained = self._is_contained(path)
        if contained and self._folder_leaves(full.rpartition("/")[0] or "/"):
            return self._led_outside(path, full)
        status = os.lstat(full)
        if stat.S_ISLNK(status.st_mode):
            if contained and self._leaves(full):
                return self._led_outside(path, full)
            status = os.stat(full)
        if not stat.S_ISREG(status.st_mode):
            return PathComplaint(
                rule="not-a-file",
                found=f"{quoted(path)} is {_kind(status.st_mode)}, not a regular file",
                remedy="Name a regular file, or remove the line",
            )
        if not os.access(full, os.R_OK, effective_ids=_ACCESS_AS_EFFECTIVE_USER):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return status

    def _missing(self, path: str, full: str) -> PathComplaint:
        found = f"there is no file {quoted(path)}"
        remedy = "Create it, correct the path, or name the folder that paths start from with --root"
        if (target := _link_target(full)) is not None:
            found = f"{quoted(path)} is a symbolic link to {quoted(target)}, which is not there"
            remedy = "Create what it links to, or correct the link"
        elif (similar := self._similar(full)) is not None:
            spelled = "" if path.isascii() else f" (spelled {quoted(escaped(path))})"
            found = f"{found}{spelled}; {similar}"
            remedy = "Write the name as the folder has it; `bulk-upload scan FOLDER` does"
        elif "\\" in path:
            remedy = 'Write "/" between folders, not "\\"'
        return PathComplaint(rule="missing-file", found=found, remedy=remedy)

    def _similar(self, full: str) -> str | None:
        """Return words about the name that a missing path may mean; None where nothing is like it."""
        folder, _, rest = full.rpartition("/")
        missing = rest
        while folder and not os.path.isdir(folder):
            folder, _, missing = folder.rpartition("/")
        folder = folder or "/"
        if self._folder_leaves(folder) and not (self._follow_symlinks or self._allow_outside):
            return None
        names = self._names_in(folder)
        similar = None if names is None else names.nearest(missing)
        if similar is None:
            return None
        return similar.words("folder" if os.path.isdir(os.path.join(folder, similar.name)) else "file")

    def _is_contained(self, path: str) -> bool:
        """Whether the file itself, and not only its name, must lie beneath the root."""
        return not (self._follow_symlinks or (self._allow_outside and path.startswith("/")))

    def _leaves(self, full: str) -> bool:
        real = os.path.realpath(full)
        return real != self.root and not is_beneath(real, self.root)

    def _is_named_outside(self, path: str) -> bool:
        if self._allow_outside or not (path.startswith("/") or ".." in path):
            return False
        return not is_beneath(os.path.normpath(self.absolute(path)), self.root)

    def _as_typed(self, path: str) -> str:
        """Return a path outside the root as a manifest near the root has it: `../a`, unless they share no folder."""
        if path.startswith("/") and os.path.commonpath([path, self.root]) != "/":
            return os.path.relpath(path, self.root)
        return path

    def _led_outside(self, path: str, full: str) -> PathComplaint:
        return PathComplaint(
            rule="symlink-outside-root",
            found=f"{quoted(path)} leads through a symbolic link to {quoted(os.path.realpath(full))}, "
            f"outside the root {quoted(self.root)}",
            remedy="Put the file itself there, or allow such links with --follow-symlinks",
        )

    def _prove(self, descriptor: int, path: str) -> None:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise NotRegular(errno.EINVAL, f"it is {_kind(mode)}, not a regular file")
        if not self._is_contained(path):
            return
        real = _path_of(descriptor, self.absolute(path))
        if not is_beneath(real, self._root_as_opened):
            raise OutsideRoot(errno.EACCES, f"it is outside the root {self.root}")


def _real_folder(name: str) -> str:
    if not name:
        # realpath treats it as the current folder, which was not requested.
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    real = os.path.realpath(name, strict=True)
    if not os.path.isdir(real):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    return real


def _path_of(descriptor: int, name: str) -> str:
    """Return the real path of an open file; `name` is what it was opened as."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 (only there is F_GETPATH)

        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return _path_by_name(descriptor, name)


def _folder_as_opened(folder: str) -> str:
    """Return what `_path_of` calls a folder: the spelling of its volume, which may differ in case from ours."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return folder
    try:
        return _path_of(descriptor, folder)
    finally:
        os.close(descriptor)


def _path_by_name(descriptor: int, name: str) -> str:
    """Return the real path of `name` if it still names the open file, else nothing: the weaker proof."""
    real = os.path.realpath(name)
    with contextlib.suppress(OSError):
        if os.path.samestat(os.lstat(real), os.fstat(descriptor)):
            return real
    return ""


def _names_in(folder: str) -> FolderNames | None:
    """Return the names in a folder, None where it cannot be read or has too many."""
    try:
        with os.scandir(folder) as entries:
            names = [one.name for one in islice(entries, NAMES_REMEMBERED_MAX + 1)]
    except OSError:
        return None
    from bulk_upload.core.manifest.similar_names import FolderNames  # noqa: PLC0415 - only a mistake needs it

    return FolderNames(names) if len(names) <= NAMES_REMEMBERED_MAX else None


def _link_target(full: str) -> str | None:
    try:
        return os.readlink(full)
    except OSError:
        return None


def _kind(mode: int) -> str:
    return next((name for is_kind, name in _KINDS if is_kind(mode)), "something else")


def _unusable(path: str, error: OSError) -> PathComplaint:
    if error.errno in (errno.EACCES, errno.EPERM):
        remedy = "Allow this user to read the file and to enter its folders"
        return PathComplaint(rule="unreadable-file", found=f"{quoted(path)} may not be read", remedy=remedy)
    remedy = "Correct the path, or make the file readable"
    if is_transient(error):
        remedy = "Check the disk or the mount that the file is on, then run again"
    return PathComplaint(
        rule="unreadable-file",
        found=f"{quoted(path)} cannot be read: {error.strerror or type(error).__name__}",
        remedy=remedy,
        transient=is_transient(error),
    )
