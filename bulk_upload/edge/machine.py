"""What this process may use of its machine, within its affinity and its cgroup."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from bulk_upload.core.fleet.process_count import Machine

_CGROUP = "/sys/fs/cgroup"


def usable_processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def usable_machine() -> Machine:
    """Return the processors and the memory that this process may use."""
    processors = float(usable_processors())
    quota = _cgroup_processors()
    if quota is not None:
        processors = min(processors, quota)
    free = [one for one in (_free_bytes(), _cgroup_free_bytes()) if one is not None]
    return Machine(processors=processors, memory_bytes=min(free, default=None))


def _cgroup_processors() -> float | None:
    """Return the share of processor time of this cgroup (version 2) as a number of processors."""
    words = _text(f"{_own_cgroup()}/cpu.max").split()
    if len(words) != 2 or not all(one.isdigit() for one in words):
        return None
    return int(words[0]) / int(words[1])


def _cgroup_free_bytes() -> int | None:
    limit, used = (_text(f"{_own_cgroup()}/memory.{name}").strip() for name in ("max", "current"))
    return max(0, int(limit) - int(used)) if limit.isdigit() and used.isdigit() else None


def _own_cgroup() -> str:
    for line in _text("/proc/self/cgroup").splitlines():
        if line.startswith("0::"):
            return _CGROUP + line.removeprefix("0::").rstrip("/")
    return _CGROUP


def _free_bytes() -> int | None:
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _text(path: str) -> str:
    with suppress(OSError), open(path, encoding="ascii", errors="replace") as file:
        return file.read()
    return ""
