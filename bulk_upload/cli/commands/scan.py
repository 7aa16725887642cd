"""`bulk-upload scan`: make a manifest of a folder."""

from __future__ import annotations

import errno
import os
import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.config.file import current_configuration, profile_named
from bulk_upload.cli.folder.ledger_given import refuse_ledger
from bulk_upload.cli.folder.options import MAP, selection_options
from bulk_upload.cli.folder.scan_counts import ScanCounts
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import profile_option
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.schema import ignore_option, rules_chosen
from bulk_upload.cli.options.sections import ServerCommand
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import STANDARD_OUTPUT, tell
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.selection import Selection
from bulk_upload.core.folder.sightings import GivenPurposes
from bulk_upload.core.manifest.globs import PurposeMap
from bulk_upload.core.manifest.header import header_line
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.purposes import known_purposes, purpose_remedy, unknown_purpose
from bulk_upload.core.text.shell_words import path_word, shell_word
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.mixup.first_files import FirstFiles
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.folder.place import FolderPlace, is_folder
from bulk_upload.edge.manifest_file import write_manifest
from bulk_upload.edge.objects.stores import Stores
from bulk_upload.engine.folder.scan import FolderScan
from bulk_upload.engine.objects.scan import ObjectScan, place_of_prefix, require_given
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Mapping

    from bulk_upload.engine.folder.listing import Scan

_LEDGER_NAME = "manifest.ledger.db"
"""As of a manifest that is written to the folder under the name that the documentation uses."""


class _ScanCommand(ServerCommand):
    """Reads how stores are reached from bulk-upload.toml, and nothing else."""

    sections: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@click.command("scan", cls=_ScanCommand)
@click.argument("folder", metavar="DIR", shell_complete=file_names)
@MAP
@click.option(
    "--purpose", type=WORD, metavar="P", help="Set the purpose of all files that no --map pattern matches."
)
@selection_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default=STANDARD_OUTPUT,
    shell_complete=file_names,
    help="Write the manifest to FILE (default: stdout).",
)
@profile_option
@ignore_option
@json_option("what was found as one JSON object; needs -o FILE")
@private_option
@click.option(
    "--allow-plain-http",
    is_flag=True,
    help="Read from an endpoint that is another machine without encryption.",
)
@click.option(
    "--quiet", is_flag=True, help="Print no progress, totals or next command; only what could not be read."
)
def scan(
    folder: str,
    *,
    mappings: tuple[str, ...],
    purpose: str | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    newer_than: int | None,
    output: str,
    profile: str,
    ignore: tuple[tuple[str, ...], ...],
    as_json: bool,
    private: bool,
    allow_plain_http: bool,
    quiet: bool,
) -> int:
    """Write a manifest for the files in DIR and its subfolders.

    Without --map and --purpose each file is looked into: a file gets the purpose that alone takes such a file, by its
    first lines. With --map, files that no pattern matches are left out.

    \b
    A --map pattern without "/" matches the base name in any folder, one with "/" the path within DIR:
      --map '*.jsonl=PURPOSE'      every .jsonl file
      --map 'corpus/**=PURPOSE'    everything in corpus, subfolders included

    DIR may be a prefix of objects, such as s3://bucket/data. Objects are not looked into: it takes --purpose or --map. How
    their store is reached is for [sources] in bulk-upload.toml, else for its usual variables.

    Hidden files and what bulk-upload itself wrote (ledgers, results, manifests, logs) are ignored. The output ends with
    the command that uploads the files. The exit code is 3 if a folder or file could not be read, or if the purpose of
    a file could not be told: the manifest is written, but may be incomplete. It is 3, too, if files are plainly of
    another purpose than they are given, judged by the first lines of the first 100 files of each purpose; --ignore
    purpose-mismatch leaves that out.

    On standard output the manifest has a header that names DIR and a ledger in it, for `run -`.

    \b
    Examples:
      bulk-upload scan data -o data/manifest.jsonl
      bulk-upload scan data --map '*.jsonl=fine-tune' | bulk-upload run -
      bulk-upload scan data --map '*.jsonl=fine-tune' -o data/manifest.jsonl
      bulk-upload scan data --map 'corpus/**=pre-train' --exclude '*.tmp' -o m.jsonl
    """
    chosen_profile = profile_named(profile)
    purposes = purposes_of(profile)
    known = known_purposes(chosen_profile.purposes, purposes)
    if purpose is not None and purpose not in known:
        raise UsageError(unknown_purpose(purpose), hint=purpose_remedy(purpose, known))
    to_stdout = output == STANDARD_OUTPUT
    if to_stdout and as_json:
        raise UsageError(
            "with --json the manifest cannot go to standard output, too",
            hint="write the manifest, which is JSON Lines, to a file with -o FILE",
        )
    selection = Selection(include, exclude, newer_than_ns=newer_than)
    given = GivenPurposes(mapping=PurposeMap.parse(mappings, known=known), rest=purpose)
    scanned: Scan
    if is_address(folder):
        scanned = _object_scan(folder, selection, given, allow_plain_http=allow_plain_http)
    else:
        scanned = FolderScan(
            place=_place(folder),
            selection=selection,
            given=given,
            candidates=tuple(one for one in purposes.values() if one.name in known),
            looks=not mappings and purpose is None,
            output=None if to_stdout else output,
        )
    checks_purposes = PURPOSE_MISMATCH not in rules_chosen(ignore).ignored
    tally = ScanCounts(purposes=purposes, first_files=FirstFiles() if checks_purposes else None)
    lines = tally.manifest_lines(scanned.sightings(), folder)
    # A manifest printed to the terminal already shows the progress.
    with command_progress_shown(tally.progress, quiet=quiet or (to_stdout and sys.stdout.isatty())):
        if to_stdout:
            stdout = sys.stdout.buffer
            # Not before the first file was chosen: without any nothing is written.
            for line in _after_header(lines, folder):
                stdout.write(line)
            stdout.flush()
        else:
            write_manifest(output, lines, private=private)
    tally.show_mixed_up()
    if as_json:
        put_json(tally.summary(output))
    elif not quiet:
        tally.show()
        _show_idle(mappings, tally.chosen)
        tell(f"Next: {_run_command(folder, None if to_stdout else output, profile)}")
    # The last word, also where nothing else is said: `scan && run` must not go on with a part of the files.
    tally.show_unreadable()
    tally.show_undecided(folder)
    is_incomplete = tally.unreadable_count or tally.undecided.count
    return ExitStatus.SOME_FAILED if is_incomplete or tally.is_mixed_up else ExitStatus.DONE


