"""Imports modules that most requests do not need, once the first requests are under way."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING

from bulk_upload.engine.tasks import plain_task_group

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

RETRYING = "tenacity"
"""What repeats requests: only a failure needs it."""

LATE_S = 0.25
"""How long after the beginning of a run: the first requests are under way, and a small job is over."""

SPARE_S = 2.0
"""How much later what only a failure needs: a run of a few seconds without one does not pay for it."""


@asynccontextmanager
async def late_imports(*names: str) -> AsyncIterator[None]:
    """Import modules that only a failure needs while the block runs, if it runs for long enough."""
    async with plain_task_group() as tasks:
        tasks.start_soon(import_late, names, SPARE_S)
        yield
        tasks.cancel_scope.cancel()


async def import_late(names: Sequence[str], later_s: float = 0.0) -> None:
    """Import modules in `LATE_S` seconds and `later_s`, on a thread. What needs one earlier imports it itself."""
    await asyncio.sleep(LATE_S + later_s)
    for name in names:
        with suppress(OSError):  # no descriptor is left: see `imported`
            await asyncio.to_thread(import_module, name)


async def imported(name: str) -> None:
    """Have a module imported, and wait for that while this process may open no further file."""
    while name not in sys.modules:
        try:
            import_module(name)
        except OSError:
            await asyncio.sleep(LATE_S)
