"""Reads the first bytes of files, to judge them before they are read whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Beginning(NamedTuple):
    """The first bytes of a file; `is_whole` says that there are no more."""

    content: bytes
    is_whole: bool


def beginning_of(open_file: Callable[[], int], byte_count: int) -> Beginning | None:
    """Return up to `byte_count` first bytes of a file, None where it cannot be read. Blocks.

    `open_file` returns a fresh descriptor or raises OSError.
    """
    try:
        descriptor = open_file()
    except (OSError, ValueError):
        return None
    try:
        # One byte more shows whether there are more.
        content = os.pread(descriptor, byte_count + 1, 0)
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return Beginning(content[:byte_count], is_whole=len(content) <= byte_count)
