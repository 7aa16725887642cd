"""One run: feeds the plan's entries, resolves old doubts, watches the clock, and ends with a verdict."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.display import human_seconds
from bulk_upload.core.events import Draining, PlanMade, Snapshot
from bulk_upload.core.model import EntryState
from bulk_upload.core.plan import Step
from bulk_upload.core.reins import Reins
from bulk_upload.core.standing import Stop
from bulk_upload.core.summary import exit_status
from bulk_upload.edge.ledger import ALIVE_EVERY_S, LedgerStore
from bulk_upload.engine.attempt import Attempter
from bulk_upload.engine.carrier import Carrier
from bulk_upload.engine.checking import Checking
from bulk_upload.engine.controlling import Controlling
from bulk_upload.engine.drain import Drain
from bulk_upload.engine.endings import Endings
from bulk_upload.engine.feeder import PARKED_MIN, Feeder
from bulk_upload.engine.limit_watch import LimitWatch
from bulk_upload.engine.oversight import Oversight
from bulk_upload.engine.parking import Parking
from bulk_upload.engine.parts import Parts
from bulk_upload.engine.permits import Permits
from bulk_upload.engine.reconciler import Reconciler
from bulk_upload.engine.senders import Senders
from bulk_upload.engine.tasks import innermost
from bulk_upload.engine.throttle import Throttle
from bulk_upload.engine.twins import TwinGate, TwinKey
from bulk_upload.errors import LedgerUnusable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.control import ControlAnswer, ControlRequest
    from bulk_upload.core.events import BodyNow, Event
    from bulk_upload.core.limit import Controller, Learned
    from bulk_upload.core.model import Entry
    from bulk_upload.core.profile import Profile
    from bulk_upload.core.reconcile import Doubt
    from bulk_upload.core.settings import RunSettings
    from bulk_upload.edge.files import FileReader
    from bulk_upload.edge.ledger import LedgerWriter
    from bulk_upload.edge.transport import Transport
    from bulk_upload.engine.passage import AttemptResult, Passage
    from bulk_upload.engine.prepare import Plan
    from bulk_upload.engine.staged import PlannedEntries
    from bulk_upload.engine.validator import Validating

TICK_S = 0.25
WRITE_LIMITS_EVERY_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended. `states` counts all entries of the manifest, as the ledger has them now."""

    status: ExitStatus
    states: dict[EntryState, int]
    stop: Stop | None


