"""Lists a folder for a command, and says what is left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.cli.folder.left_out import left_out_lines
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from bulk_upload.core.folder.sightings import FolderRequest
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.job_folder import FolderJob
    from bulk_upload.job_plan import JobPlanner


def listed_with_progress(planner: JobPlanner, folder: FolderJob, *, quiet: bool) -> FolderListing:
    """Return the files of a folder's job; a long search shows its progress. Raises UsageError, LedgerUnusable."""
    seen = _Seen()
    with command_progress_shown(seen.progress, quiet=quiet):
        return planner.listing(folder, on_count=seen.on_count)


def nothing_to_upload(planner: JobPlanner, folder: FolderJob, listing: FolderListing) -> ExitStatus:
    """Say why nothing is uploaded, as `nothing_to_do`. Raises ManifestInvalid, too: all files of the last run are gone."""
    planner.require_most_files(folder.job, listing)
    return nothing_to_do(listing, folder.request)


def nothing_to_do(listing: FolderListing, request: FolderRequest, *, doing: str = "upload") -> ExitStatus:
    """Say why nothing is done, and return the exit code. Raises UsageError where there is no file at all."""
    if listing.is_short:
        tell_left_out(listing)
        tell(f"Nothing to {doing}: no file has a purpose.")
        return ExitStatus.SOME_FAILED
    if listing.tally.unwanted_count or listing.tally.undecided.count:
        tell(f"Nothing to {doing}: no file is selected.")
        return ExitStatus.DONE
    if any(map(is_address, request.paths)):
        hint = "check bucket and prefix; keys that begin with a dot, and empty objects that end in /, do not count"
    else:
        hint = "check the name, and that the disk is mounted; hidden files and files of bulk-upload itself do not count"
    raise UsageError(f"there is no file to {doing} in {', '.join(map(quoted, request.paths))}", hint=hint)


def tell_left_out(listing: FolderListing) -> None:
    """Name the files that nobody decided to leave out, each with what to do."""
    if listing.tally.is_incomplete:
        unreadable = listing.tally.unreadable
        tell(f"bulk-upload: not everything could be read, and files may be missing: {unreadable.count:,}")
        for path, reason in unreadable.shown:
            tell(f"  {printable(path)} {printable(reason)}")
        tell(
            "  hint: allow this user to read it, or mend the link, and run again; or leave it out with --exclude"
        )
    files = listing.tally.undecided
    open_groups = [files.groups[number] for number in listing.open_groups]
    for line in left_out_lines(files, open_groups, root=listing.place.root):
        tell(line)


class _Seen:
    """How many files were found so far."""

    def __init__(self) -> None:
        self._count = 0

    def on_count(self, count: int) -> None:
        """Record how many there are."""
        self._count = count

    def progress(self) -> CommandProgress:
        """Return the progress."""
        return CommandProgress(doing="scanning", count=self._count)
