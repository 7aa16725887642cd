"""Ticks everything that limits a run, and records what held it back and how the limits changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.events import LimitChanged, RunLimited
from bulk_upload.core.limits.bottleneck import BottleneckTimes, LimiterState, held_by
from bulk_upload.core.limits.change_log import ControllerLog, ControllerState
from bulk_upload.edge.ledger import note_states, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.limits.bottleneck import Bottleneck
    from bulk_upload.core.limits.capped import CappedController
    from bulk_upload.core.limits.controller import LearnedLimits
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.bandwidth import BandwidthGate
    from bulk_upload.engine.limits.slots import SlotPool

REMEMBER_EVERY_S = 60.0
"""How often what was learned is kept for the next run, apart from the end: a run that dies loses no more."""


class LimitWatch:
    """Called at every tick of a run. What it records is written by `write`, so that a slow disk delays no tick."""

    def __init__(
        self,
        capped: CappedController,
        slots: SlotPool,
        bandwidth: BandwidthGate,
        *,
        clock: Clock,
        ledger: Ledger[LedgerStore],
        emit: Callable[[Event], None],
    ) -> None:
        self._capped = capped
        self._slots = slots
        self._bandwidth = bandwidth
        self._clock = clock
        self._ledger = ledger
        self._emit = emit
        self._log = ControllerLog()
        self._account: BottleneckTimes | None = None
        self._unwritten: list[tuple[float, ControllerState]] = []
        self._remembered: LearnedLimits | None = None
        self._remembered_at = float("-inf")
        self.bottleneck: Bottleneck | None = None
        """What holds the run back, as of the last tick."""

    @property
    def held_s(self) -> Mapping[Bottleneck, float]:
        """Seconds so far by what held the run back."""
        return {} if self._account is None else self._account.held_s

    def tick(self) -> None:
        """Update all limits to the present time."""
        now = self._clock.monotonic()
        self._capped.tell_minute(now, self._clock.minute_of_day())
        self._note_hold(now)
        self._slots.tick()
        self._bandwidth.admit()
        self._note_state(now)

    async def write(self, *, last: bool = False) -> None:
        """Write what was recorded, and now and then, and at the end, what was learned. Raises LedgerUnusable."""
        now = self._clock.monotonic()
        states, self._unwritten = self._unwritten, []
        if states:
            await self._ledger.run(partial(note_states, states=states))
        learned = self._capped.learned
        due = last or now - self._remembered_at >= REMEMBER_EVERY_S
        if due and learned is not None and learned != self._remembered:
            self._remembered, self._remembered_at = learned, now
            await self._ledger.run(partial(remember, learned=learned, utc_s=self._clock.utc_s()))

    def close(self) -> None:
        """Report what held the run back; it is over."""
        if self._account is not None:
            self._account.note(self._clock.monotonic(), self.bottleneck)
            share = self._capped.chance_share
            self._emit(RunLimited(held_s=self._account.held_s, chance_share=share))

    def _note_hold(self, now: float) -> None:
        slots, capped = self._slots, self._capped
        if self._account is None:
            self._account = BottleneckTimes(now)
        rate_wait_s = capped.rate_wait_s(now)
        would_start = slots.waiting and slots.has_room
        self.bottleneck = held_by(
            LimiterState(
                paused=capped.caps.paused,
                server_pause_s=capped.pause_s(now),
                bandwidth_bound=capped.bandwidth_bound(),
                rate_wait_s=rate_wait_s,
                # A controller takes the question as a wish to start.
                pacing_wait_s=capped.pacing_wait_s(now) if would_start and rate_wait_s <= 0 else 0.0,
                waiting=slots.waiting,
                in_flight=slots.in_flight,
                unrecorded=slots.unrecorded,
                limit=slots.limit,
                unrecorded_max=slots.unrecorded_max,
            )
        )
        self._account.note(now, self.bottleneck)

    def _note_state(self, now: float) -> None:
        capped = self._capped
        state = ControllerState(
            limit=capped.limit,
            rate_per_s=capped.rate_per_s,
            pause_s=capped.pause_s(now),
            reason=capped.explain(),
            chance_known=capped.chance_share is not None,
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
