"""What a run is made of; tests put fakes in the places of the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.clock import Clock
    from bulk_upload.core.events import Event
    from bulk_upload.core.profile import Profile
    from bulk_upload.core.settings import RunSettings
    from bulk_upload.edge.files import FileReader
    from bulk_upload.edge.ledger import LedgerWriter
    from bulk_upload.edge.transport import Transport
    from bulk_upload.engine.drain import Drain
    from bulk_upload.engine.oversight import Oversight
    from bulk_upload.engine.permits import Permits
    from bulk_upload.engine.reconciler import Reconciler
    from bulk_upload.engine.throttle import Throttle
    from bulk_upload.engine.twins import TwinGate


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The collaborators of one run."""

    settings: RunSettings
    profile: Profile
    clock: Clock
    reader: FileReader
    transport: Transport
    ledger: LedgerWriter
    permits: Permits
    throttle: Throttle
    twins: TwinGate
    reconciler: Reconciler
    drain: Drain
    oversight: Oversight
    emit: Callable[[Event], None]
