"""Waiting until something about a run is true."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Conditions:
    """Wakes tasks once their condition holds. Code that changes a count or a limit calls `check`."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def check(self) -> None:
        """Wake the tasks whose condition holds now."""
        for holds, future in self._waiting:
            if not future.done() and holds():
                future.set_result(None)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Return once `holds()` is true; at once where it is."""
        # Checked again after each wake: another task may have run in between.
        while not holds():
            waiting = (holds, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
            try:
                await waiting[1]
            finally:
                self._waiting.remove(waiting)
