"""Imports without garbage collection: modules make many objects and no garbage, and a third of them would be collected for nothing."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


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
