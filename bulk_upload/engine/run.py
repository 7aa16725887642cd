"""One run: feeds the plan's entries, resolves old doubts, watches the clock, and ends with a result."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

import anyio
import msgspec

from bulk_upload.core.events import Noticed, PlanMade, Snapshot
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.tally import exit_status
from bulk_upload.core.run.plan import WITHOUT_FILE, Step
from bulk_upload.edge.ledger.reading.run_receipts import run_start
from bulk_upload.engine.limits.stop_rules import ledger_stop
from bulk_upload.engine.tasks import innermost, plain_task_group
from bulk_upload.engine.unreadable import end_unreadable
from bulk_upload.engine.upkeep import TICK_S
from bulk_upload.engine.waits import Wait
from bulk_upload.errors import LedgerBroken, LedgerUnusable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import BodyNow, Event
    from bulk_upload.core.report.tally import Tally
    from bulk_upload.core.run.control import ControlAnswer, ControlRequest
    from bulk_upload.core.run.fault_scope import Stop
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.edge.ledger.reading.new_entries import EntryRow
    from bulk_upload.engine.after.confirm import ClosingCheck
    from bulk_upload.engine.callback_errors import CallbackErrors
    from bulk_upload.engine.doubt.reconciler import Reconciler
    from bulk_upload.engine.fleet.crew import Crew
    from bulk_upload.engine.limits.control import RunControl
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.monitor import LimitWatch
    from bulk_upload.engine.limits.occupancy import Occupancy
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.limits.stop_rules import StopRules
    from bulk_upload.engine.limits.watched import WatchedRun
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.planned_entries import PlannedEntries
    from bulk_upload.engine.sending.bundle_tasks import BundleTasks
    from bulk_upload.engine.sending.entry_task import EntryTasks
    from bulk_upload.engine.sending.feeder import Feeder
    from bulk_upload.engine.sending.touched import TouchedFiles
    from bulk_upload.engine.sending.workers import Workers
    from bulk_upload.engine.upkeep import Upkeep
    from bulk_upload.engine.validation.gate import Gate
    from bulk_upload.engine.watchdog import Watchdog


OVERDUE_S = 5.0
"""How long a drain continues after every request in flight has outlived its own limits, or none is left."""


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. `states` counts all entries of the manifest, as the ledger has them now.

    `uncompared_count` touched files were not compared with their receipts before the run ended.
    """

    status: ExitStatus
    states: dict[EntryState, int]
    stop: Stop | None
    uncompared_count: int = 0


