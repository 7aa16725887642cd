"""How the C library allocates memory for this process."""

from __future__ import annotations

import ctypes
import sys

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""


def share_one_arena() -> bool:
    """Have all threads allocate from one arena; return whether the C library supports that.

    glibc gives each thread its own and keeps freed file blocks in each: 5 to 10 MB more for the same
    run, and not faster (measured with 16 files in flight). Changes the whole process: for programs to call,
    not for libraries.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))
