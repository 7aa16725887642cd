"""`bulk-upload plan`: what `run` would do, and why."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from bulk_upload.cli.config.file import profile_named
from bulk_upload.cli.fleet.options import processes_line, processes_option
from bulk_upload.cli.folder.ledger_given import refuse_ledger
from bulk_upload.cli.folder.listed import listed_with_progress, nothing_to_upload, tell_left_out
from bulk_upload.cli.folder.options import Paths
from bulk_upload.cli.folder.screen import folder_lines, other_job_lines, to_upload_line
from bulk_upload.cli.folder.target import folder_request_of
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import (
    JOB_CONTEXT,
    job_of,
    job_options,
    retries_missing,
    retries_renamed,
    retry_of,
)
from bulk_upload.cli.options.schema import rules_chosen, schemas_of
from bulk_upload.cli.options.sections import JobCommand
from bulk_upload.cli.options.server import endpoint_in
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.cli.streamed_job import with_header
from bulk_upload.core.api.connection import Connection
from bulk_upload.core.report.json_shapes import PlannedReason, PlannedTotal, PlanSummary
from bulk_upload.core.run.plan import WITHOUT_FILE, Step
from bulk_upload.core.run.settings import RunSettings, ValidateMode
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import dropped_words
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobPlanner
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.bundle.forecast import BundlesPlanned
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.planned import PlannedEntry
    from bulk_upload.engine.folder.listing import FolderListing
    from bulk_upload.engine.plan import Plan

_TITLES = {
    Step.SEND: "to send",
    Step.COMPARE: "to compare: touched, sent only where the content differs",
    Step.RECONCILE: "in doubt, to be looked up on the server first",
    Step.SETTLED: "settled, nothing to do",
    Step.BLOCKED: "failed before, not retried",
}
_REASONS_SHOWN_MAX = 5
_LINES_PER_WRITE = 1000


@click.command("plan", cls=JobCommand, context_settings=JOB_CONTEXT)
@click.argument(
    "manifest", cls=Paths, nargs=-1, required=True, metavar="MANIFEST|PATH...", shell_complete=file_names
)
@job_options
@click.option(
    "--list",
    "list_entries",
    is_flag=True,
    help="Print a JSON line per entry; the summary then goes to stderr.",
)
@processes_option
@click.option(
    "-v", "--verbose", count=True, help="Also say how many processes --processes auto uses, and why."
)
@json_option("the summary as one JSON object; with --list, only the line per entry")
def plan(manifest: tuple[str, ...], *, list_entries: bool, as_json: bool, **options: Any) -> int:
    """Show what `run` would do with MANIFEST, or with files and folders, and why. Changes nothing and needs no API key.

    The exit code is 3 if the purpose of a file cannot be told, or a folder cannot be read.

    \b
    Examples:
      bulk-upload plan manifest.jsonl
      bulk-upload plan ./datasets
      bulk-upload plan --job nightly
      bulk-upload plan manifest.jsonl --list | jq -r 'select(.step == "send") | .path'
    """
    return plan_and_show(manifest, options, list_entries=list_entries, as_json=as_json)


def plan_and_show(
    paths: tuple[str, ...], options: dict[str, Any], *, list_entries: bool = False, as_json: bool = False
) -> int:
    """Print the plan of a manifest, or of files and folders, and return the exit code."""
    refuse_ledger(paths)
    profile = profile_named(options["profile"])
    # Network settings are not needed: a plan sends nothing.
    connection = Connection(endpoint=endpoint_in(options, profile), profile=profile, team=options["team"])
    planner = JobPlanner(
        connection,
        settings=RunSettings(
            retry=retry_of(options["retry"]),
            retry_renamed=retries_renamed(options["retry"]),
            retry_missing=retries_missing(options["retry"]),
            validate=ValidateMode(options["validate"]),
            rules=rules_chosen(options["ignore"], options["error"], is_strict=options["strict"]),
            bundle=options["bundle"],
        ),
        purposes=schemas_of(options["schema"], profile),
    )
    request = folder_request_of(paths, options)
    say = tell if list_entries or as_json else _put_line
    if request is None:
        job = with_header(job_of(paths[0], options), connection)
        _show(planner, job, options, say, list_entries=list_entries, as_json=as_json)
        return ExitStatus.DONE
    folder = planner.folder_job(job_of(paths[0], options), request)
    with listed_with_progress(planner, folder, quiet=False) as listing:
        for line in folder_lines(listing, paths):
            say(line)
        for line in other_job_lines(listing, connection, ledger=planner.ledger_path(folder.job)):
            tell(line)
        if not listing.entry_count:
            return nothing_to_upload(planner, folder, listing)
        _show(planner, folder.job, options, say, listing=listing, list_entries=list_entries, as_json=as_json)
        tell_left_out(listing)
        return ExitStatus.SOME_FAILED if listing.is_short else ExitStatus.DONE


def _show(
    planner: JobPlanner,
    job: Job,
    options: dict[str, Any],
    say: Callable[[str], None],
    *,
    listing: FolderListing | None = None,
    list_entries: bool,
    as_json: bool,
) -> None:
    listed = _Listed()
    read = _Read()
    with command_progress_shown(read.progress):
        made = planner.plan(
            job,
            listing=listing,
            on_entry=listed.add if list_entries else None,
            on_progress=read.on_progress,
        )
    listed.flush()
    ledger_path = planner.ledger_path(job)
    if as_json and not list_entries:
        put_json(_summary(made, ledger_path))
        return
    mode = ValidateMode(options["validate"])
    for line in plan_lines(made, ledger_path, mode, in_folder=listing is not None):
        say(line)
    if options.get("verbose"):
        say(processes_line(options["processes"], made.total(Step.SEND).file_bytes))
    if listing is not None:
        say(to_upload_line(made))


def _put_line(line: str) -> None:
    put(f"{line}\n")


def _summary(made: Plan, ledger_path: str) -> PlanSummary:
    totals = {step: made.total(step) for step in Step}
    return PlanSummary(
        entry_count=made.entry_count,
        file_bytes=made.file_bytes,
        steps={
            step: PlannedTotal(entry_count=one.entry_count, file_bytes=one.file_bytes)
            for step, one in totals.items()
        },
        reasons=tuple(
            PlannedReason(step=step, reason=reason, entry_count=count)
            for (step, reason), count in made.reasons.most_common()
        ),
        twin_count=made.twin_count,
        dropped_count=made.dropped_count,
        bundle_count=0 if made.bundles is None else made.bundles.bundle_count,
        bundled_file_count=0 if made.bundles is None else made.bundles.file_count,
        mixups=made.mixups,
        warnings=made.warnings,
        ledger=ledger_path,
        ledger_exists=os.path.exists(ledger_path),
    )


class _Read:
    """How many entries of the manifest were read so far."""

    def __init__(self) -> None:
        self._entry_count = 0

    def on_progress(self, entry_count: int) -> None:
        """Record how many were read."""
        self._entry_count = entry_count

    def progress(self) -> CommandProgress:
        """Return the progress."""
        return CommandProgress(doing="reading the manifest", count=self._entry_count, things="entries")


class _Listed:
    """Prints entries as JSON lines, many to a write."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, one: PlannedEntry) -> None:
        """Add one entry."""
        line = {"path": one.entry.path, "purpose": one.entry.purpose, "step": one.step, "reason": one.note}
        self._lines.append(json.dumps(line))
        if len(self._lines) == _LINES_PER_WRITE:
            self.flush()

    def flush(self) -> None:
        """Print the added entries."""
        if self._lines:
            put("\n".join([*self._lines, ""]))
            self._lines.clear()


