"""A folder to upload, with the keywords that choose its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypedDict

from bulk_upload.core.folder.sightings import FolderRequest
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.folder.place import is_folder
from bulk_upload.errors import UsageError
from bulk_upload.job_plan import JobInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.run.job import Job
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.job_plan import JobPlanner

_NS_PER_US = 1000
_EXAMPLES_SHOWN = 3


class FolderOptions(TypedDict, total=False):
    """Which files of a folder to upload, and what each is for.

    `mapping` has the purposes of files by pattern, the first match applies; `purpose` is for all others. Where neither
    says, a file gets the purpose that alone takes such a file. `include` and `exclude` are patterns as in a `.gitignore`
    file. `newer_than` leaves out files that were not modified after it.
    """

    mapping: Mapping[str, str]
    include: Sequence[str]
    exclude: Sequence[str]
    newer_than: datetime


FOLDER_NAMES = frozenset(FolderOptions.__annotations__)


def folder_input(
    job: Job, options: FolderOptions, planner: JobPlanner, on_count: Callable[[int], None]
) -> JobInput:
    """Return the job of a folder, or of one file in it, with the list of its files. Blocks. Raises UsageError, ManifestInvalid, LedgerUnusable."""
    newer_than = options.get("newer_than")
    request = FolderRequest(
        paths=(job.manifest,),
        purpose=job.purpose,
        mappings=tuple(f"{pattern}={purpose}" for pattern, purpose in options.get("mapping", {}).items()),
        include=tuple(options.get("include", ())),
        exclude=tuple(options.get("exclude", ())),
        newer_than_ns=None if newer_than is None else round(newer_than.timestamp() * 1e6) * _NS_PER_US,
    )
    folder = planner.folder_job(job, request)
    listing = planner.listing(folder, on_count=on_count)
    try:
        left_out = tuple(_left_out(listing))
        if not listing.entry_count:
            planner.require_most_files(folder.job, listing)
            raise UsageError(
                f"there is no file to upload in {quoted(job.manifest)}",
                hint="; ".join(left_out) or "hidden files and files of bulk-upload itself do not count",
            )
    except BaseException:
        listing.close()
        raise
    is_file = not is_folder(job.manifest) and not is_prefix(job.manifest)
    return JobInput(
        job=folder.job,
        listing=listing,
        left_out=left_out,
        is_short=bool(left_out),
        closes=True,
        only=folder.place.within[0] if is_file else None,
    )


def check_folder_options(options: Mapping[str, object]) -> None:
    """Raise UsageError for an option of a folder that is of a wrong type. Patterns must be in a list or a tuple."""
    for name in ("include", "exclude"):
        patterns = options.get(name, ())
        if isinstance(patterns, str):
            raise UsageError(
                f"{name} is a string, and must be a list of patterns", hint=f"pass {name}=[{patterns!r}]"
            )
        if not isinstance(patterns, (list, tuple, set, frozenset)) or not _are_texts(patterns):
            raise UsageError(f"{name} must be a list of patterns", hint=f'pass {name}=["*.tmp"], for example')
    mapping = options.get("mapping", {})
    if not isinstance(mapping, Mapping) or not _are_texts([*mapping, *mapping.values()]):
        raise UsageError(
            "mapping must be a dict of patterns and purposes", hint='pass mapping={"corpus/**": "pre-train"}'
        )
    newer_than = options.get("newer_than")
    if newer_than is not None and not isinstance(newer_than, datetime):
        raise UsageError(
            f"newer_than is of the type {type(newer_than).__name__}, and must be a datetime",
            hint="pass newer_than=datetime(2026, 11, 1, tzinfo=UTC); without a time zone it is local time",
        )


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(one, str) for one in values)


def _left_out(listing: FolderListing) -> Iterator[str]:
    """Yield, in words, what is missing that nobody decided to leave out."""
    groups = listing.tally.undecided.groups
    for number in listing.open_groups:
        group = groups[number]
        names = ", ".join(group.examples[:_EXAMPLES_SHOWN])
        more = ", …" if group.count > _EXAMPLES_SHOWN else ""
        files = "file" if group.count == 1 else "files"
        yield f"left out {group.count:,} {files} without a purpose ({names}{more}): {group.reason}"
    if listing.tally.is_incomplete:
        for path, reason in listing.tally.unreadable.shown:
            yield f"could not be read: {path} {reason}"
