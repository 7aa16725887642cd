"""The one switch that ends a run early: nothing new starts, what is in flight finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.standing import Stop


class Drain:
    """Begun at most once; the first reason stays the run's."""

    def __init__(self, on_begin: Callable[[Stop], None]) -> None:
        self._on_begin = on_begin
        self._begun = anyio.Event()
        self._stop: Stop | None = None

    @property
    def stop(self) -> Stop | None:
        """Why the run ends early, None while it does not."""
        return self._stop

    @property
    def begun(self) -> bool:
        """Whether nothing new may start."""
        return self._stop is not None

    def begin(self, stop: Stop) -> None:
        """Begin to drain."""
        if self._stop is None:
            self._stop = stop
            self._begun.set()
            self._on_begin(stop)

    async def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the drain begins."""
        with anyio.move_on_after(seconds):
            await self._begun.wait()

    async def wait(self) -> None:
        """Wait until the drain begins."""
        await self._begun.wait()
