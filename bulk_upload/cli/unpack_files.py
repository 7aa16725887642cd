"""Runs `unpack`: what does not come back on standard output, a summary on stderr."""

from __future__ import annotations

import msgspec

from bulk_upload.cli.output.json_output import put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.report.json_shapes import UnpackedDifference
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import many
from bulk_upload.edge.pack import PackFolder, PackReader, read_member_list
from bulk_upload.engine.pack.target import require_folder_here, require_usable, writing_to
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.command_progress import CommandProgress


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
        require_usable(request.output, [one.path for one in members], private=request.private)
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
    with command_progress_shown(progress, quiet=request.quiet), writing_to(request.output):
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
