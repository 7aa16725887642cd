"""The worker pool: makes the first attempts of uploads that were prepared ahead.

An upload that is accepted at its first attempt, as nearly all are, has no task of its own, and its worker does not wait
for the disk until the record is durable. Any other one gets a task (`entry_task`) once its outcome is recorded.
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bulk_upload.core.model import Accepted, EntryState
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.engine.upload import DRAINED, NotBegun
from bulk_upload.errors import LedgerUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import TaskGroup

    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.limits.twins import TwinGate
    from bulk_upload.engine.sending.attempt import Attempts
    from bulk_upload.engine.sending.entry_task import EntryTasks
    from bulk_upload.engine.settling import Settler
    from bulk_upload.engine.upload import Made, Upload


class Workers:
    """As many tasks as may be in flight, each making one attempt after another, in order.

    Every upload that is put here holds its twin key.
    """

    def __init__(
        self,
        *,
        attempts: Attempts,
        settler: Settler,
        entry_tasks: EntryTasks,
        twins: TwinGate,
        stop_rules: StopRules,
        occupancy: Occupancy,
        conditions: Conditions,
    ) -> None:
        self._attempts = attempts
        self._settler = settler
        self._entry_tasks = entry_tasks
        self._twins = twins
        self._stop_rules = stop_rules
        self._occupancy = occupancy
        self._conditions = conditions
        self._ready: deque[Upload] = deque()
        self._accepted: deque[tuple[Upload, Made]] = deque()
        self._worker_count = 0

    @property
    def ready_count(self) -> int:
        """How many uploads are ready and not started."""
        return len(self._ready)

    def put(self, uploads: Sequence[Upload]) -> None:
        """Take uploads that may start at once, in order."""
        self._ready.extend(uploads)
        self._conditions.check()

    def give_back(self) -> list[Upload]:
        """Give back what was not started."""
        left = list(self._ready)
        self._ready.clear()
        return left

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work while the block runs, and after it until what was started is recorded."""
        async with plain_task_group() as tasks:
            tasks.start_soon(self._start_workers, tasks)
            tasks.start_soon(self._settle_accepted)
            yield
            await self._conditions.until(self._is_idle)
            tasks.cancel_scope.cancel()

    async def _start_workers(self, tasks: TaskGroup) -> None:
        while True:
            await self._conditions.until(self._may_start)
            self._worker_count += 1
            self._occupancy.enter()
            tasks.start_soon(self._work)

    async def _work(self) -> None:
        try:
            while self._ready and self._occupancy.may_hold(self._occupancy.active_count):
                await self._upload(self._ready.popleft())
        finally:
            self._worker_count -= 1
            self._occupancy.leave()

    async def _upload(self, upload: Upload) -> None:
        try:
            made = await self._attempts.make(upload)
            if isinstance(made, NotBegun):
                await self._not_begun(upload, made)
            elif isinstance(made.over.outcome, Accepted):
                self._accepted.append((upload, made))
                if len(self._accepted) == 1:
                    self._conditions.check()
            else:
                # Recorded before anything starts in its place: it may count for the run as a whole.
                await self._entry_tasks.start(upload, first=await self._attempts.recorded(made))
        except LedgerUnusable as error:
            self._twins.bar(upload.twin_key)
            self._stop_rules.on_ledger_failed(error)
        except BaseException:
            self._twins.bar(upload.twin_key)
            raise

    async def _not_begun(self, upload: Upload, made: NotBegun) -> None:
        if made.cause is None:
            self._settler.settled(upload.planned, EntryState.PENDING, reason=DRAINED)
            self._twins.release(upload.twin_key)
        else:
            # A task of its own meets the same error again, and reports it.
            await self._entry_tasks.start(upload, holds_twin_key=True)

    async def _settle_accepted(self) -> None:
        """End accepted uploads in the order they were made, each once it is recorded."""
        while True:
            await self._conditions.until(self._has_accepted)
            upload, made = self._accepted[0]
            try:
                attempt = await self._attempts.recorded(made)
                if isinstance(attempt.outcome, Accepted):
                    self._settler.attempt_ended(upload, attempt)
                    self._settler.settled_by(upload.planned, attempt)
                    self._twins.release(upload.twin_key)
                else:
                    await self._entry_tasks.start(upload, first=attempt)
            except LedgerUnusable as error:
                self._twins.bar(upload.twin_key)
                self._stop_rules.on_ledger_failed(error)
            self._accepted.popleft()
            if not self._accepted:
                self._conditions.check()

    def _may_start(self) -> bool:
        return len(self._ready) > 0 and self._occupancy.may_hold(self._occupancy.active_count + 1)

    def _has_accepted(self) -> bool:
        return len(self._accepted) > 0

    def _is_idle(self) -> bool:
        return not (self._worker_count or self._accepted)
