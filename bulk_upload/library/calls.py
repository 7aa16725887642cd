"""One call for a whole upload: for scripts, notebooks, threads and tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack, cast

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.endpoint import endpoint_of
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.errors import UsageError
from bulk_upload.job_plan import JobPlanner
from bulk_upload.library.displays import display_for, showing
from bulk_upload.library.jobs import JOB_NAMES, JobOptions, source_of
from bulk_upload.library.uploader import Uploader, UploaderOptions, both, planned_by
from bulk_upload.library.waiting import BackgroundRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.events import Event
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.engine.plan import Plan
    from bulk_upload.job_run import Result
    from bulk_upload.library.jobs import What


class UploadOptions(UploaderOptions, JobOptions, total=False):
    """The keyword arguments of `upload`: those of `Uploader`, and the fields of `Job`."""


def upload(what: What, *, progress: bool = False, **options: Unpack[UploadOptions]) -> Result:
    """Upload a folder, a manifest, a file or entries, and return the Result when every entry has been dealt with.

    A failed entry is a row of the result, not an exception: `upload(…).raise_for_status()` raises. The run has a
    thread and an event loop of its own, so this works anywhere, also inside a running loop, which it blocks.
    An interrupt ends the run as Ctrl-C ends the command, and is raised when nothing of it goes on.

    Args:
        what: the path of a folder, of a manifest, or of one file with `purpose`; entries; or a `Job`.
        progress: show progress: a live display in a terminal, a bar in a notebook, nothing elsewhere.
        **options: fields of `Job` (`purpose`, `ledger`, `root`, …), arguments of `Uploader` (`api_key`, `base_url`, …),
            and fields of `RunSettings` (`concurrency`, `rate_per_s`, …). Without `api_key` the environment is read, as
            `Uploader.from_env` does.

    Raises BulkUploadError for what prevents or ends the run.
    """
    job_options, uploader_options = _split(options)
    with display_for(progress=progress) as display:
        uploader = _uploader(uploader_options, display.on_event)
        run = uploader.run(what, **job_options)
        display.follow(run)
        return BackgroundRun(uploader, run).wait(display.tick)


async def upload_async(what: What, *, progress: bool = False, **options: Unpack[UploadOptions]) -> Result:
    """Do what `upload` does, in the running event loop of asyncio.

    A cancelled caller ends the run: uploads in flight are aborted and recorded before the cancellation goes on.
    Raises as `upload`, and UsageError without an event loop of asyncio.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "upload_async needs a running event loop of asyncio",
            hint="beside trio call upload in a thread: await trio.to_thread.run_sync(upload, …)",
        ) from None
    job_options, uploader_options = _split(options)
    with display_for(progress=progress) as display:
        async with _uploader(uploader_options, display.on_event) as uploader:
            run = uploader.run(what, **job_options)
            display.follow(run)
            async with showing(display):
                return await run


def plan(
    what: What,
    *,
    base_url: str | None = None,
    profile: Profile = FLOW,
    team: str | None = None,
    allow_plain_http: bool = False,
    purposes: Mapping[str, Purpose] = PURPOSES,
    on_entry: Callable[[PlannedEntry], None] | None = None,
    **options: Unpack[JobOptions],
) -> Plan:
    """Return what `upload` would do now with the same arguments; needs no key, touches nothing, sends nothing.

    `on_entry` is called with every entry with its step and the reason for it. Raises ManifestInvalid, LedgerUnusable,
    UsageError.
    """
    endpoint = endpoint_of(
        profile.base_url if base_url is None else base_url,
        allow_plain_http=allow_plain_http,
        files_path=profile.files_path,
    )
    planner = JobPlanner(Connection(endpoint=endpoint, profile=profile, team=team), purposes=purposes)
    return planned_by(planner, source_of(what, options), on_entry=on_entry)


def _uploader(options: UploaderOptions, on_event: Callable[[Event], None]) -> Uploader:
    """Return an uploader that calls `on_event` before the caller's own listener; without a key from the environment."""
    given: dict[str, Any] = dict(options)
    theirs = options.get("on_event")
    given["on_event"] = on_event if theirs is None else both(on_event, theirs)
    return Uploader(**given) if "api_key" in given else Uploader.from_env(**given)


def _split(options: UploadOptions) -> tuple[JobOptions, UploaderOptions]:
    of_job = {name: value for name, value in options.items() if name in JOB_NAMES}
    of_uploader = {name: value for name, value in options.items() if name not in JOB_NAMES}
    return cast("JobOptions", of_job), cast("UploaderOptions", of_uploader)
