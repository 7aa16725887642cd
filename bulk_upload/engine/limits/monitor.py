"""Lets time pass for everything that limits a run, and notes what held it back and how the limits changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.events import LimitChanged, RunLimited
from bulk_upload.core.limits.bottleneck import HoldAccount, Standstill, held_by
from bulk_upload.core.limits.change_log import ControllerLog, ControllerState
from bulk_upload.edge.ledger import note_states, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.limits.bottleneck import Hold
    from bulk_upload.core.limits.capped import Reins
    from bulk_upload.core.limits.controller import Learned
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.bandwidth import Throttle
    from bulk_upload.engine.limits.slots import Permits

REMEMBER_EVERY_S = 60.0
"""How often what was learned is kept for the next run, besides at the end: a run that dies loses no more."""


class LimitWatch:
    """Hears the ticks of a run. What it notes is written by `write`, so that a slow disk delays no tick."""

    def __init__(
        self,
        reins: Reins,
        permits: Permits,
        throttle: Throttle,
        *,
        clock: Clock,
        ledger: Ledger[LedgerStore],
        emit: Callable[[Event], None],
    ) -> None:
        self._reins = reins
        self._permits = permits
        self._throttle = throttle
        self._clock = clock
        self._ledger = ledger
        self._emit = emit
        self._log = ControllerLog()
        self._account: HoldAccount | None = None
        self._unwritten: list[tuple[float, ControllerState]] = []
        self._remembered: Learned | None = None
        self._remembered_at = float("-inf")
        self.hold: Hold | None = None
        """What holds the run back, as of the last tick."""

    @property
    def held_s(self) -> Mapping[Hold, float]:
        """Seconds so far by what held the run back."""
        return {} if self._account is None else self._account.held_s

    def tick(self) -> None:
        """Let time pass."""
        now = self._clock.monotonic()
        self._reins.tell_minute(now, self._clock.minute_of_day())
        self._note_hold(now)
        self._permits.tick()
        self._throttle.look()
        self._note_state(now)

    async def write(self, *, last: bool = False) -> None:
        """Record what was noted, and at times and in the end what was learned. Raises LedgerUnusable."""
        now = self._clock.monotonic()
        states, self._unwritten = self._unwritten, []
        if states:
            await self._ledger.run(partial(note_states, states=states))
        learned = self._reins.learned
        due = last or now - self._remembered_at >= REMEMBER_EVERY_S
        if due and learned is not None and learned != self._remembered:
            self._remembered, self._remembered_at = learned, now
            await self._ledger.run(partial(remember, learned=learned, utc_s=self._clock.utc_s()))

    def close(self) -> None:
        """Tell what held the run back; it is over."""
        if self._account is not None:
            self._account.note(self._clock.monotonic(), self.hold)
            self._emit(RunLimited(held_s=self._account.held_s))

    def _note_hold(self, now: float) -> None:
        permits, reins = self._permits, self._reins
        if self._account is None:
            self._account = HoldAccount(now)
        rate_wait_s = reins.rate_wait_s(now)
        would_start = permits.waiting and permits.has_room
        self.hold = held_by(
            Standstill(
                paused=reins.caps.paused,
                server_pause_s=reins.pause_s(now),
                bandwidth_bound=reins.bandwidth_bound(),
                rate_wait_s=rate_wait_s,
                # A controller that is asked takes it that somebody would start.
                pacing_wait_s=reins.pacing_wait_s(now) if would_start and rate_wait_s <= 0 else 0.0,
                waiting=permits.waiting,
                in_flight=permits.in_flight,
                unrecorded=permits.unrecorded,
                limit=permits.limit,
                unrecorded_max=permits.unrecorded_max,
            )
        )
        self._account.note(now, self.hold)

    def _note_state(self, now: float) -> None:
        reins = self._reins
        state = ControllerState(
            limit=reins.limit,
            rate_per_s=reins.rate_per_s,
            pause_s=reins.pause_s(now),
            reason=reins.explain(),
        )
        if self._log.look(now, state):
            self._unwritten.append((self._clock.utc_s(), state))
            self._emit(
                LimitChanged(
                    limit=state.limit,
                    rate_per_s=state.rate_per_s,
                    pause_s=state.pause_s,
                    reason=state.reason,
                )
            )
