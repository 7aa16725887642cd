"""Runs `pack`: validates what is new or changed, then writes packs; findings on standard output, a summary on stderr."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from bulk_upload.cli.output.json_output import put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.cli.unpack_files import require_folder_here
from bulk_upload.cli.validate_source import source_of
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.pack.packable import not_packable, packed_rules, twice_packed
from bulk_upload.core.purposes import unknown_to_us
from bulk_upload.core.report.json_shapes import PackSummary
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.shell_words import path_word
from bulk_upload.core.text.wording import many
from bulk_upload.edge.pack import PackFolder
from bulk_upload.edge.validation.workers import Workers, usable_processors
from bulk_upload.engine.pack.packing import Packing
from bulk_upload.engine.tasks import innermost
from bulk_upload.engine.validation.file_validator import FileValidator
from bulk_upload.engine.validation.inspection import Inspection
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.findings import FORMATS
from bulk_upload.report.live.command_progress import CommandProgress
from bulk_upload.report.live.data_findings import Totals
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.cli.validate_request import ValidateRequest
    from bulk_upload.cli.validate_source import Source
    from bulk_upload.core.model import Entry
    from bulk_upload.core.pack.layout import MemberKey
    from bulk_upload.engine.pack.packing import Candidate, Packed
    from bulk_upload.engine.validation.inspection import Inspected


Done = TypeVar("Done")


class PackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests: which files, and where their packs go."""

    files: ValidateRequest
    output: str
    size: int
    as_json: bool


async def pack_and_report(request: PackRequest) -> int:
    """Pack and return the exit code. Raises UsageError, ManifestInvalid."""
    require_folder_here(request.output)
    files = request.files
    if request.size < 1:
        raise UsageError("a pack of no bytes holds nothing", hint="give a size such as --size 256MB")
    if files.folder_request() is not None:
        raise UsageError(
            f"{printable(files.paths[0])} is a folder, and packs are made of a manifest",
            hint=f"`bulk-upload scan {path_word(files.paths[0])}` writes one",
        )
    with ExitStack() as opened:
        source = source_of(files, opened)
        command = _Command(request, source)
        with command_progress_shown(command.progress, quiet=files.quiet):
            await command.on_thread(command.look)
            await command.validate(opened)
            packed = None if command.totals.error_count else await command.on_thread(command.write)
        command.show()
    if packed is None:
        tell(f"{command.totals}. Nothing was written.")
        return ExitStatus.INVALID_INPUT
    if request.as_json:
        put_json(_summary(request, packed))
    elif not files.quiet:
        for line in _lines(request, packed):
            tell(line)
    return ExitStatus.DONE


class _Stopped(Exception):
    """The command was interrupted: its thread goes no further."""


