"""Ends requests that stopped moving, and only those: a slow upload that moves is left alone.

No time-out of aiohttp fits: nothing of it fires while a server accepts a body and never reads it, except
`total`, which also kills healthy uploads of large files.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import human_bytes, human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.edge.transport.body import FormBody

TICK_S = 1.0

RATE_WINDOW_S = 60.0
"""Long enough for a slow line to show its real speed, whatever sizes its buffers have."""


class GivenUp(msgspec.Struct, frozen=True):
    """Why a request was ended from our side; `stalled` when that was because nothing moved any more."""

    reason: str
    stalled: bool = False


class _Window(msgspec.Struct, frozen=True):
    """When the present minute of a body's rate began, and the state of the body then."""

    began_at: float
    left_bytes: int
    held_s: float


class InFlight(msgspec.Struct, eq=False):
    """One request on its way: what its body has done and when it last moved.

    `moved_at` is None while the request waits for its turn, which may take any amount of time. `task` is the one that
    makes the request; `path` is of the first of its `file_count` files; the task is cancelled to end it, which costs less than a scope for each request. `error` is what the
    task raises then, where the watchdog itself failed.
    """

    body: FormBody
    task: asyncio.Task[Any]
    path: str = ""
    file_count: int = 1
    moved_at: float | None = None
    position: tuple[int, int] = (0, 0)
    window: _Window | None = None
    given_up: GivenUp | None = None
    error: Exception | None = None
    cancelling_before: int = 0

    def __post_init__(self) -> None:
        self.cancelling_before = self.task.cancelling()

    def end(self, given_up: GivenUp) -> None:
        """Abort the request; the first reason becomes part of its outcome."""
        if self.given_up is None:
            self.given_up = given_up
            self.task.cancel()

    def fail(self, error: Exception) -> None:
        """Have the request's task raise an error."""
        self.error = error
        self.task.cancel()

    def raise_error(self) -> None:
        """Raise, in the request's task, the error that it was cancelled for; nothing where there is none."""
        if self.error is not None:
            self.task.uncancel()
            raise self.error from None

    def takes_back(self) -> bool:
        """Take the cancellation by `end` back, if there was one; return whether there was no other cancellation of
        the task."""
        return self.given_up is not None and self.task.uncancel() <= self.cancelling_before


class Watchdog:
    """Watches all requests of a transport.

    Args:
        stall_s: how long a request may go without a byte leaving, from the moment it begins to connect.
        answer_s: how long a whole answer may take after the last byte left.
        min_bytes_per_s: how slowly a body may move, over `RATE_WINDOW_S`.
    """

    def __init__(self, *, stall_s: float, answer_s: float, min_bytes_per_s: float = 0.0) -> None:
        self._stall_s = stall_s
        self._answer_s = answer_s
        self._min_bytes_per_s = min_bytes_per_s
        self._sending: set[InFlight] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._failure: Exception | None = None

    @property
    def sending(self) -> frozenset[InFlight]:
        """The requests on their way now."""
        return frozenset(self._sending)

    def add(self, sending: InFlight) -> None:
        """Start watching a request. Raises the error of an earlier check of the requests."""
        if self._failure is not None:
            raise self._failure
        self._sending.add(sending)

    def remove(self, sending: InFlight) -> None:
        """Forget a request that is over."""
        self._sending.discard(sending)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Check every request once a second."""
        self._tick()
        try:
            yield
        finally:
            if self._timer is not None:
                self._timer.cancel()

    def has_time_left(self, now: float, grace_s: float) -> bool:
        """Whether a request has not yet outlived its limits by `grace_s` at `now`, in the event loop's time."""
        return any(
            one.moved_at is not None and now - one.moved_at < self._allowed_s(one) + grace_s
            for one in self._sending
        )

    def look(self, now: float) -> None:
        """End the requests that have not moved for too long at `now`, in the event loop's time."""
        for one in self._sending:
            if one.moved_at is None:
                continue
            position = one.body.position
            # Held back by our own bandwidth cap: that says nothing about the server.
            if position != one.position or one.body.held:
                one.position, one.moved_at = position, now
                if self._min_bytes_per_s and not one.body.complete:
                    self._look_at_rate(one, position[0], now)
                continue
            allowed_s = self._allowed_s(one)
            if now - one.moved_at >= allowed_s:
                _end_stalled(one, human_seconds(allowed_s), answering=_is_answering(one))

    def _allowed_s(self, one: InFlight) -> float:
        return self._answer_s if _is_answering(one) else self._stall_s

    def _look_at_rate(self, one: InFlight, left_bytes: int, now: float) -> None:
        held_s = one.body.held_s
        if one.body.held or one.window is None or one.window.held_s != held_s:
            # Our own bandwidth cap held the body back: a minute with such waits in it says nothing.
            one.window = _Window(now, left_bytes, held_s)
            return
        lasted_s = now - one.window.began_at
        if lasted_s < RATE_WINDOW_S:
            return
        bytes_per_s = (left_bytes - one.window.left_bytes) / lasted_s
        one.window = _Window(now, left_bytes, held_s)
        if bytes_per_s < self._min_bytes_per_s:
            rate, least = human_bytes(bytes_per_s), human_bytes(self._min_bytes_per_s)
            one.end(GivenUp(f"only {rate}/s got through in a minute, less than {least}/s", stalled=True))

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick)
        try:
            self.look(loop.time())
        except Exception as error:  # noqa: BLE001 - a timer is not awaited: the watched requests raise it
            self._failure = error
            for one in self._sending:
                one.fail(error)


def _is_answering(one: InFlight) -> bool:
    """Whether the whole body has left, so that only the answer is missing."""
    return one.body.complete and one.body.left_bytes == one.body.handed_bytes


def _end_stalled(one: InFlight, waited: str, *, answering: bool) -> None:
    if one.body.reading:
        one.body.failure = SourceError(f"the file could not be read for {waited}", transient=True)
    one.end(GivenUp(f"{'no answer' if answering else 'no progress'} for {waited}", stalled=True))
