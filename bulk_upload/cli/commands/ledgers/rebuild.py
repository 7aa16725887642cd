"""`bulk-upload ledger rebuild`: a lost ledger, made anew from the server's list."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.config.file import profile_named
from bulk_upload.cli.folder.options import Paths
from bulk_upload.cli.options.api_key import api_key_of
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import JOB_CONTEXT, job_of, manifest_options
from bulk_upload.cli.options.limit_units import SIZE
from bulk_upload.cli.options.schema import schemas_of
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.server import connection_of
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.engine.recovery.rebuild import Rebuilt
    from bulk_upload.report.live.command_progress import CommandProgress

_NAMED_MAX = 5


@click.command(
    "rebuild",
    cls=JobCommand,
    context_settings=JOB_CONTEXT,
    short_help="Make a lost ledger anew from the server's list.",
)
@click.argument(
    "manifest", cls=Paths, nargs=-1, required=True, metavar="MANIFEST|PATH...", shell_complete=file_names
)
@manifest_options
@click.option(
    "--trust-names",
    is_flag=True,
    help="Take a file by its name, size and purpose, without comparing its content, where they name one entry only.",
)
@click.option(
    "--compare-max",
    type=SIZE,
    default="64MiB",
    show_default=True,
    help="Compare files up to this size whole, larger ones by ranges of this size in all.",
)
@click.option("--quiet", is_flag=True, help="Print nothing unless something goes wrong.")
def rebuild(
    manifest: tuple[str, ...], *, trust_names: bool, compare_max: int, quiet: bool, **options: Any
) -> int:
    """Make the ledger of MANIFEST, or of files and folders, anew from the server's list, or add what a copy of it lacks.

    Give the options of the job's `run`. Every entry that `run` would send is looked for at the server: a file of its
    name, size and purpose whose content, read back, is the same becomes its receipt, marked as found. Nothing is sent.
    The next `run` sends the rest; `undo` deletes files that were found only with --adopted.

    The exit code is 4 if files at the server may be the ones but could not be compared, otherwise 0.

    \b
    Examples:
      bulk-upload ledger rebuild manifest.jsonl
      bulk-upload ledger rebuild ./datasets
      bulk-upload ledger rebuild manifest.jsonl --trust-names
    """
    import anyio  # noqa: PLC0415 - help must not wait for an HTTP library

    from bulk_upload.cli.folder.listed import listed_with_progress, tell_left_out  # noqa: PLC0415
    from bulk_upload.cli.folder.target import folder_request_of  # noqa: PLC0415
    from bulk_upload.cli.options.ledger import person  # noqa: PLC0415
    from bulk_upload.job_rebuild import JobRebuild  # noqa: PLC0415

    profile = profile_named(options["profile"])
    job, request = job_of(manifest[0], options), folder_request_of(manifest, options)
    rebuilding = JobRebuild(
        connection_of(options, profile),
        api_key=api_key_of(options, profile),
        decided_by=person(),
        trust_names=trust_names,
        compare_max_bytes=compare_max,
        purposes=schemas_of(options["schema"], profile),
    )
    shown = _Shown()
    with ExitStack() as closing:
        listing = None
        if request is not None:
            folder = rebuilding.planner.folder_job(job, request)
            job = folder.job
            listing = closing.enter_context(listed_with_progress(rebuilding.planner, folder, quiet=quiet))
            tell_left_out(listing)
        work = partial(rebuilding.rebuild, job, listing=listing, on_started=shown.on_started)
        with command_progress_shown(shown.progress, quiet=quiet):
            rebuilt = anyio.run(work)
    if not quiet or rebuilt.undecided_count:
        for line in _lines(rebuilt, rebuilding.ledger_path(job)):
            tell(line)
    return ExitStatus.IN_DOUBT if rebuilt.undecided_count else ExitStatus.DONE


class _Shown:
    """The counts of a rebuild, once it has begun."""

    def __init__(self) -> None:
        self._rebuilt: Rebuilt | None = None

    def on_started(self, rebuilt: Rebuilt) -> None:
        """Keep the counts to show."""
        self._rebuilt = rebuilt

    def progress(self) -> CommandProgress:
        """Return the progress."""
        from bulk_upload.report.live.command_progress import CommandProgress  # noqa: PLC0415

        rebuilt = self._rebuilt
        if rebuilt is None:
            return CommandProgress(doing="reading the manifest", count=0, things="entries")
        if not rebuilt.entry_count:
            return CommandProgress(doing="reading the server's list", count=rebuilt.listed_count)
        return CommandProgress(
            doing="looking for the files of the manifest",
            count=rebuilt.entry_count,
            things="entries",
            byte_count=rebuilt.compared_bytes,
            remarks=(f"{rebuilt.found_count:,} found",),
        )


def _lines(rebuilt: Rebuilt, ledger_path: str) -> Iterator[str]:
    yield f"ledger: {printable(ledger_path)}"
    yield (
        f"Files in the server's list: {rebuilt.listed_count:,}. Entries looked for: {rebuilt.entry_count:,}. "
        f"Compared by content: {rebuilt.compared_count:,} ({human_bytes(rebuilt.compared_bytes)} read back)."
    )
    yield f"Found: {rebuilt.found_count:,}, recorded as receipts."
    if rebuilt.absent_count:
        yield f"Not at the server: {rebuilt.absent_count:,}; the next `run` sends them."
    if rebuilt.differing_count:
        yield (
            f"At the server with other content: {rebuilt.differing_count:,}; the next `run` sends them as they are here."
        )
        if not rebuilt.found_count:
            yield "  if the server does not return files as they were sent, use --trust-names before you run"
    if rebuilt.undecided_count:
        yield f"Not decided: {rebuilt.undecided_count:,}; the next `run` says so, or stops, before it sends them:"
        for one in rebuilt.undecided[:_NAMED_MAX]:
            yield f"  {printable(one.path)}: {printable(one.reason)}"
        if rebuilt.undecided_count > _NAMED_MAX:
            yield f"  ... and {rebuilt.undecided_count - _NAMED_MAX:,} more"
        yield "  --trust-names takes files by name, size and purpose"
    if not rebuilt.entry_count:
        yield "Every entry of the manifest has a receipt, or cannot be sent."
