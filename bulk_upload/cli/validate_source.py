"""What `validate` checks: data files, streams, the files of a manifest, or those of a folder."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bulk_upload.cli.folder.data_file import data_likeness
from bulk_upload.cli.folder.listed import listed_with_progress
from bulk_upload.cli.folder.screen import folder_lines
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import purpose_remedy, unknown_purpose
from bulk_upload.core.run.job import Job
from bulk_upload.core.shapes.command import ConvertCommand
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.shell_words import path_word, shell_word
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.manifest_file import (
    LINES_LOOKED_AT,
    STANDARD_INPUT,
    ManifestFile,
    comes_by_stream,
    is_standard_input,
    lists_files,
    names_files,
)
from bulk_upload.edge.output import descriptor_of
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.validation.stream import DataStream
from bulk_upload.errors import ManifestInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from bulk_upload.cli.validate_request import ValidateRequest
    from bulk_upload.core.finding import Finding
    from bulk_upload.core.folder.sightings import FolderRequest
    from bulk_upload.engine.folder.listing import FolderListing

_STANDARD_INPUT_NAME = "<stdin>"


class Amount(NamedTuple):
    """How much there is to validate, None where unknown."""

    file_count: int | None
    byte_count: int | None


class Source(msgspec.Struct, frozen=True):
    """Files to validate: entries one after the other, and findings about the manifest in between.

    `streams` are those of the entries that are no files, by their paths.
    """

    tree: SourceTree
    items: Callable[[], Iterator[Entry | Finding]]
    amount: Callable[[], Amount]
    listing: FolderListing | None = None
    streams: Mapping[str, DataStream] = {}


def source_of(request: ValidateRequest, opened: ExitStack) -> Source:
    """Return what a request names. Raises UsageError, ManifestInvalid, LedgerUnusable."""
    wanted = request.folder_request()
    return _source(request, opened) if wanted is None else _folder_source(request, wanted, opened)


def _source(request: ValidateRequest, opened: ExitStack) -> Source:
    streams = _streams(request.paths) if request.purpose is not None else {}
    if _are_data_files(request, streams):
        tree = SourceTree(os.getcwd(), allow_outside=True, follow_symlinks=True)
        purpose = request.purpose or ""
        if purpose not in request.purposes and not request.force:
            known = tuple(request.purposes)
            raise UsageError(unknown_purpose(purpose), hint=purpose_remedy(purpose, known))
        if streams and request.quarantine is not None:
            raise UsageError(
                "standard input is read once", hint="save it to a file to quarantine its bad lines"
            )
        paths = [_stream_name(path) or path for path in request.paths]
        byte_count = None if streams else sum(map(_file_bytes, paths))
        return Source(
            tree,
            lambda: (Entry(path=path, purpose=purpose) for path in paths),
            lambda: Amount(len(paths), byte_count),
            streams=streams,
        )
    manifest = opened.enter_context(_manifest(request.paths[0], streams))
    tree = SourceTree(
        manifest.root(request.root),
        follow_symlinks=request.follow_symlinks,
        allow_outside=request.allow_outside,
    )
    rules = request.rules(where=manifest.name, tree=tree)
    return Source(tree, lambda: read_manifest(manifest.lines(), rules), lambda: _amount_in(manifest))


def _folder_source(request: ValidateRequest, wanted: FolderRequest, opened: ExitStack) -> Source:
    """Return the files of a folder with the purposes that a run would give them."""
    planner = request.planner()
    job = Job(
        manifest=request.paths[0],
        ledger=request.ledger,
        root=request.root,
        force=request.force,
        follow_symlinks=request.follow_symlinks,
        sources=request.sources,
        plain_sources=request.allow_plain_http,
    )
    folder = planner.folder_job(job, wanted)
    listing = opened.enter_context(listed_with_progress(planner, folder, quiet=request.quiet))
    if not request.quiet:
        for line in folder_lines(listing, wanted.paths, doing=" to validate"):
            tell(line)
    manifest = opened.enter_context(listing.opened())
    tree = SourceTree(manifest.root(None), follow_symlinks=request.follow_symlinks)
    rules = request.rules(where=manifest.name, tree=tree)
    totals = listing.totals().values()
    amount = Amount(sum(count for count, _ in totals), sum(size for _, size in totals))
    return Source(tree, lambda: read_manifest(manifest.lines(), rules), lambda: amount, listing)


def _amount_in(manifest: ManifestFile) -> Amount:
    """Count the lines of a manifest; in CSV a line is not always a row."""
    lines = manifest.lines()
    if manifest.has_header:
        next(lines, None)
    if not next(lines, b"").lstrip().startswith(b"{"):
        return Amount(None, None)
    return Amount(1 + sum(1 for line in lines if not line.isspace()), None)


def _file_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size
    except (OSError, ValueError):
        return 0


def _is_named_pipe(path: str) -> bool:
    try:
        return descriptor_of(path) is None and stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _stream_name(path: str) -> str | None:
    """Return what findings call a stream that a path names; None for the path of a file."""
    if is_standard_input(path):
        return _STANDARD_INPUT_NAME
    return None if descriptor_of(path) is None else path


def _streams(paths: Sequence[str]) -> dict[str, DataStream]:
    """Return the streams among the arguments, by name: standard input, and what a shell makes of `<(command)`."""
    streams: dict[str, DataStream] = {}
    for path in paths:
        name = _stream_name(path)
        if name is None:
            continue
        if name in streams:
            raise UsageError(f"{printable(name)} is named twice, and is read once", hint="name it once")
        if name == _STANDARD_INPUT_NAME and sys.stdin is None:
            raise UsageError("standard input is closed", hint="pipe the data into the command")
        streams[name] = DataStream(descriptor_of(path) or 0)
    return streams


def _manifest(path: str, streams: Mapping[str, DataStream]) -> ManifestFile:
    for stream in streams.values():
        # Its beginning was looked at.
        return ManifestFile(STANDARD_INPUT, stdin=io.BufferedReader(stream))
    return ManifestFile(path)


def _are_data(stream: DataStream) -> bool:
    try:
        beginning = stream.beginning(line_count=LINES_LOOKED_AT)
    except OSError:
        # Reported as a finding.
        return True
    return not lists_files(beginning.splitlines(keepends=True))


def _refuse_data(request: ValidateRequest) -> None:
    """Refuse training data without a purpose: as a manifest, every line of it would be wrong. Raises ManifestInvalid."""
    path = request.paths[0]
    like = data_likeness(path, request.purposes.values())
    if like is None:
        return
    schema = "" if request.schema_file is None else f" --schema {path_word(request.schema_file)}"
    if like.convert_to:
        raise ManifestInvalid(
            f"{quoted(path)} looks like training data, not like a manifest: {like.reason}",
            hint=f"`{ConvertCommand(file=path, purpose=_one_of(like.convert_to)).line()}` converts it"
            f"{_choices(like.convert_to)}",
        )
    purpose = like.purpose or "PURPOSE"
    sure = "" if like.is_sure else f" ({like.reason})"
    raise ManifestInvalid(
        f"{quoted(path)} looks like training data, not like a manifest{sure}: give its purpose",
        hint=f"`bulk-upload validate {path_word(path)} --purpose {shell_word(purpose)}{schema}` validates it",
    )


def _one_of(purposes: tuple[str, ...]) -> str:
    return purposes[0] if len(purposes) == 1 else "PURPOSE"


def _choices(purposes: tuple[str, ...]) -> str:
    return "" if len(purposes) == 1 else f" (PURPOSE: {' or '.join(purposes)})"


def _are_data_files(request: ValidateRequest, streams: Mapping[str, DataStream]) -> bool:
    """Whether the arguments are training data. One file without --purpose can only be meant as a manifest."""
    if len(request.paths) > 1 and request.purpose is None:
        raise UsageError(
            "several files are data files, not manifests, and need --purpose",
            hint="give one manifest, or the purpose of the data files with --purpose",
        )
    if request.purpose is None:
        _refuse_data(request)
        return False
    if len(request.paths) > 1 or _is_named_pipe(request.paths[0]):
        # To open a pipe would wait for its writer, maybe for ever.
        return True
    if streams:
        return all(map(_are_data, streams.values()))
    if comes_by_stream(request.paths[0]):
        return False
    try:
        return not names_files(request.paths[0])
    except (UsageError, ManifestInvalid):
        # A file that cannot be read, or is empty, is reported as a finding about a data file.
        return True
