"""Recognises that this machine cannot start more threads or processes, or open more files."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bulk_upload.errors import ResourceShortage

if TYPE_CHECKING:
    from collections.abc import Iterator

_THREADS = (
    "no further thread or process can be started",
    "raise the limit (`ulimit -u`, a container's pids limit) or end other processes of this user, then run again",
)
_PROCESS_FILES = (
    "this process may open no further file or connection",
    "raise the limit with `ulimit -n`, then run again",
)
_SYSTEM_FILES = (
    "this machine opens no further file or connection for anybody",
    "raise fs.file-max or end other programs, then run again",
)
_MEMORY = (
    "there is no memory left",
    "free some, or raise the limit (`ulimit -v`, a container's), then run again",
)
_BY_ERRNO = {
    errno.EMFILE: _PROCESS_FILES,
    errno.ENFILE: _SYSTEM_FILES,
    errno.ENOMEM: _MEMORY,
}
_NO_THREAD = "can't start new thread"
"""CPython's message for any failure of pthread_create (Modules/_threadmodule.c); there is no class of its own for
it."""


def shortage_in(error: BaseException) -> ResourceShortage | None:
    """Return the shortage behind an error, None where it is about something else."""
    found = None
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        found = _THREADS
    elif isinstance(error, OSError) and error.errno in _BY_ERRNO:
        found = _BY_ERRNO[error.errno]
    elif isinstance(error, MemoryError):
        found = _MEMORY
    return None if found is None else _shortage(found)


def no_thread() -> ResourceShortage:
    """Return the shortage of threads."""
    return _shortage(_THREADS)


def _shortage(found: tuple[str, str]) -> ResourceShortage:
    what, remedy = found
    return ResourceShortage(f"this machine is short of resources: {what}", hint=remedy)


@contextmanager
def naming_shortage() -> Iterator[None]:
    """Raise ResourceShortage in place of an error caused by one; leave other errors unchanged."""
    try:
        yield
    except (RuntimeError, OSError, MemoryError) as error:
        shortage = shortage_in(error)
        if shortage is None:
            raise
        raise shortage from None
