"""Ends requests that stopped moving, and only those: a slow upload that moves is left alone.

No time-out of aiohttp fits: nothing of it fires while a server accepts a body and never reads it, except
`total`, which also kills healthy uploads of large files.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.display import human_seconds

if TYPE_CHECKING:
    from bulk_upload.edge.transport.body import UploadBody

TICK_S = 1.0


@dataclass(slots=True, eq=False)
class Sending:
    """One request on its way: what its body has done and when it last moved."""

    body: UploadBody
    moved_at: float
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    left_bytes: int = 0
    ended_because: str | None = None

    def end(self, reason: str) -> None:
        """Give the request up; `reason` becomes part of its outcome."""
        if self.ended_because is None:
            self.ended_because = reason
            self.scope.cancel()


class Watchdog:
    """Watches all requests of a transport.

    Args:
        stall_s: how long a body may go without a byte leaving.
        answer_s: how long an answer may take after the last byte left.
    """

    def __init__(self, *, stall_s: float, answer_s: float) -> None:
        self._stall_s = stall_s
        self._answer_s = answer_s
        self._sending: set[Sending] = set()

    @property
    def sending(self) -> frozenset[Sending]:
        """The requests on their way now."""
        return frozenset(self._sending)

    def add(self, sending: Sending) -> None:
        """Begin to watch a request."""
        self._sending.add(sending)

    def remove(self, sending: Sending) -> None:
        """Forget a request that is over."""
        self._sending.discard(sending)

    async def watch(self) -> None:
        """Look at every request once a second, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_S)
            self.look(loop.time())

    def look(self, now: float) -> None:
        """End the requests that have not moved for too long at `now`, in the event loop's time."""
        for one in self._sending:
            left_bytes = one.body.left_bytes
            if left_bytes != one.left_bytes:
                one.left_bytes, one.moved_at = left_bytes, now
                continue
            answering = one.body.complete and left_bytes == one.body.handed_bytes
            allowed_s = self._answer_s if answering else self._stall_s
            if now - one.moved_at >= allowed_s:
                what = "no answer" if answering else "nothing moved"
                one.end(f"{what} for {human_seconds(allowed_s)}")
