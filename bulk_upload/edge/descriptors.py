"""How many files and connections this process may have open."""

from __future__ import annotations

import resource

WANTED = 8192
"""Two descriptors per upload, for the maximum of uploads in flight, with room to spare."""


def raise_descriptor_limit(wanted: int = WANTED) -> int:
    """Raise the soft limit of open descriptors as far as the hard one allows; return the limit in force.

    Many systems start a process with 256 or 1024 and allow more on request. Changes the whole process: for
    programs to call, not for libraries.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    aim = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft == resource.RLIM_INFINITY or soft >= aim:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (aim, hard))
    except (OSError, ValueError):
        # macOS refuses more than its kernel's own limit, whatever the hard limit says.
        return soft
    return aim
