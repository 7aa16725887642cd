"""Watches the clocks of a run: the offset of the server's from ours, and steps of ours, which are emitted and recorded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.clock import WallClock, moment
from bulk_upload.core.events import ClockStepped
from bulk_upload.edge.ledger import note_clock_offset, note_clock_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock, Moment
    from bulk_upload.core.events import Event
    from bulk_upload.core.run.ports import FilesApi, Ledger
    from bulk_upload.edge.ledger import LedgerStore


class ClockWatch:
    """Knows the server's clock as far as the answers of the run have shown it."""

    def __init__(
        self, *, clock: Clock, files_api: FilesApi, ledger: Ledger[LedgerStore], emit: Callable[[Event], None]
    ) -> None:
        self._clock = clock
        self._files_api = files_api
        self._ledger = ledger
        self._emit = emit
        self._wall = WallClock()
        self._lacks_offset = True

    def offset_s(self, then: Moment | None = None) -> float | None:
        """Return the server's clock minus ours at a moment of the run, by default now.

        None unless files of ours have confirmed it: the ledger keeps what may rule out a file.
        """
        return self._files_api.clock_offset(then or moment(self._clock)).exact_s

    async def tick(self) -> None:
        """Emit and record that our clock was set since the last tick. Raises LedgerUnusable.

        Intents are recorded before the offset is known. Once it is, the open ones get the offset, unless our
        clock was set since: they are all that is left of a run that is killed.
        """
        now = moment(self._clock)
        step_s = self._wall.step_s(now)
        if step_s:
            self._emit(ClockStepped(step_s=step_s))
            self._lacks_offset = False
            await self._ledger.run(partial(note_clock_step, step_s=step_s, utc_s=now.utc_s))
        elif self._lacks_offset and (offset_s := self.offset_s(now)) is not None:
            self._lacks_offset = False
            await self._ledger.run(partial(note_clock_offset, offset_s=offset_s))
