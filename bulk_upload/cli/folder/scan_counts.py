"""What a scan found, in numbers and a few examples."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.cli.folder.left_out import left_out_lines
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.folder.left_out import UndecidedFiles
from bulk_upload.core.folder.sightings import Chosen, Own, Skipped, Undecided
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_address
from bulk_upload.core.purposes import Format, unknown_to_us
from bulk_upload.core.report.json_shapes import ScanSummary
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.mixup.sample import BEGINNING_BYTES, mismatch_of_beginning
from bulk_upload.edge.beginnings import beginning_of
from bulk_upload.engine.folder.scan import NO_PATTERN
from bulk_upload.errors import UsageError
from bulk_upload.report.live.command_progress import CommandProgress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bulk_upload.core.folder.sightings import Sighting
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.mixup.first_files import FirstFiles

_EXAMPLES_MAX = 5


class ScanCounts(msgspec.Struct):
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
        if not is_judged or is_address(file.path) or purpose.format_of(file.path) is not Format.JSON_LINES:
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


def _show_others(title: str, count: int, examples: list[str]) -> None:
    if not count:
        return
    tell(f"{title}: {count:,}")
    for example in examples:
        tell(f"  {example}")
    if count > len(examples):
        tell(f"  and {count - len(examples):,} more")
