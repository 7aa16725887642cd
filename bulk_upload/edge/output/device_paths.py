"""Names of streams and devices: `/dev/stdin`, `/dev/fd/63`, `/proc/self/fd/1`. Nothing is ever made beside them."""

from __future__ import annotations

import posixpath
import re

_STANDARD_STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
_DESCRIPTOR = re.compile(r"/dev/fd/(\d{1,9})|/proc/(self|thread-self|\d+)/fd/(\d{1,9})")
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a name to compare with


def descriptor_in(path: str, *, pid: int) -> int | None:
    """Return the descriptor of the process `pid` that a path names, None where it names none."""
    path = posixpath.normpath(path)
    folder, name = posixpath.split(path)
    if folder == "/dev" and name in _STANDARD_STREAMS:
        return _STANDARD_STREAMS[name]
    found = _DESCRIPTOR.fullmatch(path)
    if found is None or found[2] not in (None, "self", "thread-self", str(pid)):
        return None
    return int(found[1] or found[3])


def is_device_folder(folder: str) -> bool:
    """Whether an absolute folder holds devices and processes, not files. `/dev/shm` holds files."""
    folder = posixpath.normpath(folder)
    if _is_within(folder, _SHARED_MEMORY):
        return False
    return _is_within(folder, "/dev") or _is_within(folder, "/proc")


def _is_within(folder: str, top: str) -> bool:
    return folder == top or folder.startswith(f"{top}/")
