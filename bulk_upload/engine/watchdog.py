"""Notices a run that can never end: entries are left, and nothing outside of the run would let any of them go on.

That is a bug. A run that waits for ever in silence is worse than one that ends with an error, so this one ends.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bulk_upload.engine.waits import Wait, Waits
from bulk_upload.errors import RunStuck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.limits.capped import CappedController
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.limits.bandwidth import BandwidthGate
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.planned_entries import PlannedEntries
    from bulk_upload.engine.validation.gate import Gate

IDLE_TICKS_MAX = 40
"""How many ticks in a row (10 s) may pass without any wait for something outside. One is enough in theory: a task
that waits for another of ours continues within the same iteration of the event loop."""


class Watchdog:
    """Asks everything that waits for something outside of the run whether it does."""

    def __init__(
        self,
        *,
        sender: Sender,
        ledger: Ledger[LedgerStore],
        entries: PlannedEntries,
        gate: Gate,
        slots: SlotPool,
        bandwidth: BandwidthGate,
        limits: CappedController,
        drain: Drain,
        waits: Waits,
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._entries = entries
        self._gate = gate
        self._slots = slots
        self._bandwidth = bandwidth
        self._limits = limits
        self._drain = drain
        self._waits = waits
        self._idle_ticks = 0

    def waits(self) -> set[Wait]:
        """Return what the run waits for now."""
        waits = self._waits.going_on()
        timed = self._drain.sleeping_count or self._slots.waits_for_time or self._bandwidth.waits_for_time
        checks = {
            Wait.CLOCK: timed,
            Wait.DISK: self._entries.busy_count,
            Wait.LEDGER: self._ledger.pending_count,
            Wait.SERVER: self._sender.busy_count,
            Wait.VALIDATION: self._gate.busy_count,
            Wait.PERSON: self._limits.caps.paused,
        }
        return waits | {wait for wait, goes_on in checks.items() if goes_on}

    def tick(self) -> None:
        """Check that the run moves. Raises RunStuck once nothing was waited for in `IDLE_TICKS_MAX` ticks in a row."""
        if self.waits():
            self._idle_ticks = 0
            return
        self._idle_ticks += 1
        if self._idle_ticks >= IDLE_TICKS_MAX:
            raise RunStuck(
                f"entries are left and no task of the run waits for anything outside of it:\n{task_dump()}",
                hint="run the same command again to resume",
            )


def task_dump() -> str:
    """Return where each task of the running event loop is, innermost call last, without any values."""
    tasks = sorted(asyncio.all_tasks(), key=lambda one: one.get_name())
    return "\n".join(f"  {task.get_name()}: {' > '.join(_places(task.get_coro()))}" for task in tasks)


def _places(awaited: object) -> Iterator[str]:
    """Yield the place in each coroutine of a chain of those that wait for one another."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
