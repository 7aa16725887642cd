"""Puts together what a run with agents sends with."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from bulk_upload.engine.fleet.cap_shares import OwnShare
from bulk_upload.engine.fleet.crew import Crew
from bulk_upload.engine.fleet.fleet_sender import FleetSender
from bulk_upload.engine.fleet.shared_sender import SharedSender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.fleet.settings import FleetParts
    from bulk_upload.core.limits.capped import CappedController
    from bulk_upload.core.run.ports import Ledger
    from bulk_upload.core.run.sender import Sender
    from bulk_upload.core.run.settings import RunSettings
    from bulk_upload.edge.ledger import LedgerStore
    from bulk_upload.engine.callback_errors import CallbackErrors
    from bulk_upload.engine.conditions import Conditions
    from bulk_upload.engine.limits.drain import Drain
    from bulk_upload.engine.limits.slots import SlotPool
    from bulk_upload.engine.sending.local_sender import LocalSender
    from bulk_upload.engine.validation.gate import Gate


def crew_and_sender(
    fleet: FleetParts,
    *,
    own_sender: Callable[[Pace, Iterator[int]], LocalSender],
    settings: RunSettings,
    gate: Gate,
    slots: SlotPool,
    limits: CappedController,
    ledger: Ledger[LedgerStore],
    conditions: Conditions,
    drain: Drain,
    clock: Clock,
    errors: CallbackErrors,
    emit: Callable[[Event], None],
) -> tuple[Crew, Sender]:
    """Return the agents of a run, and the sender that has them send; this process sends as well where `fleet` says so.

    Args:
        own_sender: returns the sender of this process, given what admits its bytes and what numbers its files.
    """
    share = OwnShare(clock, errors, on_held=limits.on_bytes_held) if fleet.sends_itself else None
    crew = Crew(
        job=fleet.job,
        key=fleet.key,
        ttl_s=fleet.ttl_s,
        token=fleet.token,
        expected_count=fleet.expected_count,
        bytes_per_s=lambda: limits.bytes_per_s,
        own=share,
        patience_s=settings.patience_s,
        ledger=ledger,
        conditions=conditions,
        drain=drain,
        clock=clock,
        errors=errors,
        emit=emit,
    )
    numbers = itertools.count(1)
    keeps_together = settings.bundle is not None
    agents = FleetSender(
        crew,
        on_handed=slots.handed,
        on_held=limits.on_bytes_held,
        on_checked=gate.sent_checks.note,
        keeps_together=keeps_together,
        numbers=numbers,
    )
    if share is None:
        return crew, agents
    own = own_sender(share.gate, numbers)
    return crew, SharedSender(own, agents, crew, share, keeps_together=keeps_together)
