"""Runs `validate`: findings on standard output, progress and totals on stderr."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import anyio

from bulk_upload.cli.folder.ledger_given import refuse_ledger
from bulk_upload.cli.folder.listed import nothing_to_do, tell_left_out
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.cli.validate_source import source_of
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.purposes import Format, unknown_to_us
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.rules import WHOLE_FILE
from bulk_upload.edge.machine import usable_processors
from bulk_upload.edge.manifest_file import STANDARD_INPUT
from bulk_upload.edge.objects.reader import ObjectReader
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.edge.validation.quarantine import FileIsPacked, Quarantine, QuarantineFailed
from bulk_upload.edge.validation.workers import SMALL_BYTES_MAX, Workers
from bulk_upload.engine.objects.validator import ObjectValidator
from bulk_upload.engine.tasks import innermost
from bulk_upload.engine.validation.file_validator import FileValidator
from bulk_upload.engine.validation.inspection import Inspected, Inspection
from bulk_upload.engine.validation.streamed import StreamValidator
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.findings import FORMATS
from bulk_upload.report.live.command_progress import CommandProgress
from bulk_upload.report.live.data_findings import Totals
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.cli.dataset.survey import Survey
    from bulk_upload.cli.validate_request import ValidateRequest
    from bulk_upload.cli.validate_source import Amount, Source
    from bulk_upload.core.model import Entry
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.quarantine import Quarantined

_CONVERTED = "converted.jsonl"
"""Where a conversion of standard input writes, in remedies: it has no name to write beside."""


async def validate_and_report(request: ValidateRequest) -> int:
    """Validate and return the exit code. Raises UsageError, ManifestInvalid, LedgerUnusable."""
    refuse_ledger(request.paths)
    with ExitStack() as opened:
        wanted = request.folder_request()
        source = source_of(request, opened)
        if wanted is not None and source.listing is not None and not source.listing.entry_count:
            return nothing_to_do(source.listing, wanted, doing="validate")
        job_count = request.job_count or usable_processors()
        survey = _survey(request, opened)
        small_bytes_max = 0 if survey is not None and survey.is_in_processes else SMALL_BYTES_MAX
        # No uploads run meanwhile that need priority.
        workers = opened.enter_context(
            closing(Workers(job_count, niceness=0, small_bytes_max=small_bytes_max))
        )
        command = _Command(request, source, workers, survey)
        opened.enter_context(closing(command.objects))
        with command_progress_shown(command.progress, quiet=request.quiet):
            inspection = Inspection(command.validator, job_count=job_count)
            try:
                await inspection.look(command.entries(), command.tell)
            except BaseExceptionGroup as group:
                raise innermost(group) from None
            await command.compare()
        command.show()
        if not request.quiet:
            tell(str(command.totals))
        if source.listing is not None:
            tell_left_out(source.listing)
            if not command.totals.error_count:
                return ExitStatus.SOME_FAILED if source.listing.is_short else ExitStatus.DONE
    if (
        source.listing is None
        and request.purpose is None
        and command.totals.error_count
        and not command.totals.file_count
    ):
        tell("  hint: if this is training data, not a manifest, give its purpose with --purpose")
    return ExitStatus.INVALID_INPUT if command.totals.error_count else ExitStatus.DONE


def _survey(request: ValidateRequest, opened: ExitStack) -> Survey | None:
    if request.survey is None:
        return None
    from bulk_upload.cli.dataset.survey import Survey  # noqa: PLC0415 - seldom wanted, and slow to import

    return Survey(request.survey, request.choice, opened)


class _Command:
    """One run of the command: counts findings, and prints them as they come, or by rule at the end."""

    def __init__(
        self, request: ValidateRequest, source: Source, workers: Workers, survey: Survey | None
    ) -> None:
        self._request = request
        self._survey = survey
        self._source = source
        self._read_bytes = 0
        self._done_count = 0
        self._amount: Amount | None = None
        self._quarantine = (
            None
            if request.quarantine is None
            else Quarantine(request.quarantine, version=__version__, private=request.private)
        )
        self._format = FORMATS[request.output_format](self._name_of, __version__)
        self.totals = Totals()
        self._files = FileValidator(
            source.tree,
            workers,
            purposes=request.purposes,
            choice=request.choice,
            thorough=request.thorough,
            on_bytes=self._on_bytes,
            command_for=self._command_for,
            survey=None if survey is None else survey.task,
        )
        streams = StreamValidator(self._files, source.streams, on_bytes=self._on_bytes)
        stores = Stores(request.sources, allow_plain_http=request.allow_plain_http)
        self.objects = ObjectReader(stores, hashing=None)
        self.validator = ObjectValidator(streams, self.objects, on_bytes=self._on_bytes)

    def entries(self) -> Iterator[Entry]:
        """Return the files that can be validated; report the others."""
        for item in self._source.items():
            if isinstance(item, Finding):
                self._complain(item)
                continue
            if item.path in self._source.streams:
                yield item
                continue
            if is_address(item.path):
                if self._quarantine is not None:
                    raise UsageError(
                        "bad lines of objects are not set apart: there is no file to take the good ones from",
                        hint="download the objects first, or leave --quarantine out",
                    )
                yield item
                continue
            looked = self._source.tree.inspect(item.path)
            if isinstance(looked, PathComplaint):
                self._done_count += 1
                where = self._request.paths[0] if item.line_no else item.path
                self._complain(
                    looked.finding(
                        where=where, line_no=item.line_no or None, place="path" if item.line_no else None
                    )
                )
                continue
            yield item

    async def tell(self, inspected: Inspected) -> None:
        """Take the findings of one file, and quarantine its bad lines if requested."""
        entry, report = inspected
        self.totals.add(report)
        self._done_count += 1
        self._put(entry.path, entry.purpose, report)
        if self._survey is not None:
            await self._survey.take(entry, report)
        if self._quarantine is not None and not report.is_valid:
            await self._set_apart(self._quarantine, inspected)

    def _put(self, path: str, purpose: str, report: FileReport) -> None:
        _print(self._format.add(path, purpose, report))
        if self._survey is not None:
            self._survey.findings.add(path, report)

    async def compare(self) -> None:
        """Take the findings about examples of several files. Raises UsageError."""
        if self._survey is None:
            return
        for path, purpose, report in await self._survey.compare():
            self.totals.add_findings(report)
            self._put(path, purpose, report)

    def show(self) -> None:
        """Print what could not be printed as it came, and what the data is. Raises UsageError."""
        _print(self._format.end())
        if self._survey is not None:
            self._survey.show(self._request, self.totals)

    def progress(self) -> CommandProgress:
        """Return the progress; called on another thread, and only once it takes long."""
        if self._amount is None:
            self._amount = self._source.amount()
        errors = self.totals.error_count
        return CommandProgress(
            doing="validating",
            count=self._done_count,
            total=self._amount.file_count,
            # Files read by other processes report progress only at intervals.
            byte_count=max(self._read_bytes, self.totals.byte_count),
            byte_total=self._amount.byte_count,
            remarks=(f"{errors:,} {'error' if errors == 1 else 'errors'}",) if errors else (),
        )

    def _command_for(self, path: str, purpose: str) -> ConvertCommand:
        """Return what converts a file, with its name from the current folder."""
        if path in self._source.streams:
            return ConvertCommand(
                file=STANDARD_INPUT, purpose=purpose, schema_file=self._request.schema_file, output=_CONVERTED
            )
        return ConvertCommand(
            file=self._name_of(path), purpose=purpose, schema_file=self._request.schema_file
        )

    def _name_of(self, path: str) -> str:
        """Return the name of a file from the current folder."""
        if path in self._request.paths or path in self._source.streams or is_address(path):
            return path
        full = self._source.tree.absolute(path)
        beneath = os.path.relpath(full, os.getcwd())
        # Alone, a dash is standard input.
        return full if beneath.startswith("../") or beneath == "-" else beneath

    def _on_bytes(self, byte_count: int) -> None:
        # On another thread; a slightly outdated count is good enough.
        self._read_bytes += byte_count

    def _complain(self, finding: Finding) -> None:
        self.totals.error_count += 1
        _print(self._format.add_one(finding))
        if self._survey is not None:
            self._survey.findings.add_one(finding)

    async def _set_apart(self, quarantine: Quarantine, inspected: Inspected) -> None:
        entry, report = inspected
        purpose = self._request.purposes.get(entry.purpose) or unknown_to_us(entry.purpose)
        path = printable(entry.path)
        if purpose.format_of(entry.path) is not Format.JSON_LINES or WHOLE_FILE & report.counts.keys():
            tell(f"quarantine: {path}: the file as a whole is invalid, no lines to quarantine")
            return
        try:
            made = await anyio.to_thread.run_sync(self._copy, quarantine, entry)
        except FileIsPacked:
            tell(f"quarantine: {path}: the file is compressed; unpack it first")
            return
        except (QuarantineFailed, OSError) as error:
            raise UsageError(
                f"cannot quarantine the bad lines of {path}: {error}",
                hint="choose another folder with --quarantine, or free some space",
            ) from None
        kept = (
            "no good line" if made.repaired is None else f"{made.good_count:,} good lines in {made.repaired}"
        )
        tell(f"quarantine: {path}: {printable(kept)}; {made.bad_count:,} bad ones in {printable(made.bad)}")

    def _copy(self, quarantine: Quarantine, entry: Entry) -> Quarantined:
        descriptor = self._source.tree.open_regular(entry.path)
        try:
            return quarantine.set_apart(descriptor, self._files.task(entry.path, entry.purpose))
        finally:
            os.close(descriptor)


def _print(lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    if text:
        put(text)
