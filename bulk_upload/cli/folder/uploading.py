"""Uploads a folder: lists it, shows the plan, asks what has to be asked, and runs the job."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.cli.commands.plan import plan_lines
from bulk_upload.cli.event_loop import run_on_event_loop
from bulk_upload.cli.folder.asking import ask_purposes, can_ask, confirm
from bulk_upload.cli.folder.listed import listed_with_progress, nothing_to_upload
from bulk_upload.cli.folder.screen import folder_lines, other_job_lines, to_upload_line
from bulk_upload.cli.output.questions import ended_by_abort
from bulk_upload.cli.output.streams import tell
from bulk_upload.cli.run_job import run_and_report
from bulk_upload.core.purposes import known_purposes
from bulk_upload.core.run.plan import MAY_SEND
from bulk_upload.errors import LedgerOlder
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner

if TYPE_CHECKING:
    from bulk_upload.cli.run_request import RunRequest
    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.folder.sightings import FolderRequest
    from bulk_upload.core.run.settings import ValidateMode
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.job_folder import FolderJob


def upload_folder(request: RunRequest, wanted: FolderRequest, *, yes: bool) -> int:
    """Upload files and folders, and return the exit code. Asks on a terminal, unless `yes`. Raises BulkUploadError."""
    quiet = request.log.quiet or request.log.replaces_words
    asks = not yes and not request.log.replaces_words and can_ask()
    planner = JobPlanner(request.connection, settings=request.settings, purposes=request.purposes)
    folder = planner.folder_job(request.job, wanted)
    with listed_with_progress(planner, folder, quiet=quiet) as listing:
        if asks:
            with ended_by_abort("Nothing was sent."):
                ask_purposes(listing, known_purposes(request.connection.profile.purposes, request.purposes))
        if asks or not quiet:
            for line in folder_lines(listing, wanted.paths):
                tell(line)
        for line in other_job_lines(listing, request.connection, ledger=planner.ledger_path(folder.job)):
            tell(line)
        if not listing.entry_count:
            return nothing_to_upload(planner, folder, listing)
        if asks and not agreed(planner, folder, listing, request.connection, request.settings.validate):
            tell("Nothing was sent.")
            return ExitStatus.UNFINISHED
        return run_on_event_loop(partial(run_and_report, replace(request, job=folder.job, listing=listing)))


def agreed(
    planner: JobPlanner,
    folder: FolderJob,
    listing: FolderListing,
    connection: Connection,
    validate: ValidateMode,
) -> bool:
    """Show the plan and ask whether to upload; without a question where nothing may be sent."""
    endpoint = connection.endpoint
    try:
        plan = planner.plan(folder.job, listing=listing)
    except LedgerOlder:
        tell(
            "The ledger is of an older version. The run brings it up to date, and then sends what it does not have."
        )
        totals = listing.totals().values()
        with ended_by_abort("Nothing was sent."):
            return confirm(sum(count for count, _ in totals), sum(size for _, size in totals), endpoint)
    for line in plan_lines(plan, planner.ledger_path(folder.job), validate, in_folder=True):
        tell(line)
    tell(to_upload_line(plan))
    may_send = [plan.total(step) for step in MAY_SEND]
    count = sum(one.entry_count for one in may_send)
    if not count:
        return True
    with ended_by_abort("Nothing was sent."):
        return confirm(count, sum(one.file_bytes for one in may_send), endpoint)