class _Command:
    """One run of the command."""

    def __init__(self, request: PackRequest, source: Source) -> None:
        self._request = request
        self._files = request.files
        self._source = source
        self._is_stopped = False
        self._said: list[str] = []
        self._format = FORMATS[self._files.output_format](str, __version__)
        self._doing = "reading the manifest"
        self._done_count = 0
        self._byte_count = 0
        self._candidates: list[Candidate] = []
        self._line_counts: dict[MemberKey, int] = {}
        self.totals = Totals()
        self._packing = Packing(
            PackFolder(request.output, private=self._files.private),
            source.tree,
            size=request.size,
            purposes=self._files.purposes,
            private=self._files.private,
            on_bytes=self._on_bytes,
        )

    async def on_thread(self, work: Callable[[], Done]) -> Done:
        """Do what blocks on a thread, which an interruption stops at its next file or piece of one."""
        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
        except BaseException:
            self._is_stopped = True
            raise

    def look(self) -> None:
        """Read the manifest and look which files are there, and which are new or changed. Blocks."""
        first: dict[MemberKey, Entry] = {}
        for item in self._source.items():
            self._go_on()
            self._done_count += 1
            complaint = item if isinstance(item, Finding) else self._taken(item, first)
            if complaint is not None:
                self.totals.error_count += 1
                self._said += self._format.add_one(complaint)

    def _taken(self, entry: Entry, first: dict[MemberKey, Entry]) -> Finding | None:
        """Take a file, or return why it cannot be packed."""
        where = self._files.paths[0]
        purpose = self._files.purposes.get(entry.purpose) or unknown_to_us(entry.purpose)
        complaint = not_packable(entry, purpose, where=where)
        if complaint is not None:
            return complaint
        status = self._source.tree.inspect(entry.path)
        if isinstance(status, PathComplaint):
            return status.finding(where=where, line_no=entry.line_no, place="path")
        candidate = self._packing.candidate(entry, status)
        earlier = first.setdefault(candidate.key, entry)
        if earlier is not entry:
            return twice_packed(entry, earlier, where=where)
        self._candidates.append(candidate)
        return None

    async def validate(self, opened: ExitStack) -> None:
        """Check the files that the packs do not have yet."""
        self._doing, self._done_count = "validating", 0
        job_count = self._files.job_count or usable_processors()
        workers = opened.enter_context(closing(Workers(job_count, niceness=0)))
        validator = FileValidator(
            self._source.tree,
            workers,
            purposes=self._files.purposes,
            choice=packed_rules(self._files.choice),
            on_bytes=self._on_bytes,
            command_for=self._command_for,
        )
        new = [one for one in self._candidates if one.earlier is None]
        keys = iter([one.key for one in new])

        async def take(inspected: Inspected) -> None:
            entry, report = inspected
            self._done_count += 1
            self._line_counts[next(keys)] = report.line_count
            self.totals.add(report)
            self._said += self._format.add(entry.path, entry.purpose, report)

        try:
            await Inspection(validator, job_count=job_count).look((one.entry for one in new), take)
        except BaseExceptionGroup as group:
            raise innermost(group) from None

    def write(self) -> Packed:
        """Write packs and lists. Blocks. Raises UsageError."""
        self._doing, self._done_count, self._byte_count = "packing", 0, 0
        layout = self._packing.lay_out(self._candidates, self._line_counts)
        return self._packing.write(layout, self._candidates)

    def show(self) -> None:
        """Print the findings: all in words; as JSON only errors and what is beside them, else the summary follows alone."""
        lines = [*self._said, *self._format.end()]
        if lines and (self.totals.error_count or not self._request.as_json):
            put("".join(f"{line}\n" for line in lines))

    def progress(self) -> CommandProgress:
        """Return the progress; called on another thread."""
        return CommandProgress(doing=self._doing, count=self._done_count, byte_count=self._byte_count)

    def _command_for(self, path: str, purpose: str) -> ConvertCommand:
        return ConvertCommand(
            file=self._source.tree.absolute(path), purpose=purpose, schema_file=self._files.schema_file
        )

    def _on_bytes(self, byte_count: int) -> None:
        self._go_on()
        self._byte_count += byte_count

    def _go_on(self) -> None:
        if self._is_stopped:
            raise _Stopped


def _summary(request: PackRequest, packed: Packed) -> PackSummary:
    return PackSummary(
        made=packed.made,
        rebuilt=packed.rebuilt,
        kept_count=packed.kept_count,
        gone=packed.gone,
        member_count=packed.member_count,
        pack_bytes=packed.pack_bytes,
        manifest=PackFolder(request.output).manifest,
        members=PackFolder(request.output).member_list,
    )


def _lines(request: PackRequest, packed: Packed) -> Iterable[str]:
    folder = PackFolder(request.output)
    pack_count = len(packed.made) + len(packed.rebuilt) + packed.kept_count
    yield (
        f"{many(packed.member_count, 'file')} in {many(pack_count, 'pack')}, {human_bytes(packed.pack_bytes)}: "
        f"{len(packed.made):,} new, {len(packed.rebuilt):,} rebuilt, {packed.kept_count:,} unchanged, "
        f"{len(packed.gone):,} gone"
    )
    manifest = path_word(folder.manifest)
    yield f"Next: bulk-upload run {manifest}"
    if packed.rebuilt:
        yield f"Then: bulk-upload undo {manifest} --only superseded deletes what rebuilt packs replaced"
    if packed.gone:
        yield f"Then: bulk-upload undo {manifest} --only dropped deletes packs that are gone"
