"""The one way files are written: whole or not at all, and durable before they get their name."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from bulk_upload.edge.output.device_paths import is_device_folder
from bulk_upload.edge.output.place import OutputRefused, Place, place_of, require_ours_alone

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE_MODE = 0o600
"""Mode of a private file: read and written by its owner only."""

_NEW_MODE = 0o666
"""Before the umask is applied."""

_MODE_KEPT = 0o777
"""The permission bits, without set-user-ID, set-group-ID and sticky."""

_WRITING = os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP})
"""Errors of file systems that cannot sync a folder: fsync(2)."""

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES})
"""Errors of file systems without hard links: link(2), and those that FUSE and FAT return."""


@contextmanager
def replaced(path: str, *, private: bool = False) -> Iterator[BinaryIO]:
    """Yield a stream whose content takes the place of the file at `path` when the block ends well.

    The content is durable before the name is. When the block raises, the old file stays and nothing else is
    left. A symbolic link is followed and stays a link. A new file gets the mode that the
    umask leaves; an existing one keeps its mode, and its owner where the system allows it; a private one is
    for its owner alone. A stream, a device or a pipe (`/dev/stdout`) cannot be replaced and is written to directly.

    Raises:
        OSError: the file cannot be written; the old one is untouched. OutputRefused where it would be unsafe.
    """
    place = place_of(path)
    if place.is_stream:
        with _opened(place, os.O_TRUNC) as stream:
            yield stream
        return
    with _temporary(place) as temporary:
        with _made(temporary, private=private) as stream:
            _take_over(stream.fileno(), place.status, private=private)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, place.path)
    _sync_folder(place.folder)


@contextmanager
def created(path: str, *, private: bool = False) -> Iterator[str]:
    """Yield the name of an empty file that becomes the one at `path` when the block ends well.

    A file that got the name meanwhile is never replaced. A process that dies halfway leaves nothing at
    `path`, so a file there is always complete.

    Raises:
        FileExistsError: there is a file at `path`.
        OSError: it cannot be made. OutputRefused where it would be unsafe.
    """
    place = place_of(path)
    if place.status is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    with _temporary(place) as temporary:
        _made(temporary, private=private).close()
        yield temporary
        _sync(temporary, os.O_RDONLY)
        _give_name(temporary, place.path)
    _sync_folder(place.folder)


def open_to_append(path: str, *, private: bool = False) -> BinaryIO:
    """Return a stream that adds to the file at `path`; streams, devices and pipes are written to as they are.

    Raises:
        OSError: it cannot be opened. OutputRefused where that would be unsafe.
    """
    place = place_of(path)
    if place.is_stream:
        return _opened(place, os.O_APPEND)
    mode = PRIVATE_MODE if private else _NEW_MODE
    descriptor = os.open(place.path, _WRITING | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, mode)
    try:
        # The name may now belong to another file than the one that was checked.
        require_ours_alone(os.fstat(descriptor), place.folder)
        if private:
            _make_private(descriptor)
        return os.fdopen(descriptor, "ab")
    except BaseException:
        os.close(descriptor)
        raise


class FileSet:
    """Files that get their names together, once all of them are durable; existing files are replaced.

    Modes, links and refusals are as in `replaced`.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._private = private
        self._open: list[tuple[BinaryIO, str, Place]] = []

    def add(self, path: str) -> BinaryIO:
        """Begin a file. Raises OSError, OutputRefused."""
        place = place_of(path)
        if place.is_stream:
            raise OutputRefused("it is no regular file")
        temporary = _name_beside(place)
        stream = _made(temporary, private=self._private)
        self._open.append((stream, temporary, place))
        _take_over(stream.fileno(), place.status, private=self._private)
        return stream

    def commit(self, *, without: BinaryIO | None = None) -> None:
        """Make all of it durable, then give each file its name, in the order of `add`; `without` is left out."""
        for stream, _, _ in self._open:
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
        for stream, temporary, place in self._open:
            if stream is without:
                os.unlink(temporary)
            else:
                os.replace(temporary, place.path)
        for folder in sorted({place.folder for _, _, place in self._open}):
            _sync_folder(folder)

    def drop(self) -> None:
        """Remove files that have no name yet."""
        for stream, temporary, _ in self._open:
            with suppress(OSError):
                stream.close()
            with suppress(OSError):
                os.unlink(temporary)


def _opened(place: Place, flag: int) -> BinaryIO:
    """Open a target that is written directly. A descriptor is used at its current offset, as the shell left it."""
    if place.descriptor is not None:
        return os.fdopen(os.dup(place.descriptor), "wb")
    in_devices = is_device_folder(place.folder)
    descriptor = os.open(place.path, _WRITING | flag | (0 if in_devices else os.O_NOFOLLOW))
    try:
        if not in_devices:
            require_ours_alone(os.fstat(descriptor), place.folder)
        return os.fdopen(descriptor, "wb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def _temporary(place: Place) -> Iterator[str]:
    """Yield a name for a temporary file, which is removed when the block raises."""
    name = _name_beside(place)
    try:
        yield name
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _name_beside(place: Place) -> str:
    # Short, so that it fits wherever the file's own name does.
    return os.path.join(place.folder, f".{secrets.token_hex(8)}.tmp")


def _made(temporary: str, *, private: bool) -> BinaryIO:
    mode = PRIVATE_MODE if private else _NEW_MODE
    return os.fdopen(os.open(temporary, _WRITING | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb")


def _take_over(descriptor: int, old: os.stat_result | None, *, private: bool) -> None:
    """Give a file the owner and the mode of the one it replaces."""
    if old is None:
        return
    for owner in (old.st_uid, -1):
        try:
            os.fchown(descriptor, owner, old.st_gid)
            break
        except OSError:
            # Only root can give files away, and other users may only set a group of their own.
            continue
    if private:
        _make_private(descriptor)
    else:
        os.fchmod(descriptor, stat.S_IMODE(old.st_mode) & _MODE_KEPT)


def _make_private(descriptor: int) -> None:
    os.fchmod(descriptor, PRIVATE_MODE)


def _give_name(temporary: str, path: str) -> None:
    """Give a file its name unless another one has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path) from None
        os.rename(temporary, path)
    else:
        os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    """Make the names in a folder durable, where the file system supports that."""
    try:
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise


def _sync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