def plan_lines(
    made: Plan, ledger_path: str, validate: ValidateMode, *, in_folder: bool = False
) -> Iterator[str]:
    """Yield what a run would do, and why."""
    yield from (f"warning: {printable(mixup)}" for mixup in made.mixups)
    yield _total(made)
    for step, title in _TITLES.items():
        total = made.total(step)
        if total.entry_count:
            yield f"  {total.entry_count:,} {title} ({human_bytes(total.file_bytes)})"
            yield from _reason_lines(
                Counter({reason: count for (one, reason), count in made.reasons.items() if one is step})
            )
    missing_count = sum(made.total(step).entry_count for step in WITHOUT_FILE)
    if missing_count:
        files = "file" if missing_count == 1 else "files"
        yield f"  {missing_count:,} {files} missing or unreadable, not sent; the next run looks again"
        yield from _reason_lines(
            Counter({why: count for (one, why), count in made.reasons.items() if one in WITHOUT_FILE})
        )
    if made.twin_count:
        yield f"{made.twin_count:,} entries share name, size and purpose with another: they are sent one at a time"
    if made.bundles is not None:
        yield _bundles(made.bundles)
    yield from (f"warning: {printable(warning)}" for warning in made.warnings)
    if made.dropped_count:
        yield dropped_words(made.dropped_count, in_folder=in_folder)
    yield from _validation(made, validate)
    yield f"Ledger: {printable(ledger_path)}{'' if os.path.exists(ledger_path) else ' (the run will create it)'}"


_VALIDATION = {
    ValidateMode.AHEAD: "ahead of the uploads",
    ValidateMode.EACH: "just before each upload",
}


def _validation(made: Plan, mode: ValidateMode) -> Iterator[str]:
    """Print what would be validated. Files that the ledger has as valid would not be, but that is not checked here."""
    send = made.total(Step.SEND)
    if not send.entry_count:
        return
    if mode is ValidateMode.OFF:
        yield "Validation: none (--validate off)"
        return
    plural = "file" if send.entry_count == 1 else "files"
    yield (
        f"Validation: {send.entry_count:,} {plural} ({human_bytes(send.file_bytes)}) would be validated"
        f" {_VALIDATION[mode]}; `bulk-upload validate` does it now"
    )


def _bundles(planned: BundlesPlanned) -> str:
    if not planned.bundle_count:
        return f"Bundles: none; no files to send that could go together (--bundle {planned.files_max})"
    plural = "request" if planned.bundle_count == 1 else "requests"
    return (
        f"Bundles: {planned.file_count:,} files in {planned.bundle_count:,} {plural} (--bundle {planned.files_max}),"
        f" {planned.saved_count:,} fewer than one by one"
    )


def _reason_lines(reasons: Counter[str]) -> Iterator[str]:
    for reason, count in reasons.most_common(_REASONS_SHOWN_MAX):
        yield f"      {count:,} x {printable(reason)}"
    if len(reasons) > _REASONS_SHOWN_MAX:
        rest = reasons.total() - sum(count for _, count in reasons.most_common(_REASONS_SHOWN_MAX))
        yield f"      {rest:,} x other reasons"


def _total(made: Plan) -> str:
    return f"{made.entry_count:,} {'entry' if made.entry_count == 1 else 'entries'}, {human_bytes(made.file_bytes)}"
