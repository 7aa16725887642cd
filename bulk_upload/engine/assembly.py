"""Puts a run together, from the bottom up: each object is made from objects above it on the page."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.api.server_habits import ServerHabits
from bulk_upload.core.bundle.bundling import Bundling
from bulk_upload.core.limits.capped import CappedController
from bulk_upload.core.run.plan import Step
from bulk_upload.core.run.settings import ValidateMode
from bulk_upload.engine.after.confirm import ClosingCheck
from bulk_upload.engine.callback_errors import CallbackErrors
from bulk_upload.engine.clock_watch import ClockWatch
from bulk_upload.engine.conditions import Conditions
from bulk_upload.engine.doubt.api_retry import ApiRetry
from bulk_upload.engine.doubt.comparing import Comparer
from bulk_upload.engine.doubt.reconciler import Reconciler
from bulk_upload.engine.doubt.resolution import Doubts
from bulk_upload.engine.limits.bandwidth import BandwidthGate
from bulk_upload.engine.limits.control import RunControl
from bulk_upload.engine.limits.drain import Drain
from bulk_upload.engine.limits.monitor import LimitWatch
from bulk_upload.engine.limits.occupancy import Occupancy
from bulk_upload.engine.limits.slots import SlotPool
from bulk_upload.engine.limits.stop_rules import StopRules
from bulk_upload.engine.limits.twins import TwinGate, TwinKey
from bulk_upload.engine.limits.watched import WatchedRun
from bulk_upload.engine.run import Run
from bulk_upload.engine.sending.attempt import Attempts
from bulk_upload.engine.sending.bundle_attempts import BundleAttempts
from bulk_upload.engine.sending.bundle_tasks import BundleTasks
from bulk_upload.engine.sending.entry_task import EntryTasks
from bulk_upload.engine.sending.feeder import PARKED_MIN, Feeder
from bulk_upload.engine.sending.local_sender import LocalSender
from bulk_upload.engine.sending.retries import Retries
from bulk_upload.engine.sending.touched import TouchedFiles
from bulk_upload.engine.sending.workers import Workers
from bulk_upload.engine.settling import Settler
from bulk_upload.engine.upkeep import Upkeep
from bulk_upload.engine.validation.gate import Gate
from bulk_upload.engine.waits import Waits
from bulk_upload.engine.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import FleetParts
    from bulk_upload.core.limits.controller import Controller, LearnedLimits
    from bulk_upload.core.run.ports import ContentApi, Ledger, Reader, Transport
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.fleet.crew import Crew
    from bulk_upload.engine.plan import Plan
    from bulk_upload.engine.planned_entries import PlannedEntries
    from bulk_upload.engine.validation.validating import Validating


CHECK_WAIT_S_MAX = 60.0
"""The closing check does not wait for a server that asks for more time."""


def assemble(
    *,
    settings: RunSettings,
    profile: Profile,
    clock: Clock,
    reader: Reader,
    transport: Transport,
    files_api: ContentApi,
    ledger: Ledger[LedgerStore],
    entries: PlannedEntries,
    plan: Plan,
    emit: Callable[[Event], None],
    controller: Controller | None = None,
    learned: LearnedLimits | None = None,
    address_known: bool = False,
    validator: Validating | None = None,
    fleet: FleetParts | None = None,
) -> Run:
    """Return a run of a plan, ready to be executed.

    Args:
        transport: makes the requests.
        files_api: queries the files on the server.
        controller: by default the one that goes with the settings' caps.
        learned: what an earlier run learned at this endpoint.
        address_known: whether the ledger has a receipt from this endpoint.
        validator: checks the content of files before they are sent; None where nothing is validated.
        fleet: what agents must know that read and send; None where there are none.
    """
    watched = WatchedRun(clock)
    emit = watched.listening(emit)
    errors, conditions, waits = CallbackErrors(), Conditions(), Waits()
    drain = Drain(emit)
    drain.closes(conditions.check)

    limits = CappedController(
        settings.caps, minute_of_day=clock.minute_of_day(), controller=controller, learned=learned
    )
    slots = SlotPool(limits, clock, drain=drain, conditions=conditions, errors=errors)
    bandwidth = BandwidthGate(limits, clock, errors)
    occupancy = Occupancy(slots, drain, conditions, parked_max=max(PARKED_MIN, settings.parked_max))
    limit_watch = LimitWatch(limits, slots, bandwidth, clock=clock, ledger=ledger, emit=emit)
    stop_rules = StopRules(
        settings,
        to_send_count=plan.total(Step.SEND).entry_count,
        address_known=address_known,
        clock=clock,
        drain=drain,
        emit=emit,
        key_variable=profile.key_variable,
    )

    habits = ServerHabits(profile.purposes)
    settler = Settler(ledger=ledger, stop_rules=stop_rules, clock=clock, emit=emit)
    gate = Gate(
        validator,
        settings=settings,
        settler=settler,
        stop_rules=stop_rules,
        wire_bytes=lambda: sender.wire_bytes,
        ledger=ledger,
        drain=drain,
        clock=clock,
        emit=emit,
    )
    validates = validator is not None and settings.validate is not ValidateMode.OFF
    own_sender = partial(
        LocalSender,
        reader,
        transport,
        check_for=gate.check_for if validates else None,
        on_handed=slots.handed,
        sent_checks=gate.sent_checks if validates else None,
    )
    crew: Crew | None = None
    sender: Sender
    if fleet is None:
        sender = own_sender(pace=bandwidth)
    else:
        from bulk_upload.engine.fleet.assembling import crew_and_sender  # noqa: PLC0415 - few runs have agents

        crew, sender = crew_and_sender(
            fleet,
            own_sender=lambda pace, numbers: own_sender(pace=pace, numbers=numbers),
            settings=settings,
            gate=gate,
            slots=slots,
            limits=limits,
            ledger=ledger,
            conditions=conditions,
            drain=drain,
            clock=clock,
            errors=errors,
            emit=emit,
        )
    clock_watch = ClockWatch(clock=clock, files_api=files_api, ledger=ledger, emit=emit)
    attempts = Attempts(
        profile=profile,
        slots=slots,
        sender=sender,
        ledger=ledger,
        stop_rules=stop_rules,
        habits=habits,
        drain=drain,
        clock=clock,
        clock_watch=clock_watch,
        emit=emit,
    )

    api_retry = ApiRetry(
        clock,
        sleep=drain.sleep,
        away_s=lambda: settings.patience_s if stop_rules.knows_server else 0.0,
        wait_s_max=settings.patience_s,
    )
    twins = TwinGate(drain)
    reconciler = Reconciler(
        files_api=files_api,
        api_retry=api_retry,
        ledger=ledger,
        profile=profile,
        clock=clock,
        drain=drain,
        emit=emit,
        waits=waits,
        habits=habits,
        on_withdrawn=lambda held: twins.bar(TwinKey.of(held.sent_name, held.file_bytes, held.purpose)),
        may_send=occupancy.may_send,
    )
    comparer = Comparer(
        files_api=files_api,
        api_retry=api_retry,
        files=sender,
        ledger=ledger,
        drain=drain,
        emit=emit,
        compare_max_bytes=settings.compare_max_bytes,
        waits=waits,
        habits=habits,
    )
    doubts = Doubts(
        reconciler=reconciler,
        comparer=comparer,
        files=sender,
        profile=profile,
        settings=settings,
        parked=partial(occupancy.parked, depends=True),
        ledger=ledger,
        drain=drain,
        clock=clock,
    )
    touched = TouchedFiles(
        sender=sender,
        files_api=files_api,
        api_retry=api_retry,
        settler=settler,
        occupancy=occupancy,
        stop_rules=stop_rules,
        retry_policy=settings.retry_policy,
        hashing=settings.hashing,
        ledger=ledger,
        drain=drain,
        clock=clock,
        waits=waits,
    )

    retries = Retries(
        attempts=attempts,
        settler=settler,
        doubts=doubts,
        occupancy=occupancy,
        stop_rules=stop_rules,
        policy=settings.retry_policy,
        limits=limits,
        wire_bytes=lambda: sender.wire_bytes,
        ledger=ledger,
        drain=drain,
        clock=clock,
    )
    entry_tasks = EntryTasks(
        retries=retries,
        settler=settler,
        gate=gate,
        touched=touched,
        doubts=doubts,
        twins=twins,
        stop_rules=stop_rules,
        occupancy=occupancy,
        ledger=ledger,
        drain=drain,
    )
    workers = Workers(
        attempts=attempts,
        settler=settler,
        entry_tasks=entry_tasks,
        twins=twins,
        stop_rules=stop_rules,
        occupancy=occupancy,
        conditions=conditions,
    )
    bundle_tasks = None
    if settings.bundle is not None and profile.takes_bundles:
        bundle_attempts = BundleAttempts(
            attempts=attempts,
            profile=profile,
            slots=slots,
            sender=sender,
            ledger=ledger,
            stop_rules=stop_rules,
            habits=habits,
            drain=drain,
            clock=clock,
            clock_watch=clock_watch,
        )
        bundle_tasks = BundleTasks(
            bundling=Bundling(min(settings.bundle, profile.bulk_max or settings.bundle)),
            attempts=bundle_attempts,
            entry_tasks=entry_tasks,
            settler=settler,
            sender=sender,
            twins=twins,
            policy=settings.retry_policy,
            stop_rules=stop_rules,
            occupancy=occupancy,
            conditions=conditions,
            ledger=ledger,
            drain=drain,
            clock=clock,
            emit=emit,
        )
    feeder = Feeder(
        sender=sender,
        ledger=ledger,
        gate=gate,
        workers=workers,
        bundle_tasks=bundle_tasks,
        entry_tasks=entry_tasks,
        twins=twins,
        slots=slots,
        occupancy=occupancy,
        conditions=conditions,
        drain=drain,
        clock=clock,
        clock_watch=clock_watch,
        intends_ahead=profile.list_shows_absence,
        has_agents=fleet is not None,
    )
    closing_check = ClosingCheck(
        settings=settings,
        profile=profile,
        files_api=files_api,
        # Without patience for a server that is away: the receipts are there, and the run is over.
        api_retry=ApiRetry(
            clock,
            sleep=drain.sleep,
            away_s=lambda: 0.0,
            wait_s_max=min(CHECK_WAIT_S_MAX, settings.patience_s),
        ),
        ledger=ledger,
        drain=drain,
        clock=clock,
        emit=emit,
        waits=waits,
    )
    watchdog = Watchdog(
        sender=sender,
        ledger=ledger,
        entries=entries,
        gate=gate,
        slots=slots,
        bandwidth=bandwidth,
        limits=limits,
        drain=drain,
        waits=waits,
    )
    upkeep = Upkeep(
        deadline_s=settings.deadline_s,
        limits=limit_watch,
        watchdog=watchdog,
        stop_rules=stop_rules,
        ledger=ledger,
        drain=drain,
        clock=clock,
        clock_watch=clock_watch,
        on_alive=None if crew is None else crew.on_alive,
    )
    return Run(
        settings=settings,
        plan=plan,
        entries=entries,
        feeder=feeder,
        workers=workers,
        bundle_tasks=bundle_tasks,
        entry_tasks=entry_tasks,
        touched=touched,
        reconciler=reconciler,
        gate=gate,
        slots=slots,
        occupancy=occupancy,
        sender=sender,
        crew=crew,
        ledger=ledger,
        limits=limit_watch,
        control=RunControl(
            limits=limits,
            watch=limit_watch,
            slots=slots,
            occupancy=occupancy,
            stop_rules=stop_rules,
            ledger=ledger,
            drain=drain,
            clock=clock,
            emit=emit,
        ),
        watched=watched,
        closing_check=closing_check,
        watchdog=watchdog,
        upkeep=upkeep,
        stop_rules=stop_rules,
        errors=errors,
        drain=drain,
        clock=clock,
        emit=emit,
    )
