"""`bulk-upload scan`: make a manifest of a folder."""

from __future__ import annotations

import errno
import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import click
import msgspec

from bulk_upload.cli.config.file import profile_named
from bulk_upload.cli.folder.ledger_given import refuse_ledger
from bulk_upload.cli.folder.left_out import left_out_lines
from bulk_upload.cli.folder.options import MAP, selection_options
from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.job import profile_option
from bulk_upload.cli.options.private import private_option
from bulk_upload.cli.options.schema import ignore_option, rules_chosen
from bulk_upload.cli.options.units import WORD
from bulk_upload.cli.output.json_output import json_option, put_json
from bulk_upload.cli.output.status_line import command_progress_shown
from bulk_upload.cli.output.streams import STANDARD_OUTPUT, tell
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.folder.left_out import UndecidedFiles
from bulk_upload.core.folder.selection import Selection
from bulk_upload.core.folder.sightings import Chosen, GivenPurposes, Own, Skipped, Undecided
from bulk_upload.core.manifest.globs import PurposeMap
from bulk_upload.core.manifest.header import header_line
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import Format, known_purposes, purpose_remedy, unknown_purpose, unknown_to_us
from bulk_upload.core.report.json_shapes import ScanSummary
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.shell_words import path_word, shell_word
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.mixup.first_files import FirstFiles
from bulk_upload.core.validation.mixup.sample import BEGINNING_BYTES, mismatch_of_beginning
from bulk_upload.core.validation.mixup.sample import RULE as PURPOSE_MISMATCH
from bulk_upload.core.vendor_purposes import purposes_of
from bulk_upload.edge.beginnings import beginning_of
from bulk_upload.edge.folder import FolderPlace, is_folder
from bulk_upload.edge.manifest_file import write_manifest
from bulk_upload.engine.folder.scan import NO_PATTERN, FolderScan
from bulk_upload.errors import UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bulk_upload.core.folder.sightings import Sighting
    from bulk_upload.core.purposes import Purpose

_EXAMPLES_MAX = 5
_LEDGER_NAME = "manifest.ledger.db"
"""As of a manifest that is written to the folder under the name that the documentation uses."""


