"""Sends what was made ready ahead: few tasks, each one entry after another.

An entry that is accepted at the first attempt, as nearly all are, never has a task of its own, and nobody waits for the
disk until its record is durable. Any other entry is recorded first and then gets a task.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from bulk_upload.core.model import Accepted
from bulk_upload.core.source import SourceError
from bulk_upload.engine.passage import Resized
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup

    from bulk_upload.engine.attempt import Attempter
    from bulk_upload.engine.carrier import Carrier
    from bulk_upload.engine.parking import Parking
    from bulk_upload.engine.parts import Parts
    from bulk_upload.engine.passage import AttemptResult, Passage


class Senders:
    """Makes the first attempts of entries whose intent was recorded ahead, in order.

    Args:
        attempter: makes the attempts.
        carrier: ends what was accepted.
        carry: carries an entry, whose file is not what was intended, from the beginning, in a task of its own.
        carry_on: carries on an entry that was not accepted, likewise.
        on_failure: hears that the ledger cannot record.
    """

    def __init__(
        self,
        parts: Parts,
        parking: Parking,
        *,
        attempter: Attempter,
        carrier: Carrier,
        carry: Callable[[Passage], Coroutine[Any, Any, None]],
        carry_on: Callable[[Passage, AttemptResult], Coroutine[Any, Any, None]],
        on_failure: Callable[[LedgerUnusable], None],
    ) -> None:
        self._parts = parts
        self._parking = parking
        self._attempter = attempter
        self._carrier = carrier
        self._carry = carry
        self._carry_on = carry_on
        self._on_failure = on_failure
        self._ready: deque[Passage] = deque()
        self._tasks: TaskGroup | None = None
        self._task_count = 0
        self._unrecorded_count = 0
        self._awaited: dict[int, asyncio.Future[None]] = {}
        """By the entry, who waits until its attempt is recorded."""
        self._quiet = asyncio.Event()

    @property
    def ready_count(self) -> int:
        """How many entries are ready and not started."""
        return len(self._ready)

    def serve(self, tasks: TaskGroup) -> None:
        """Start tasks in `tasks` from now on."""
        self._tasks = tasks

    def put(self, passage: Passage) -> None:
        """Take an entry that is ready to be sent, and that holds its twin key."""
        self._ready.append(passage)
        self.on_change()

    def withdraw(self) -> list[Passage]:
        """Give back what was not started."""
        left = list(self._ready)
        self._ready.clear()
        return left

    def on_change(self) -> None:
        """Look again whether more could be sent at once."""
        while self._tasks is not None and self._may_go_on(self._parking.active_count + 1):
            self._task_count += 1
            self._parking.enter()
            self._tasks.start_soon(self._send_many)

    async def finish(self) -> None:
        """Wait until what was started is recorded; whatever was not accepted has a task of its own by then."""
        while self._task_count or self._unrecorded_count:
            self._quiet.clear()
            await self._quiet.wait()

    def close(self) -> None:
        """Start no task any more, whatever is still to be recorded."""
        self._tasks = None

    def _may_go_on(self, active_count: int) -> bool:
        """Whether one more entry may start where so many would be active then."""
        return (
            len(self._ready) > 0
            and active_count <= self._parts.permits.limit
            and not self._parking.is_full
            and not self._parts.drain.begun
        )

    async def _send_many(self) -> None:
        try:
            while self._may_go_on(self._parking.active_count):
                await self._send(self._ready.popleft())
        finally:
            self._task_count -= 1
            self._parking.leave()
            self._tell_if_quiet()

    async def _send(self, passage: Passage) -> None:
        try:
            outcome = await self._attempter.attempt_ahead(passage, partial(self._on_recorded, passage))
        except LedgerUnusable as error:
            self._carrier.give_up(passage)
            self._on_failure(error)
            return
        except (SourceError, Resized):
            # It meets the same trouble again there, and says what it is.
            if self._tasks is not None:
                self._tasks.start_soon(self._carry, passage)
            return
        except BaseException:
            self._carrier.give_up(passage)
            raise
        if outcome is None:
            self._carrier.leave_undone(passage)
            return
        self._unrecorded_count += 1
        if not isinstance(outcome, Accepted):
            # It counts for the run as a whole once it is recorded: nothing more starts before in its place.
            recorded = self._awaited[passage.entry_id] = asyncio.get_running_loop().create_future()
            await recorded

    def _on_recorded(self, passage: Passage, result: AttemptResult | LedgerUnusable) -> None:
        self._unrecorded_count -= 1
        if isinstance(result, LedgerUnusable):
            self._carrier.give_up(passage)
            self._on_failure(result)
        elif isinstance(result.concluded.outcome, Accepted):
            self._accept(passage, result)
        elif self._tasks is not None:
            self._tasks.start_soon(self._carry_on, passage, result)
        awaited = self._awaited.pop(passage.entry_id, None)
        if awaited is not None and not awaited.done():
            awaited.set_result(None)
        self._tell_if_quiet()

    def _accept(self, passage: Passage, result: AttemptResult) -> None:
        try:
            self._carrier.accept(passage, result)
        except Exception as error:
            # A listener's bug: it ends the run, and whoever told us of the record has others to tell.
            if self._tasks is None:
                raise
            self._tasks.start_soon(_raise, error)

    def _tell_if_quiet(self) -> None:
        if not (self._task_count or self._unrecorded_count):
            self._quiet.set()


async def _raise(error: Exception) -> None:
    raise error