class Run:
    """Works through one plan. Make one, await `execute` once; `drain` and `cancel` may come at any time."""

    def __init__(
        self,
        *,
        settings: RunSettings,
        profile: Profile,
        clock: Clock,
        reader: FileReader,
        transport: Transport,
        ledger: LedgerWriter,
        entries: PlannedEntries,
        plan: Plan,
        emit: Callable[[Event], None],
        controller: Controller | None = None,
        learned: Learned | None = None,
        validator: Validating | None = None,
    ) -> None:
        self._entries = entries
        self._plan = plan
        self._emit = emit
        self._drain = Drain(self._on_drain)
        self._parking = Parking(self._on_change, parked_max=max(PARKED_MIN, settings.parked_max))
        reins = Reins(
            settings.caps, minute_of_day=clock.minute_of_day(), controller=controller, learned=learned
        )
        permits = Permits(reins, clock, on_change=self._on_change)
        throttle = Throttle(reins, clock)
        oversight = Oversight(
            settings,
            to_send_count=plan.total(Step.SEND).entry_count,
            clock=clock,
            drain=self._drain,
            emit=emit,
            key_variable=profile.key_variable,
        )
        self._parts = Parts(
            settings=settings,
            profile=profile,
            clock=clock,
            reader=reader,
            transport=transport,
            ledger=ledger,
            permits=permits,
            throttle=throttle,
            twins=TwinGate(),
            reconciler=Reconciler(
                transport=transport,
                ledger=ledger,
                profile=profile,
                clock=clock,
                drain=self._drain,
                emit=emit,
                away_s=lambda: settings.patience_s if oversight.knows_server else 0.0,
            ),
            drain=self._drain,
            oversight=oversight,
            emit=emit,
        )
        self._watch = LimitWatch(reins, permits, throttle, clock=clock, ledger=ledger, emit=emit)
        self._controlling = Controlling(self._parts, reins, self._watch, self._parking)
        self._checking = Checking(self._parts, Endings(self._parts), validator)
        attempter = Attempter(self._parts)
        self._carrier = Carrier(self._parts, self._parking, self._checking, attempter)
        self._senders = Senders(
            self._parts,
            self._parking,
            attempter=attempter,
            carrier=self._carrier,
            carry=self._carry_held,
            carry_on=self._carry_on,
            on_failure=self._on_ledger_failure,
        )
        self._feeder = Feeder(self._parts, self._parking, self._checking, self._senders, self._carry)

    @property
    def draining(self) -> bool:
        """Whether the run starts nothing new."""
        return self._drain.begun

    def drain(self, stop: Stop) -> None:
        """Start nothing new and finish what is in flight."""
        self._drain.begin(stop)

    def cancel(self, stop: Stop) -> None:
        """Drain, and give up what is in flight; each entry is recorded as what is known of it."""
        self._drain.begin(stop)
        self._end_all()
        # Once more in the next turn: a listener may ask while it hears of a request that is just beginning.
        asyncio.get_running_loop().call_soon(self._end_all)

    async def control(self, request: ControlRequest, by: str) -> ControlAnswer:
        """Change what the run may use, or only tell how it stands. `by` is who asks, for the ledger."""
        return await self._controlling.answer(request, by)

    def snapshot(self) -> Snapshot:
        """Return how the run stands now."""
        permits = self._parts.permits
        return Snapshot(
            in_flight=permits.in_flight,
            limit=permits.limit,
            limit_reason=permits.reason,
            pause_s=permits.pause_s,
            parked_count=self._parking.parked_count,
            wire_bytes=self._parts.transport.wire_bytes,
            partial_bytes=self._parts.transport.partial_bytes,
            validating_count=self._checking.looking_count,
            validated_count=self._checking.looked_count,
            validated_bytes=self._checking.looked_bytes,
        )

    def bodies(self) -> list[BodyNow]:
        """Return how the requests in flight stand now, in no order."""
        return self._parts.transport.bodies()

    async def execute(self) -> RunResult:
        """Do what the plan says and return the verdict.

        Raises whatever is not the fault of a file, the server or the ledger: a bug, or a cancellation.
        """
        try:
            self._emit(_plan_made(self._plan))
            await self._register()
            async with anyio.create_task_group() as watchers:
                watchers.start_soon(self._parts.reconciler.serve)
                watchers.start_soon(self._tick)
                watchers.start_soon(self._write_limits)
                watchers.start_soon(self._stay_alive)
                watchers.start_soon(self._watch_deadline)
                await self._carry_all()
                watchers.cancel_scope.cancel()
        except* LedgerUnusable as group:
            self._on_ledger_failure(innermost(group))
        finally:
            self._parts.permits.close()
        self._watch.close()
        return await self._verdict()

    async def _register(self) -> None:
        """Record every entry to send as pending before the first one is sent.

        `status` then shows them all, and a run that ends early leaves no changed file looking accepted.
        """
        async for page in self._entries.pages((Step.SEND,)):
            now = self._parts.clock.utc_s()
            fresh = [one.entry for one in page if one.known is None]
            again = [
                (one.known.entry_id, one.note)
                for one in page
                if one.known is not None and one.known.state is not EntryState.PENDING
            ]
            if fresh or again:
                await self._parts.ledger.run(partial(_register_page, fresh=fresh, again=again, utc_s=now))

    async def _carry_all(self) -> None:
        parts = self._parts
        settings = parts.settings
        doubts = await parts.ledger.run(
            lambda store: store.doubts(
                settle_answered_s=settings.settles_after_s(answered=True),
                settle_lost_s=settings.settles_after_s(answered=False),
            )
        )
        async with anyio.create_task_group() as tasks:
            for doubt in doubts:
                # Taken before anything is fed: no look-alike may start while a doubt is open.
                holds = parts.twins.try_hold(TwinKey(doubt.sent_name, doubt.file_bytes, doubt.purpose))
                tasks.start_soon(self._carry_doubt, doubt, holds)
            self._senders.serve(tasks)
            try:
                await self._guarded(self._feeder.feed(self._entries.pages((Step.SEND, Step.COMPARE)), tasks))
                await self._senders.finish()
            finally:
                self._senders.close()

    async def _carry(self, passage: Passage) -> None:
        with self._parking.life():
            await self._guarded(self._carrier.carry(passage))

    async def _carry_held(self, passage: Passage) -> None:
        with self._parking.life():
            await self._guarded(self._carrier.carry(passage, holds_twin_key=True))

    async def _carry_on(self, passage: Passage, first: AttemptResult) -> None:
        with self._parking.life():
            await self._guarded(self._carrier.carry_on(passage, first))

    async def _carry_doubt(self, doubt: Doubt, holds_twin_key: bool) -> None:
        with self._parking.life():
            work = await self._entries.find(doubt.entry_id)
            await self._guarded(self._carrier.carry_doubt(doubt, work, holds_twin_key=holds_twin_key))

    async def _guarded(self, work: Awaitable[None]) -> None:
        """A ledger that cannot record ends the run, but not what is in flight."""
        try:
            await work
        except* LedgerUnusable as group:
            self._on_ledger_failure(innermost(group))

    def _on_ledger_failure(self, error: BaseException) -> None:
        self._drain.begin(_ledger_stop(error))

    def _on_drain(self, stop: Stop) -> None:
        self._parts.permits.close()
        self._parts.twins.close()
        self._on_change()
        self._emit(Draining(reason=stop.reason))

    def _end_all(self) -> None:
        self._parts.transport.end_all("the run was told to stop at once")

    def _on_change(self) -> None:
        self._senders.on_change()
        self._feeder.on_change()

    async def _tick(self) -> None:
        while True:
            self._watch.tick()
            await asyncio.sleep(TICK_S)

    async def _write_limits(self) -> None:
        while True:
            await asyncio.sleep(WRITE_LIMITS_EVERY_S)
            await self._guarded(self._watch.write())

    async def _stay_alive(self) -> None:
        """Say that the run lives: after a crash, absence is judged from the last such word."""
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            step = partial(LedgerStore.stay_alive, utc_s=self._parts.clock.utc_s())
            await self._guarded(self._parts.ledger.run(step))

    async def _watch_deadline(self) -> None:
        deadline_s = self._parts.settings.deadline_s
        if deadline_s is None:
            return
        await self._drain.sleep(deadline_s)
        self._drain.begin(
            Stop(
                status=ExitStatus.UNFINISHED,
                reason=f"the deadline of {human_seconds(deadline_s)} has passed",
                hint="run the same command again to go on",
            )
        )

    async def _verdict(self) -> RunResult:
        failure = self._parts.ledger.failure
        # Whatever began the drain: a ledger that failed since is the worse news.
        stop = self._drain.stop if failure is None else _ledger_stop(failure)
        states = await self._entries.states()
        status = exit_status(states, stop)
        if failure is None:
            await self._guarded(self._watch.write(last=True))
            now = self._parts.clock.utc_s()
            await self._guarded(
                self._parts.ledger.run(lambda store: store.end_run(exit_status=status, utc_s=now))
            )
        return RunResult(status=status, states=states, stop=stop)


def _ledger_stop(error: BaseException) -> Stop:
    hint = error.hint if isinstance(error, LedgerUnusable) else None
    return Stop(
        status=ExitStatus.LEDGER_UNUSABLE, reason=str(error), hint=hint or "run the same command again"
    )


def _register_page(
    store: LedgerStore, *, fresh: list[Entry], again: list[tuple[int, str]], utc_s: float
) -> None:
    store.register(fresh, utc_s=utc_s)
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
        send_count=send.entry_count + compare.entry_count,
        send_bytes=send.file_bytes + compare.file_bytes,
        doubt_count=plan.total(Step.RECONCILE).entry_count,
        blocked_count=plan.total(Step.BLOCKED).entry_count,
        warnings=plan.warnings,
    )
