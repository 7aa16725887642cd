"""Replacing a file as a whole: readers see the old one or the new one, also after a power cut."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replaced(path: str) -> Iterator[BinaryIO]:
    """Give a stream whose content takes the place of the file at `path` when the block ends well.

    The content is durable before the name is. When the block raises, the old file stays and nothing else is
    left. A symbolic link is followed, so that it goes on pointing to its file; an existing file keeps its mode.
    A device or a pipe (`/dev/stdout`) cannot be replaced and is written to directly.

    Raises:
        OSError: the file cannot be written; the old one is untouched.
    """
    target = os.path.realpath(path)
    mode = _mode(target)
    if mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        with open(target, "wb") as stream:
            yield stream
        return
    folder = os.path.dirname(target)
    # Short, so that it fits wherever the target's own name does.
    temporary = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as stream:
            if mode is not None:
                os.fchmod(stream.fileno(), stat.S_IMODE(mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