class Run:
    """Works through one plan; `assembly.assemble` makes one. Await `execute` once; `drain` and `cancel` may come at
    any time.
    """

    def __init__(
        self,
        *,
        settings: RunSettings,
        plan: Plan,
        entries: PlannedEntries,
        feeder: Feeder,
        workers: Workers,
        bundle_tasks: BundleTasks | None,
        entry_tasks: EntryTasks,
        touched: TouchedFiles,
        reconciler: Reconciler,
        gate: Gate,
        slots: SlotPool,
        occupancy: Occupancy,
        sender: Sender,
        crew: Crew | None,
        ledger: Ledger[LedgerStore],
        limits: LimitWatch,
        upkeep: Upkeep,
        stop_rules: StopRules,
        control: RunControl,
        watched: WatchedRun,
        closing_check: ClosingCheck,
        watchdog: Watchdog,
        errors: CallbackErrors,
        drain: Drain,
        clock: Clock,
        emit: Callable[[Event], None],
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._entries = entries
        self._feeder = feeder
        self._workers = workers
        self._bundle_tasks = bundle_tasks
        self._entry_tasks = entry_tasks
        self._touched = touched
        self._reconciler = reconciler
        self._gate = gate
        self._slots = slots
        self._occupancy = occupancy
        self._sender = sender
        self.crew = crew
        """The agents that send in place of this process, where there are any."""
        self._ledger = ledger
        self._limits = limits
        self._upkeep = upkeep
        self._stop_rules = stop_rules
        self._control = control
        self._watched = watched
        self._closing_check = closing_check
        self._watchdog = watchdog
        self._errors = errors
        self._drain = drain
        self._clock = clock
        self._emit = emit
        self._over_at: float | None = None

    @property
    def stop(self) -> Stop | None:
        """Why the run ends early, None while it does not."""
        return self._drain.stop

    @property
    def recording_s(self) -> float | None:
        """For how long only outcomes are left to be recorded; None while requests may go on."""
        return None if self._over_at is None else self._clock.monotonic() - self._over_at

    @property
    def tally(self) -> Tally:
        """The numbers of the run, which keep changing; counted before any listener is called."""
        return self._watched.tally

    def waits(self) -> list[str]:
        """Return what the run waits for now, for people."""
        return sorted(self._watchdog.waits() - {Wait.CLOCK})

    def drain(self, stop: Stop) -> None:
        """Start nothing new and finish what is in flight."""
        self._errors.guarded(partial(self._drain.begin, stop))()

    def cancel(self, stop: Stop) -> None:
        """Drain, and abort what is in flight; each entry is recorded as what is known of it."""
        self.drain(stop)
        self._end_all()
        # Once more in the next turn: a listener may call this while a request is just beginning.
        asyncio.get_running_loop().call_soon(self._errors.guarded(self._end_all))

    def fail(self, error: BaseException) -> None:
        """End the run with an error that was raised where no task of the run could raise it."""
        self._errors.take(error)

    async def control(self, request: ControlRequest, by: str) -> ControlAnswer:
        """Change the run's limits, or only return its state. `by` is the person who asks, for the ledger."""
        try:
            answer = await self._control.answer(request, by)
            snapshot = self.snapshot()
            if answer.status is not None:
                status = self._watched.with_agents(answer.status, snapshot)
                answer = msgspec.structs.replace(answer, status=status)
            if request.uploads is msgspec.UNSET:
                return answer
            return msgspec.structs.replace(
                answer,
                numbers=self._watched.numbers(snapshot),
                uploads=tuple(self._watched.uploads(self.bodies(), request.uploads)),
            )
        except Exception as error:
            self._errors.take(error)
            raise

    def snapshot(self) -> Snapshot:
        """Return the state of the run now."""
        return Snapshot(
            in_flight=self._slots.in_flight,
            limit=self._slots.limit,
            limit_reason=self._slots.reason,
            pause_s=self._slots.pause_s,
            parked_count=self._occupancy.parked_count,
            wire_bytes=self._sender.wire_bytes,
            partial_bytes=self._sender.partial_bytes,
            validating_count=self._gate.looking_count,
            validated_count=self._gate.looked_count,
            agents=tuple(self._sender.agents()),
            validated_bytes=self._gate.looked_bytes,
        )

    def bodies(self) -> list[BodyNow]:
        """Return the state of the requests in flight, in no order."""
        return self._sender.bodies()

    async def execute(self, *, is_short: bool = False) -> RunResult:
        """Carry out the plan and return the result.

        `is_short` says that files which nobody decided to leave out are not in the plan: they count as if they had failed.

        Raises whatever is not the fault of a file, the server or the ledger: a bug, or a cancellation.
        """
        async with plain_task_group() as watchers:
            # Until the very end: the result is recorded, too.
            watchers.start_soon(self._errors.raise_first)
            watchers.start_soon(self._end_overdue_drain)
            try:
                with nullcontext() if self.crew is None else self.crew.running():
                    await self._execute()
            finally:
                self._over_at = self._over_at or self._clock.monotonic()
                self._slots.close()
            self._limits.close()
            result = await self._result(is_short=is_short)
            watchers.cancel_scope.cancel()
        return result

    async def _execute(self) -> None:
        try:
            self._emit(_plan_made(self._plan))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._reconciler.serve)
                tasks.start_soon(self._upkeep.serve)
                await self._register()
                await end_unreadable(self._entries, self._ledger, self._clock, self._emit)
                await self._upload_all()
                tasks.cancel_scope.cancel()
        except* LedgerUnusable as group:
            self._stop_rules.on_ledger_failed(innermost(group))

    async def _register(self) -> None:
        """Record every entry to send as pending before the first one is sent.

        `status` then shows them all, and a run that ends early leaves no changed file looking accepted.
        """
        async for page in self._entries.pages((Step.SEND,), only_known=True):
            now = self._clock.utc_s()
            again = [
                (one.known.entry_id, one.note)
                for one in page
                if one.known is not None and one.known.state is not EntryState.PENDING
            ]
            if again:
                await self._ledger.run(partial(_set_pending, again=again, utc_s=now))
        async for rows in self._entries.new_rows():
            now = self._clock.utc_s()
            await self._ledger.run(partial(_register_rows, rows=rows, utc_s=now))

    async def _upload_all(self) -> None:
        doubts, start = await self._ledger.run(
            lambda store: (
                store.doubts(
                    settle_answered_s=self._settings.settles_after_s(answered=True),
                    settle_lost_s=self._settings.settles_after_s(answered=False),
                ),
                run_start(store),
            )
        )
        planned = [await self._entries.find(doubt.entry_id) for doubt in doubts]
        async with self._entry_tasks.running():
            # All of them before anything is fed: only together do twins in doubt show.
            for doubt, entry in zip(doubts, planned, strict=True):
                await self._entry_tasks.start_doubt(doubt, entry)
            bundles = nullcontext() if self._bundle_tasks is None else self._bundle_tasks.running()
            async with bundles, self._workers.running():
                pages = self._entries.pages((Step.SEND, Step.COMPARE))
                await self._stop_rules.unless_ledger_fails(self._feeder.feed(pages))
                self._occupancy.feeds = False
                self._ledger.hurry()
        await self._closing_check.serve(start)

    def _end_all(self) -> None:
        if self._over_at is None:
            self._over_at = self._clock.monotonic()
        self._sender.end_all("the run was stopped at once")

    async def _end_overdue_drain(self) -> None:
        """Abort what is in flight once a drain has outlasted all that it may wait for."""
        await self._drain.wait()
        overdue_s = 0.0
        while overdue_s < OVERDUE_S:
            await asyncio.sleep(TICK_S)
            overdue_s = 0.0 if self._sender.has_time_left(0.0) else overdue_s + TICK_S
        waits = ", ".join(self.waits()) or "tasks"
        self._emit(Noticed(message=f"aborting what is in flight; still waiting for {waits}"))
        self._end_all()

    async def _result(self, *, is_short: bool) -> RunResult:
        failure = self._ledger.failure
        if isinstance(failure, LedgerBroken) and failure.__cause__ is not None:
            raise failure.__cause__
        # Whatever began the drain: a ledger that failed since matters more.
        stop = self._drain.stop if failure is None else ledger_stop(failure)
        states = await self._entries.states()
        uncompared_count = self._plan.total(Step.COMPARE).entry_count - self._touched.compared_count
        status = exit_status(states, stop, uncompared_count=uncompared_count)
        if is_short and status is ExitStatus.DONE:
            status = ExitStatus.SOME_FAILED
        if failure is None:
            await self._stop_rules.unless_ledger_fails(self._limits.write(last=True))
            now = self._clock.utc_s()
            await self._stop_rules.unless_ledger_fails(
                self._ledger.run(lambda store: store.end_run(exit_status=status, utc_s=now))
            )
        return RunResult(status=status, states=states, stop=stop, uncompared_count=uncompared_count)


