"""Changes the limits of an active run for a person, and reports its state."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.events import ControlChanged
from bulk_upload.core.limits.caps import changes
from bulk_upload.core.run.control import ControlAnswer, ControlStatus, caps_after
from bulk_upload.edge.ledger import note_changes
from bulk_upload.errors import LedgerUnusable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.limits.capped import CappedController
    from bulk_upload.core.limits.caps import Caps
    from bulk_upload.core.run.control import ControlRequest
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.monitor import LimitWatch
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.limits.stop_rules import StopRules


class RunControl:
    """Changes the caps of one run.

    A change applies at once and is then recorded: a pause must work even where the ledger's disk is stuck. The answer
    comes when it is durable.
    """

    def __init__(
        self,
        *,
        limits: CappedController,
        watch: LimitWatch,
        slots: SlotPool,
        occupancy: Occupancy,
        stop_rules: StopRules,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._limits = limits
        self._watch = watch
        self._slots = slots
        self._occupancy = occupancy
        self._stop_rules = stop_rules
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._emit = emit
        self._capacity = limits.caps.capacity

    async def answer(self, request: ControlRequest, by: str) -> ControlAnswer:
        """Carry out a request and return its result. `by` is who asks, for the ledger and for listeners."""
        before = self._limits.caps
        try:
            caps = caps_after(before, request)
        except ValueError as error:
            return ControlAnswer(error=str(error), exit_code=ExitStatus.USAGE)
        if caps.in_flight_max > self._capacity:
            return ControlAnswer(
                error=f"this run allows at most {self._capacity} in flight",
                hint="for more, stop it and run it again with --max-concurrency N",
                exit_code=ExitStatus.USAGE,
            )
        made = changes(before, caps)
        self._apply(before, caps)
        for one in made:
            self._emit(ControlChanged(change=one, by=by))
        try:
            if made:
                now = self._clock.utc_s()
                await self._ledger.run(partial(note_changes, changes=made, decided_by=by, utc_s=now))
        except LedgerUnusable as error:
            return ControlAnswer(
                error=f"the change applies, but the ledger cannot record it: {error}",
                hint=error.hint,
                exit_code=error.exit_status,
            )
        return ControlAnswer(changes=tuple(str(one) for one in made), status=self.status())

    def status(self) -> ControlStatus:
        """Return the state and the limits of the run."""
        limits = self._limits
        caps = limits.caps
        return ControlStatus(
            limit=limits.limit,
            reason=limits.explain(),
            in_flight=self._slots.in_flight,
            parked=self._occupancy.parked_count,
            concurrency=caps.concurrency,
            concurrency_max=caps.concurrency_max,
            starts_per_s=caps.starts_per_s,
            server_starts_per_s=limits.rate_per_s,
            bandwidth=None if caps.bandwidth is None else str(caps.bandwidth),
            bytes_per_s=limits.bytes_per_s,
            paused=caps.paused,
            server_pause_s=round(self._slots.pause_s, 3),
            held_by=None if self._watch.bottleneck is None else self._watch.bottleneck.value,
            held_s={
                bottleneck.value: round(seconds, 3) for bottleneck, seconds in self._watch.held_s.items()
            },
            draining=self._drain.begun,
        )

    def _apply(self, before: Caps, caps: Caps) -> None:
        self._limits.change(self._clock.monotonic(), caps)
        if before.paused and not caps.paused:
            self._stop_rules.on_resumed()
        self._watch.tick()
