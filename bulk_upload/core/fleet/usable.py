"""What a run with agents cannot do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.fleet.settings import FleetSettings
    from bulk_upload.core.run.settings import RunSettings


def usable_fleet(fleet: FleetSettings | None, settings: RunSettings) -> FleetSettings | None:
    """Return where agents come from. Raises UsageError for settings that do not go together with agents."""
    if fleet is not None and settings.bundle is not None:
        raise UsageError(
            "agents do not send bundles",
            hint="leave out --bundle (`bundle`), or the agents: --processes, --listen, --dask",
        )
    return fleet
