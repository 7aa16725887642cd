"""The bandwidth cap for all bodies of a run: the bucket decides, this waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bulk_upload.core.clock import Clock
    from bulk_upload.engine.callback_errors import CallbackErrors


class BytesCap(Protocol):
    """A cap on bytes per second."""

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to hand over at once; None while there is no cap."""

    def bytes_wait_s(self, now: float, count: int) -> float:
        """Return how long the cap holds `count` bytes back."""

    def take_bytes(self, now: float, count: int) -> None:
        """Count bytes that are handed over now."""


class BandwidthGate:
    """Admits pieces of bodies in the order they were asked for, so that no upload starves another.

    Nothing is reserved ahead: a changed cap also applies to pieces that already wait.
    """

    def __init__(self, capped: BytesCap, clock: Clock, errors: CallbackErrors) -> None:
        self._capped = capped
        self._clock = clock
        self._errors = errors
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def piece_bytes(self) -> int | None:
        """How many bytes to ask for at once; None while there is no cap."""
        return self._capped.piece_bytes

    @property
    def waits_for_time(self) -> bool:
        """Whether the next piece may pass as time passes."""
        return self._timer is not None

    async def pass_bytes(self, count: int) -> None:
        """Return when `count` bytes may be handed over; they count as handed over then."""
        if not self._waiting and self._try_pass(count) <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, future))
        self.admit()
        await future

    def admit(self) -> None:
        """Admit all pieces that may pass now, and set a timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            count, future = self._waiting[0]
            if not future.done():
                wait_s = self._try_pass(count)
                if wait_s > 0:
                    admit = self._errors.guarded(self.admit)
                    self._timer = asyncio.get_running_loop().call_later(wait_s, admit)
                    return
                future.set_result(None)
            self._waiting.popleft()

    def _try_pass(self, count: int) -> float:
        """Take the bytes and return 0, or return how long they have to wait."""
        now = self._clock.monotonic()
        wait_s = self._capped.bytes_wait_s(now, count)
        if wait_s <= 0:
            self._capped.take_bytes(now, count)
        return wait_s
