"""Slots for uploads: the controller decides, this waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from bulk_upload.core.limits.local_cap import LocalCap
from bulk_upload.core.limits.signal import LOCAL_LIMIT, NEUTRAL, SignalKind, signal_of

if TYPE_CHECKING:
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.limits.controller import Controller, Ticket
    from bulk_upload.core.limits.signal import Signal
    from bulk_upload.core.model import Outcome
    from bulk_upload.engine.callback_errors import CallbackErrors
    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.drain import Drain


UNRECORDED_PER_SLOT = 4
UNRECORDED_MIN = 16
"""How many answers may await the ledger: for each slot, and where there are few slots. One per slot would be enough
for a disk that syncs instantly; with more, uploads continue during a sync, and many outcomes share it. A process that
dies leaves at most this many entries in doubt, beside those in flight."""


class SlotPool:
    """Hands out tickets in order, never more than the controller allows.

    Answers that the ledger has not recorded yet are bounded, too: with a stuck disk nothing starts.
    """

    def __init__(
        self,
        controller: Controller,
        clock: Clock,
        *,
        drain: Drain,
        conditions: Conditions,
        errors: CallbackErrors,
    ) -> None:
        self._controller = controller
        self._clock = clock
        self._conditions = conditions
        self._errors = errors
        drain.closes(self.close)
        self._local = LocalCap()
        self._waiting: deque[asyncio.Future[Ticket | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._bad_at = float("-inf")
        self.in_flight = 0
        self._unrecorded = 0

    @property
    def limit(self) -> int:
        """How many requests may be unanswered now."""
        limit = self._controller.limit
        return limit if self._local.cap is None else self._local.limited(limit)

    @property
    def pause_s(self) -> float:
        """How long a pause still lasts that the server asked for, 0 where there is none."""
        return self._controller.pause_s(self._clock.monotonic())

    @property
    def waiting(self) -> bool:
        """Whether a task waits for a slot."""
        return any(not one.done() for one in self._waiting)

    @property
    def waits_for_time(self) -> bool:
        """Whether the next slot comes free as time passes."""
        return self._timer is not None

    @property
    def unrecorded(self) -> int:
        """Answers that the ledger has not recorded yet."""
        return self._unrecorded

    @property
    def unrecorded_max(self) -> int:
        """How many answers may wait for the ledger before nothing new starts."""
        return max(UNRECORDED_MIN, self.limit * UNRECORDED_PER_SLOT)

    @property
    def has_room(self) -> bool:
        """Whether a slot is free, and not too many answers await the ledger."""
        limit = self.limit
        return self.in_flight < limit and self._unrecorded < max(UNRECORDED_MIN, limit * UNRECORDED_PER_SLOT)

    @property
    def reason(self) -> str:
        """The reason for the current limit, as text."""
        if self.limit < self._controller.limit:
            return f"{self.limit} in flight: this machine is short of descriptors or memory"
        return self._controller.explain()

    def try_acquire(self) -> Ticket | None:
        """Return a ticket if a slot is free at once and no task waits for one."""
        return None if self._closed or self._waiting else self._try_start()

    async def acquire(self, *, ahead: bool = False) -> Ticket | None:
        """Wait for a slot; None when the run drains. `ahead` is for entries that have waited before: they go first."""
        ticket = self.try_acquire()
        if ticket is not None or self._closed:
            return ticket
        future: asyncio.Future[Ticket | None] = asyncio.get_running_loop().create_future()
        if ahead:
            self._waiting.appendleft(future)
        else:
            self._waiting.append(future)
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and (ticket := future.result()) is not None:
                self.cancel(ticket)
            raise

    def answered(self, ticket: Ticket, outcome: Outcome, file_bytes: int) -> None:
        """Release the slot and report to the controller how the request ended. `recorded` must follow."""
        self._unrecorded += 1
        self._end(ticket, signal_of(outcome, file_bytes=file_bytes))

    def recorded(self) -> None:
        """The ledger durably holds one more answer."""
        self._unrecorded -= 1
        if self._waiting:
            self._pump()

    def cancel(self, ticket: Ticket, *, local_limit: bool = False) -> None:
        """Release a slot that no request used; `local_limit` when this machine lacked the resources for one."""
        self._end(ticket, LOCAL_LIMIT if local_limit else NEUTRAL)

    def pause_since_s(self, ticket: Ticket) -> float:
        """How long a pause still lasts that began after the ticket was handed out, 0 where none did.

        A probe is what an outage's pause waits for, so it does not wait itself.
        """
        return self.pause_s if not ticket.probe and ticket.started_at <= self._bad_at else 0.0

    def handed(self, count: int) -> None:
        """Report to the controller that bytes left."""
        self._controller.on_bytes(self._clock.monotonic(), count)

    def taken_back(self, count: int) -> None:
        """Report to the controller that bytes were sent in vain."""
        self._controller.on_bytes(self._clock.monotonic(), -count)

    def tick(self) -> None:
        """Update the controller to the current time; it may raise the limit."""
        self._controller.tick(self._clock.monotonic())
        self._pump()

    def close(self) -> None:
        """Start nothing more; every waiting task gets None."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
        self._conditions.check()

    def _end(self, ticket: Ticket, signal: Signal) -> None:
        now = self._clock.monotonic()
        self.in_flight -= 1
        if signal.kind is SignalKind.ACCEPTED:
            self._local.on_success()
        elif signal.kind is SignalKind.LOCAL_LIMIT:
            self._local.on_short(self.in_flight)
        elif signal.is_refusal:
            self._bad_at = now
            signal = signal.with_jitter(self._clock.jitter())
        elif signal.kind is SignalKind.FAILED:
            self._bad_at = now
        self._controller.on_end(now, ticket, signal)
        self._pump()

    def _try_start(self) -> Ticket | None:
        if not self.has_room:
            return None
        now = self._clock.monotonic()
        # Asked only while a slot is free: only then is it true that a cap held a start back.
        delay_s = self._controller.next_delay(now)
        if delay_s > 0:
            self._wake_in(delay_s)
            return None
        self.in_flight += 1
        return self._controller.on_start(now)

    def _pump(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            ticket = self._try_start()
            if ticket is None:
                break
            self._waiting.popleft().set_result(ticket)
        self._conditions.check()

    def _wake_in(self, delay_s: float) -> None:
        if self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        pump = self._errors.guarded(self._on_timer)
        self._timer = asyncio.get_running_loop().call_later(delay_s, pump)

    def _on_timer(self) -> None:
        self._timer = None
        self._pump()
