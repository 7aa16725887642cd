"""Periodic tasks beside the uploads of a run, each with its own interval."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.run.fault_scope import RERUN_HINT, Stop
from bulk_upload.core.text.printable import human_seconds
from bulk_upload.edge.ledger import ALIVE_EVERY_S, LedgerStore
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.engine.clock_watch import ClockWatch
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.monitor import LimitWatch
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.watchdog import Watchdog

TICK_S = 0.25
WRITE_LIMITS_EVERY_S = 2.0


class Upkeep:
    """Ticks for the limits, the clocks and the watchdog, the heartbeat in the ledger, and the deadline."""

    def __init__(
        self,
        *,
        deadline_s: float | None,
        limits: LimitWatch,
        watchdog: Watchdog,
        stop_rules: StopRules,
        ledger: Ledger[LedgerStore],
        drain: Drain,
        clock: Clock,
        clock_watch: ClockWatch,
        on_alive: Callable[[float], None] | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._limits = limits
        self._watchdog = watchdog
        self._stop_rules = stop_rules
        self._ledger = ledger
        self._drain = drain
        self._clock = clock
        self._clock_watch = clock_watch
        self._on_alive = on_alive

    async def serve(self) -> None:
        """Go on for ever; cancel it when the uploads are over. Raises RunStuck."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick)
            tasks.start_soon(self._watch_clock)
            tasks.start_soon(self._write_limits)
            tasks.start_soon(self._stay_alive)
            tasks.start_soon(self._watch_deadline)

    async def _tick(self) -> None:
        while True:
            self._limits.tick()
            self._watchdog.tick()
            await asyncio.sleep(TICK_S)

    async def _watch_clock(self) -> None:
        while True:
            await self._stop_rules.unless_ledger_fails(self._clock_watch.tick())
            await asyncio.sleep(TICK_S)

    async def _write_limits(self) -> None:
        while True:
            await asyncio.sleep(WRITE_LIMITS_EVERY_S)
            await self._stop_rules.unless_ledger_fails(self._limits.write())

    async def _stay_alive(self) -> None:
        """Record that the run is alive: after a crash, absence is judged from the last such time.

        Agents are not confirmed without it, so where there are any it begins at once, and is never late.
        """
        every_s = ALIVE_EVERY_S
        if self._on_alive is not None:
            every_s /= 2
            await self._stop_rules.unless_ledger_fails(self._record_alive())
        while True:
            await asyncio.sleep(every_s)
            await self._stop_rules.unless_ledger_fails(self._record_alive())

    async def _record_alive(self) -> None:
        # The ledger has a step of our clock before any time after it.
        await self._clock_watch.tick()
        at, utc_s = self._clock.monotonic(), self._clock.utc_s()
        await self._ledger.run(partial(LedgerStore.stay_alive, utc_s=utc_s))
        if self._on_alive is not None:
            self._on_alive(at)

    async def _watch_deadline(self) -> None:
        if self._deadline_s is None:
            return
        await asyncio.sleep(self._deadline_s)
        self._drain.begin(
            Stop(
                status=ExitStatus.UNFINISHED,
                reason=f"the deadline of {human_seconds(self._deadline_s)} has passed",
                hint=RERUN_HINT,
            )
        )