def _register_rows(store: LedgerStore, *, rows: list[EntryRow], utc_s: float) -> None:
    store.register_rows(rows, utc_s=utc_s)


def _set_pending(store: LedgerStore, *, again: list[tuple[int, str]], utc_s: float) -> None:
    for entry_id, reason in again:
        store.settle(entry_id, EntryState.PENDING, reason=reason, utc_s=utc_s)


def _plan_made(plan: Plan) -> PlanMade:
    settled, send, compare = plan.total(Step.SETTLED), plan.total(Step.SEND), plan.total(Step.COMPARE)
    return PlanMade(
        entry_count=plan.entry_count,
        # Blocked entries are left alone; counting them would keep a bar from ever being full.
        total_bytes=plan.file_bytes - plan.total(Step.BLOCKED).file_bytes,
        settled_count=settled.entry_count,
        settled_bytes=settled.file_bytes,
        send_count=send.entry_count,
        send_bytes=send.file_bytes,
        compare_count=compare.entry_count,
        compare_bytes=compare.file_bytes,
        seen_count=plan.seen_count,
        doubt_count=plan.total(Step.RECONCILE).entry_count,
        blocked_count=plan.total(Step.BLOCKED).entry_count,
        missing_count=sum(plan.total(step).entry_count for step in WITHOUT_FILE),
        mixups=plan.mixups,
        warnings=plan.warnings,
    )