def _object_scan(
    prefix: str, selection: Selection, given: GivenPurposes, *, allow_plain_http: bool
) -> ObjectScan:
    place = place_of_prefix(prefix)
    require_given(given, place=place)
    stores = Stores(current_configuration().source_options(), allow_plain_http=allow_plain_http)
    return ObjectScan(place=place, selection=selection, given=given, stores=stores)


def _place(folder: str) -> FolderPlace:
    """Return the folder to scan. Raises UsageError."""
    if not is_folder(folder):
        refuse_ledger((folder,))
        is_there = os.path.lexists(folder)
        reason = os.strerror(errno.ENOTDIR if is_there else errno.ENOENT)
        hint = "Name a folder that this user may read"
        if os.path.isfile(folder):
            hint = f"{hint}; `bulk-upload {path_word(folder)}` uploads a file without a manifest"
        raise UsageError(f"cannot scan {quoted(folder)}: {reason}", hint=hint)
    return FolderPlace(root=os.path.realpath(folder))


def _after_header(lines: Iterable[bytes], folder: str) -> Iterator[bytes]:
    """Yield the lines of a manifest that is not written to a file after a header, so that `run -` needs no option."""
    root = "/" if is_address(folder) else os.path.realpath(folder)
    home = os.getcwd() if is_address(folder) else root
    for index, line in enumerate(lines):
        if not index:
            yield header_line(root=root, ledger=os.path.join(home, _LEDGER_NAME))
        yield line


def _show_idle(mappings: Iterable[str], chosen: Counter[str]) -> None:
    """Report patterns that chose no file: most often an earlier pattern took their files."""
    for mapping in mappings:
        if not chosen[mapping.rpartition("=")[2]]:
            tell(f"No file for --map {shell_word(mapping)}: the first matching pattern applies")


def _run_command(folder: str, output: str | None, profile: str) -> str:
    chosen = "" if profile == FLOW.name else f" --profile {shell_word(profile)}"
    manifest = "MANIFEST" if output is None else path_word(output)
    if is_address(folder):
        return f"bulk-upload run {manifest}{chosen}"
    if output is not None and os.path.realpath(os.path.dirname(output) or ".") == os.path.realpath(folder):
        return f"bulk-upload run {manifest}{chosen}"
    return f"bulk-upload run {manifest} --root {path_word(folder)}{chosen}"
