"""The first and the last record of a run's log."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bulk_upload.core.log_records import RunEnded, RunStarted
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from bulk_upload.core.profile import Profile
    from bulk_upload.job_run import Result


def run_started(
    *, manifest: str, endpoint: str, profile: Profile, team: str | None, settings_from: str | None
) -> RunStarted:
    """Return what is known before anything is read."""
    return RunStarted(
        version=__version__,
        pid=os.getpid(),
        manifest=manifest,
        endpoint=endpoint,
        profile=profile.name,
        team=team,
        settings_from=settings_from,
    )


def run_ended(result: Result, elapsed_s: float, results_path: str | None) -> RunEnded:
    """Return how a run came out; `results_path` is where its mapping lies, if it was written."""
    return RunEnded(
        exit_code=int(result.status),
        exit_name=result.status.name,
        states=result.states,
        stop=None if result.stop is None else result.stop.reason,
        elapsed_s=elapsed_s,
        ledger=result.ledger,
        results=results_path,
    )
