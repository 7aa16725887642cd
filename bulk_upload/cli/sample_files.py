"""Runs `sample`: examples on standard output, what they were taken from on stderr."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES, Format
from bulk_upload.core.shapes.json_values import NOT_JSON, require_json
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.convert import STANDARD_INPUT, Sampler
from bulk_upload.edge.folder.place import is_folder
from bulk_upload.edge.manifest_file import ManifestFile, comes_by_stream, names_files
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.errors import ManifestInvalid, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.examples import rendered
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.edge.convert import Sampled

_STANDARD_INPUT_NAME = "<stdin>"
_UNSAMPLED = (Format.DOCUMENT, Format.TORCH)


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line requests. `seed` None means any; `characters_max` 0 clips no text."""

    path: str
    size: int
    seed: int | None
    characters_max: int
    as_json: bool
    quiet: bool


class _Source(msgspec.Struct, frozen=True):
    """A file to take examples from, and what it is called."""

    path: str
    name: str


class _Progress(msgspec.Struct):
    """How far the command is, for the display."""

    file_count: int = 0
    byte_count: int = 0

    def add(self, byte_count: int) -> None:
        """Count bytes that were read."""
        self.byte_count += byte_count

    def shown(self) -> CommandProgress:
        """Return the progress."""
        return CommandProgress(doing="sampling", count=self.file_count, byte_count=self.byte_count)


def sample_and_show(request: SampleRequest) -> int:
    """Show examples and return the exit code. Raises UsageError, ManifestInvalid."""
    seed = random.SystemRandom().randrange(1_000_000) if request.seed is None else request.seed
    sampler = Sampler(request.size, random.Random(seed).random)  # noqa: S311 - the same seed takes the same examples
    progress = _Progress()
    with command_progress_shown(progress.shown, quiet=request.quiet):
        for source in _sources(request.path):
            sampler.add(source.path, name=source.name, on_bytes=progress.add)
            progress.file_count += 1
    taken = sampler.taken()
    for index, one in enumerate(taken):
        if request.as_json:
            _put_json(one)
        else:
            put(_shown(one, request.characters_max, is_first=index == 0))
    if not request.quiet:
        unreadable = sampler.unreadable_count
        left = f", {unreadable:,} unreadable left out" if unreadable else ""
        tell(f"{len(taken):,} of {sampler.record_count:,} examples{left} (--seed {seed} shows the same)")
    return ExitStatus.DONE


def _sources(path: str) -> Iterator[_Source]:
    """Yield the files of a manifest, or the one file of data that a path names."""
    if path == STANDARD_INPUT:
        yield _Source(path, _STANDARD_INPUT_NAME)
        return
    if is_folder(path):
        raise UsageError(
            f"{printable(path)} is a folder",
            hint="name a file in it, or write a manifest with `bulk-upload scan`",
        )
    if comes_by_stream(path) or not _is_manifest(path):
        yield _Source(path, path)
        return
    with ManifestFile(path) as manifest:
        tree = SourceTree(manifest.root(None), follow_symlinks=True)
        rules = ManifestRules(
            where=manifest.name,
            root=tree.root,
            root_as_typed=tree.root_as_typed,
            default_purpose=next(iter(PURPOSES)),
            allow_unknown_purpose=True,
        )
        for item in read_manifest(manifest.lines(), rules):
            if not isinstance(item, Entry):
                tell(f"left out: {item}")
                continue
            looked = tree.inspect(item.path)
            purpose = PURPOSES.get(item.purpose)
            if isinstance(looked, PathComplaint):
                tell(f"left out: {looked.finding(where=manifest.name, line_no=item.line_no, place='path')}")
            elif purpose is not None and purpose.format_of(item.path) in _UNSAMPLED:
                tell(f"left out: {printable(item.path)} is a document, not examples")
            else:
                yield _Source(tree.absolute(item.path), item.path)


def _is_manifest(path: str) -> bool:
    try:
        return names_files(path)
    except (UsageError, ManifestInvalid):
        # What cannot be read, or is empty, is reported as data.
        return False


def _put_json(one: Sampled) -> None:
    try:
        require_json(one.text)
    except (*NOT_JSON, ValueError):
        tell(f"left out: {_place(one)} is not JSON")
        return
    # What is beyond ASCII, or may control a terminal, stands in strings only, where an escape means the same.
    put("".join(map(_escaped, one.text.decode("utf-8"))) + "\n")


def _escaped(character: str) -> str:
    return character if character.isascii() and character.isprintable() else json.dumps(character)[1:-1]


def _place(one: Sampled) -> str:
    path = printable(one.path)
    return f"{path}:{one.number}" if one.is_line else f"{path}, record {one.number:,}"


def _shown(one: Sampled, characters_max: int, *, is_first: bool) -> str:
    lines = [f"--- {_place(one)}", *rendered(one.text, characters_max=characters_max)]
    return ("" if is_first else "\n") + "".join(f"{line}\n" for line in lines)
