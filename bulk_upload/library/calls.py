"""One call for a whole upload: for scripts, notebooks, threads and tasks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Unpack, cast

from bulk_upload.core.text.wording import did_you_mean
from bulk_upload.errors import UsageError
from bulk_upload.library.arguments import check_flag, check_uploader
from bulk_upload.library.displays import display_for, showing
from bulk_upload.library.jobs import JOB_NAMES, JobOptions
from bulk_upload.library.settings import SETTING_NAMES
from bulk_upload.library.uploader import Uploader, UploaderOptions, both
from bulk_upload.library.waiting import BackgroundRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Event
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
    check_flag("progress", progress)
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
    check_flag("progress", progress)
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
    on_entry: Callable[[PlannedEntry], None] | None = None,
    **options: Unpack[UploadOptions],
) -> Plan:
    """Return what `upload` would do now with the same arguments; needs no key, touches nothing, sends nothing.

    Address and team come from the environment where `upload` takes them from there: without `api_key`. What only matters
    for sending is left alone. `on_entry` is called with every entry with its step and the reason for it.

    Raises ManifestInvalid, LedgerUnusable, UsageError.
    """
    job_options, uploader_options = _split(options)
    given: dict[str, Any] = {**uploader_options, "api_key": _NO_KEY}
    uploader = Uploader(**given) if "api_key" in options else Uploader.from_env(**given)
    return uploader.plan(what, on_entry=on_entry, **job_options)


_NO_KEY = "no-key-is-sent"
_NAMES = tuple(sorted(JOB_NAMES | SETTING_NAMES | UploaderOptions.__annotations__.keys()))


def _uploader(options: UploaderOptions, on_event: Callable[[Event], None]) -> Uploader:
    """Return an uploader that calls `on_event` before the caller's own listener; without a key from the environment."""
    check_uploader(options)
    given: dict[str, Any] = dict(options)
    theirs = options.get("on_event")
    given["on_event"] = on_event if theirs is None else both(on_event, theirs)
    return Uploader(**given) if "api_key" in given else Uploader.from_env(**given)


def _split(options: UploadOptions) -> tuple[JobOptions, UploaderOptions]:
    """Return the options of the job and those of the uploader. Raises TypeError for a name that is none."""
    for name in options:
        if name not in _NAMES:
            raise TypeError(f"there is no argument {name!r}. {did_you_mean(name, _NAMES)}".rstrip())
    of_job = {name: value for name, value in options.items() if name in JOB_NAMES}
    of_uploader = {name: value for name, value in options.items() if name not in JOB_NAMES}
    return cast("JobOptions", of_job), cast("UploaderOptions", of_uploader)
