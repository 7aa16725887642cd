"""Reads the first bytes of a file, by which a ledger is recognised."""

from __future__ import annotations

import os
import stat

READING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""Without waiting: a pipe that took the place of a file must not keep the scan."""

_DATABASE_BYTES = 100


def first_bytes(path: str) -> bytes:
    """Return the first bytes of a regular file; nothing where they cannot be read."""
    try:
        descriptor = os.open(path, READING)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(descriptor, _DATABASE_BYTES) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)
