"""Runs `unpack`: what does not come back on standard output, a summary on stderr."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.cli.output.json_output import put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.manifest.paths import PathComplaint, relative_path
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.report.json_shapes import UnpackedDifference
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import many
from bulk_upload.edge.pack import NoRoom, PackFolder, PackReader, read_member_list
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Iterator


class UnpackRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests. `output` None writes nothing."""

    folder: str
    output: str | None
    private: bool
    as_json: bool
    quiet: bool


def unpack_and_report(request: UnpackRequest) -> int:
    """Unpack and return the exit code. Raises UsageError."""
    if request.output is not None:
        require_folder_here(request.output)
    members = read_member_list(PackFolder(request.folder).member_list)
    if request.output is not None:
        _require_inside(request.output, [one.path for one in members])
        require_writable(request.output, private=request.private)
    byte_count = 0

    def on_bytes(more: int) -> None:
        nonlocal byte_count
        byte_count += more

    def progress() -> CommandProgress:
        total = sum(one.bytes for one in members)
        return CommandProgress(doing="unpacking", count=0, byte_count=byte_count, byte_total=total)

    reader = PackReader(request.folder, target=request.output, private=request.private, on_bytes=on_bytes)
    failed: set[str] = set()
    unreadable: set[str] = set()
    with command_progress_shown(progress, quiet=request.quiet), _in_words(request.output):
        for name, error in reader.read(members):
            failed.add(name)
            if isinstance(error, OSError):
                unreadable.add(name)
            detail = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            if request.as_json:
                put_json(UnpackedDifference(name=name, detail=detail))
            else:
                put(f"{printable(name)}: {printable(detail)}\n")
    if failed:
        packs = failed.intersection(one.pack for one in members)
        # Of a pack that cannot be read no file comes back.
        files = sum(one.path in failed or one.pack in unreadable for one in members)
        counted = [many(files, "file")] * (files > 0) + [many(len(packs), "pack")] * bool(packs)
        tell(f"{' and '.join(counted)} did not come back as packed")
        return ExitStatus.SOME_FAILED
    if not request.quiet:
        done = "proven" if request.output is None else f"written to {printable(request.output)}"
        tell(f"{many(len(members), 'file')}, {human_bytes(byte_count)}: {done}, byte for byte")
    return ExitStatus.DONE


def require_folder_here(output: str) -> None:
    """Raise UsageError where the address of objects stands in the place of a folder: a folder of that name would be
    made here, and be taken for the store."""
    if is_address(output):
        raise UsageError(
            "-o is the address of objects, and files are written on this machine only",
            hint="name a folder with -o; the store's own tools copy it",
        )


def require_writable(output: str, *, private: bool) -> None:
    """Make a folder, and raise UsageError where no file can be made in it: once, and not for each file."""
    try:
        os.makedirs(output, mode=0o700 if private else 0o777, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise _unwritable(output, error) from None


@contextmanager
def _in_words(output: str | None) -> Iterator[None]:
    try:
        yield
    except NoRoom as error:
        raise _unwritable(output or "", error) from None


def _unwritable(output: str, error: OSError) -> UsageError:
    return UsageError(
        f"nothing can be written to {printable(output)}: {error.strerror or type(error).__name__}",
        hint="name another folder with -o, or free some space",
    )


def _require_inside(target: str, paths: list[str]) -> None:
    root = os.path.realpath(target)
    outside = next(
        (
            one
            for one in paths
            if isinstance(relative_path(one, root=root, allow_outside=False), PathComplaint)
        ),
        None,
    )
    if outside is not None:
        raise UsageError(
            f"{printable(outside)} would be written outside {printable(target)}",
            hint="unpack without -o proves the packs; files outside the manifest's root are not written",
        )