@click.command("scan")
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
    quiet: bool,
) -> int:
    """Write a manifest for the files in DIR and its subfolders.

    Without --map and --purpose each file is looked into: a file gets the purpose that alone takes such a file, by its
    first lines. With --map, files that no pattern matches are left out.

    \b
    A --map pattern without "/" matches the base name in any folder, one with "/" the path within DIR:
      --map '*.jsonl=PURPOSE'      every .jsonl file
      --map 'corpus/**=PURPOSE'    everything in corpus, subfolders included

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
    scanned = FolderScan(
        place=_place(folder),
        selection=Selection(include, exclude, newer_than_ns=newer_than),
        given=GivenPurposes(mapping=PurposeMap.parse(mappings, known=known), rest=purpose),
        candidates=tuple(one for one in purposes.values() if one.name in known),
        looks=not mappings and purpose is None,
        output=None if to_stdout else output,
    )
    checks_purposes = PURPOSE_MISMATCH not in rules_chosen(ignore).ignored
    tally = _Tally(purposes=purposes, first_files=FirstFiles() if checks_purposes else None)
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


class _Tally(msgspec.Struct):
    """What a scan found, in numbers and a few examples."""

    purposes: Mapping[str, Purpose]
    chosen: Counter[str] = msgspec.field(default_factory=Counter)
    chosen_count: int = 0
    chosen_bytes: int = 0
    unmatched_count: int = 0
    unmatched_examples: list[str] = msgspec.field(default_factory=list)
    skipped_count: int = 0
    skipped_examples: list[str] = msgspec.field(default_factory=list)
    unreadable_count: int = 0
    unreadable_examples: list[str] = msgspec.field(default_factory=list)
    first_files: FirstFiles | None = None
    own_count: int = 0
    undecided: UndecidedFiles = msgspec.field(default_factory=UndecidedFiles)

    def manifest_lines(self, sightings: Iterable[Sighting], folder: str) -> Iterator[bytes]:
        """Yield the line of every chosen file and count all others.

        Raises:
            UsageError: no file was chosen.
        """
        for sighting in sightings:
            if isinstance(sighting, Chosen):
                self.chosen[sighting.purpose] += 1
                self.chosen_count += 1
                self.chosen_bytes += sighting.file_bytes
                self.undecided.note_decided(sighting.path)
                if not sighting.is_readable:
                    # It stays in the manifest, and `run` says the same as long as it is so.
                    self._count_unreadable(sighting.path, "may not be read")
                else:
                    self._judge_purpose(sighting, folder)
                yield jsonl_line(Entry(path=sighting.path, purpose=sighting.purpose))
            else:
                self._count_other(sighting)
        if not self.chosen:
            self.show()
            self.show_unreadable()
            self.show_undecided(folder)
            lacks = "matches a --map pattern" if self.unmatched_count else "has a purpose"
            raise UsageError(
                f"no file in {printable(folder)} {lacks}",
                hint="Quote patterns for the shell (--map '*.jsonl=PURPOSE'); hidden files are ignored",
            )

    def _judge_purpose(self, file: Chosen, folder: str) -> None:
        """Judge the purpose of a file, if it is among the first of its purpose."""
        purpose = self.purposes.get(file.purpose) or unknown_to_us(file.purpose)
        is_judged = self.first_files is not None and self.first_files.wants(file.purpose)
        if not is_judged or purpose.format_of(file.path) is not Format.JSON_LINES:
            return
        full = os.path.join(folder, file.path)
        beginning = beginning_of(lambda: os.open(full, os.O_RDONLY | os.O_NONBLOCK), BEGINNING_BYTES)
        if beginning is not None and self.first_files is not None:
            complaint = mismatch_of_beginning(
                beginning.content,
                is_whole=beginning.is_whole,
                path=file.path,
                declared=purpose,
                known=self.purposes.values(),
            )
            self.first_files.add(file.purpose, file.path, complaint, where=file.path)

    @property
    def is_mixed_up(self) -> bool:
        """Whether files are plainly of another purpose than their pattern gives them."""
        return self.first_files is not None and any(self.first_files.mixed_up())

    def summary(self, manifest: str) -> ScanSummary:
        """Return the numbers for programs."""
        mixups = () if self.first_files is None else tuple(map(str, self.first_files.mixed_up()))
        return ScanSummary(
            entry_count=self.chosen_count,
            file_bytes=self.chosen_bytes,
            purposes=dict(sorted(self.chosen.items())),
            unmatched_count=self.unmatched_count,
            undecided_count=self.undecided.count,
            skipped_count=self.skipped_count,
            unreadable_count=self.unreadable_count,
            mixups=mixups,
            manifest=manifest,
        )

    def show_mixed_up(self) -> None:
        """Print how many files of each purpose are of another, before anything else."""
        for one in () if self.first_files is None else self.first_files.mixed_up():
            tell(f"bulk-upload: {printable(str(one))}")
            tell("  hint: correct --map and scan again; --ignore purpose-mismatch if each purpose is meant")

    def progress(self) -> CommandProgress:
        """Return the progress."""
        others = (
            (self.unmatched_count, "matched by no pattern"),
            (self.undecided.count, "without a purpose"),
            (self.skipped_count, "skipped"),
            (self.unreadable_count, "unreadable"),
        )
        return CommandProgress(
            doing="scanning",
            count=self.chosen_count,
            byte_count=self.chosen_bytes,
            bytes_are_read=False,
            remarks=tuple(f"{count:,} {words}" for count, words in others if count),
        )

    def show(self) -> None:
        """Print the numbers and the examples for people."""
        counts = ", ".join(f"{purpose} {count:,}" for purpose, count in sorted(self.chosen.items()))
        tell(f"Entries: {self.chosen_count:,}{f' ({counts})' if counts else ''}")
        _show_others("Matched by no --map pattern", self.unmatched_count, self.unmatched_examples)
        _show_others("Skipped", self.skipped_count, self.skipped_examples)
        if self.own_count:
            tell(f"Of bulk-upload itself, not data: {self.own_count:,}")

    def show_undecided(self, folder: str) -> None:
        """Print the files whose purpose cannot be told, and the options that settle it."""
        for line in left_out_lines(self.undecided, self.undecided.groups, root=folder):
            tell(line)

    def show_unreadable(self) -> None:
        """Print what could not be read, if anything: data may be missing from the manifest."""
        if not self.unreadable_count:
            return
        _show_others(
            "bulk-upload: not all files could be read, and the manifest may be incomplete",
            self.unreadable_count,
            self.unreadable_examples,
        )
        tell(
            "  hint: allow this user to read them, or mend the links, and scan again; or leave them out with --exclude"
        )

    def _count_unreadable(self, path: str, reason: str) -> None:
        self.unreadable_count += 1
        if self.unreadable_count <= _EXAMPLES_MAX:
            self.unreadable_examples.append(f"{printable(path)} {reason}")

    def _count_other(self, sighting: Sighting) -> None:
        path = printable(sighting.path)
        match sighting:
            case Skipped() if sighting.may_be_data:
                self._count_unreadable(sighting.path, sighting.reason)
            case Skipped():
                self.skipped_count += 1
                if self.skipped_count <= _EXAMPLES_MAX:
                    self.skipped_examples.append(f"{path} {sighting.reason}")
            case Undecided() if sighting.reason == NO_PATTERN:
                self.unmatched_count += 1
                if self.unmatched_count <= _EXAMPLES_MAX:
                    self.unmatched_examples.append(path)
            case Undecided():
                self.undecided.add(sighting)
            case Own():
                self.own_count += 1
            case _:
                pass


def _after_header(lines: Iterable[bytes], folder: str) -> Iterator[bytes]:
    """Yield the lines of a manifest that is not written to a file after a header, so that `run -` needs no option."""
    root = os.path.realpath(folder)
    for index, line in enumerate(lines):
        if not index:
            yield header_line(root=root, ledger=os.path.join(root, _LEDGER_NAME))
        yield line


def _show_idle(mappings: Iterable[str], chosen: Counter[str]) -> None:
    """Report patterns that chose no file: most often an earlier pattern took their files."""
    for mapping in mappings:
        if not chosen[mapping.rpartition("=")[2]]:
            tell(f"No file for --map {shell_word(mapping)}: the first matching pattern applies")


def _show_others(title: str, count: int, examples: list[str]) -> None:
    if not count:
        return
    tell(f"{title}: {count:,}")
    for example in examples:
        tell(f"  {example}")
    if count > len(examples):
        tell(f"  and {count - len(examples):,} more")


def _run_command(folder: str, output: str | None, profile: str) -> str:
    chosen = "" if profile == FLOW.name else f" --profile {shell_word(profile)}"
    manifest = "MANIFEST" if output is None else path_word(output)
    if output is not None and os.path.realpath(os.path.dirname(output) or ".") == os.path.realpath(folder):
        return f"bulk-upload run {manifest}{chosen}"
    return f"bulk-upload run {manifest} --root {path_word(folder)}{chosen}"
