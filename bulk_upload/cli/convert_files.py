"""Runs `convert`: new files beside the old ones, a summary on stderr."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.cli.folder.data_file import data_likeness
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import STANDARD_OUTPUT, put, tell
from bulk_upload.core.purposes import purpose_remedy, unknown_purpose, unknown_to_us
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.shell_words import bare_path_word, path_word, shell_word
from bulk_upload.edge.convert import STANDARD_INPUT, Conversion, ConvertRequest, convert_file, default_output
from bulk_upload.edge.manifest_file import names_files
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.conversion_summary import summary_lines
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bulk_upload.core.purposes import Purpose

_STDOUT = "/dev/stdout"
_FILES_NAMED_MAX = 5


class FilesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests."""

    paths: tuple[str, ...]
    purpose: str | None
    purposes: Mapping[str, Purpose]
    output: str | None
    fix: bool
    lossy: bool
    drop: tuple[str, ...]
    private: bool
    as_json: bool
    quiet: bool
    schema_file: str | None = None


class _Done(msgspec.Struct):
    """How far the command is, for the display."""

    byte_total: int | None
    file_total: int
    file_count: int = 0
    byte_count: int = 0

    def add(self, byte_count: int) -> None:
        """Count bytes that were read."""
        self.byte_count += byte_count

    def progress(self) -> CommandProgress:
        """Return the progress."""
        return CommandProgress(
            doing="converting",
            count=self.file_count,
            total=self.file_total,
            byte_count=self.byte_count,
            byte_total=self.byte_total,
        )


def convert_and_report(request: FilesRequest) -> int:
    """Convert and return the exit code. Raises UsageError."""
    wanted = [_wanted(request, path) for path in request.paths]
    done = _Done(byte_total=_byte_total(request.paths), file_total=len(wanted))
    made_files: list[Conversion] = []
    with command_progress_shown(done.progress, quiet=request.quiet):
        for one in wanted:
            made = convert_file(one, on_bytes=done.add)
            done.file_count += 1
            made_files.append(made)
            _report(request, made)
    if not request.quiet:
        for line in _next_lines(request, made_files):
            tell(line)
    return ExitStatus.INVALID_INPUT if any(one.tally.left for one in made_files) else ExitStatus.DONE


def _wanted(request: FilesRequest, path: str) -> ConvertRequest:
    if request.purpose is not None and request.purpose not in request.purposes:
        known = tuple(request.purposes)
        raise UsageError(unknown_purpose(request.purpose), hint=purpose_remedy(request.purpose, known))
    if request.purpose is None and not request.fix:
        raise UsageError(
            "nothing to convert to",
            hint="name the purpose with --purpose, or mend the file's bytes with --fix",
        )
    if request.output is not None and len(request.paths) > 1:
        raise UsageError(
            "-o names one file, and there are several", hint="leave it out, or convert one by one"
        )
    if request.output is None and path == STANDARD_INPUT:
        raise UsageError("standard input has no name to write beside", hint="name the new file with -o")
    output = request.output or default_output(path)
    return ConvertRequest(
        path=path,
        purpose=unknown_to_us("") if request.purpose is None else request.purposes[request.purpose],
        output=_STDOUT if output == STANDARD_OUTPUT else output,
        fix=request.fix,
        lossy=request.lossy,
        drop=request.drop,
        known=tuple(request.purposes.values()),
        private=request.private,
    )


def _next_lines(request: FilesRequest, made: list[Conversion]) -> Iterator[str]:
    """Yield the commands that validate and upload what was written, as they can be typed."""
    outputs = [one.output for one in made if one.output is not None and one.output != _STDOUT]
    if not outputs:
        return
    files = " ".join(map(bare_path_word, outputs)) if len(outputs) <= _FILES_NAMED_MAX else "FILE..."
    if request.purpose is None and len(outputs) == 1 and names_files(outputs[0]):
        yield f"Next: bulk-upload validate {files}"
        yield f"Then: bulk-upload run {files}"
        return
    purpose = request.purpose or _purpose_of(request, outputs)
    options = f"--purpose {shell_word(purpose)}"
    if request.schema_file is not None:
        options += f" --schema {path_word(request.schema_file)}"
    yield f"Next: bulk-upload validate {files} {options}"
    yield f"Then: bulk-upload {files} {options}"


def _purpose_of(request: FilesRequest, outputs: list[str]) -> str:
    """Return the purpose of files that were only mended, as far as their lines show it."""
    found = {
        like and like.purpose for like in (data_likeness(one, request.purposes.values()) for one in outputs)
    }
    return found.pop() or "PURPOSE" if len(found) == 1 else "PURPOSE"


def _byte_total(paths: tuple[str, ...]) -> int | None:
    try:
        return sum(os.stat(path).st_size for path in paths)
    except OSError:
        return None


def _report(request: FilesRequest, made: Conversion) -> None:
    if request.as_json and made.output != _STDOUT:
        put(json.dumps(msgspec.to_builtins(made)) + "\n")
    if not request.quiet or made.tally.left:
        for line in summary_lines(made):
            tell(printable(line))
