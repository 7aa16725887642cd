"""Imports without garbage collection: modules make many objects and no garbage, and a third of them would be collected for nothing."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

NEW_OBJECTS_MAX = 20_000
"""How many new objects start a collection. A run holds thousands of values for as long as their requests take, and makes next
to no garbage: looked through after each 700, Python's own number, they took a tenth of a run of bundles, and as much
memory."""


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off garbage collection while the block imports, and never look again through what it made.

    Changes the whole process: for programs to call, not for libraries.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def collect_seldom() -> None:
    """Look for garbage after `NEW_OBJECTS_MAX` new objects only. Changes the whole process, as above."""
    gc.set_threshold(NEW_OBJECTS_MAX, *gc.get_threshold()[1:])
