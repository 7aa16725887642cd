"""The one switch that ends a run early: nothing new starts, what is in flight finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakSet

import anyio

from bulk_upload.core.events import Draining

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Event
    from bulk_upload.core.run.fault_scope import Stop


class Drain:
    """Begun at most once; the first reason stays the run's.

    Args:
        emit: takes the event that says so.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._begun = anyio.Event()
        self._stop: Stop | None = None
        self._cut: WeakSet[anyio.CancelScope] = WeakSet()
        self._to_close: list[Callable[[], None]] = []
        self.sleeping_count = 0
        """How many tasks wait for a time to pass."""

    @property
    def stop(self) -> Stop | None:
        """Why the run ends early, None while it does not."""
        return self._stop

    @property
    def begun(self) -> bool:
        """Whether nothing new may start."""
        return self._stop is not None

    def closes(self, close: Callable[[], None]) -> None:
        """Call `close` when the drain begins: whatever makes entries wait releases them then."""
        self._to_close.append(close)

    def begin(self, stop: Stop) -> None:
        """Begin to drain."""
        if self._stop is None:
            self._stop = stop
            self._begun.set()
            for scope in self._cut:
                scope.cancel()
            for close in self._to_close:
                close()
            self._emit(Draining(reason=stop.reason))

    async def sleep(self, seconds: float) -> None:
        """Wait, but no longer than until the drain begins."""
        self.sleeping_count += 1
        try:
            with anyio.move_on_after(seconds):
                await self._begun.wait()
        finally:
            self.sleeping_count -= 1

    def cut(self) -> anyio.CancelScope:
        """Return a scope that is left as soon as the drain begins: for waits that are of no use then."""
        scope = anyio.CancelScope()
        self._cut.add(scope)
        if self.begun:
            scope.cancel()
        return scope

    async def wait(self) -> None:
        """Wait until the drain begins."""
        await self._begun.wait()
