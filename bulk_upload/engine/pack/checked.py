"""A packing from its manifest on: each file is looked at, validated if it is new or changed, and packed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.pack.packable import not_packable, packed_rules, twice_packed
from bulk_upload.core.purposes import unknown_to_us
from bulk_upload.edge.machine import usable_processors
from bulk_upload.edge.validation.workers import Workers
from bulk_upload.engine.pack.packing import Packing
from bulk_upload.engine.tasks import innermost
from bulk_upload.engine.validation.file_validator import FileValidator
from bulk_upload.engine.validation.inspection import Inspection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bulk_upload.core.model import Entry
    from bulk_upload.core.pack.layout import MemberKey
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.shapes.command import ConvertCommand
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.core.validation.rules import RuleChoice
    from bulk_upload.edge.pack import PackFolder
    from bulk_upload.edge.source_tree import SourceTree
    from bulk_upload.engine.pack.packing import Candidate, Packed
    from bulk_upload.engine.validation.inspection import Inspected


class CheckedPacking:
    """One packing. Call `look`, `validate`, and, where nothing has an error, `write`.

    Args:
        folder: of the packs.
        tree: where the files are.
        where: what findings call the manifest.
        size: how many bytes a pack has at most, a single larger member aside.
        purposes: what is known of each.
        choice: the rules that apply.
        private: what is made is for its owner alone.
        on_complaint: called with each file that cannot be packed, and each line of the manifest that is wrong.
        on_report: called with each file that was validated.
        on_bytes: called with how many more bytes were read; what it raises ends the packing.

    Raises:
        UsageError: the folder has other files.
    """

    def __init__(
        self,
        folder: PackFolder,
        tree: SourceTree,
        *,
        where: str,
        size: int,
        purposes: Mapping[str, Purpose],
        choice: RuleChoice,
        private: bool,
        on_complaint: Callable[[Finding], None],
        on_report: Callable[[Entry, FileReport], None],
        on_bytes: Callable[[int], None],
    ) -> None:
        self._tree = tree
        self._where = where
        self._purposes = purposes
        self._choice = choice
        self._on_complaint = on_complaint
        self._on_report = on_report
        self._on_bytes = on_bytes
        self._candidates: list[Candidate] = []
        self._line_counts: dict[MemberKey, int] = {}
        self._packing = Packing(
            folder, tree, size=size, purposes=purposes, private=private, on_bytes=on_bytes
        )

    def look(self, items: Iterable[Entry | Finding]) -> None:
        """Look which files of a manifest are there, and which are new or changed. Blocks."""
        first: dict[MemberKey, Entry] = {}
        for item in items:
            self._on_bytes(0)
            complaint = item if isinstance(item, Finding) else self._taken(item, first)
            if complaint is not None:
                self._on_complaint(complaint)

    async def validate(
        self, *, job_count: int | None, command_for: Callable[[str, str], ConvertCommand] | None = None
    ) -> None:
        """Check the files that the packs do not have yet, `job_count` at once, None for one per processor."""
        job_count = job_count or usable_processors()
        new = [one for one in self._candidates if one.earlier is None]
        keys = iter([one.key for one in new])

        async def take(inspected: Inspected) -> None:
            entry, report = inspected
            self._line_counts[next(keys)] = report.line_count
            self._on_report(entry, report)

        with closing(Workers(job_count, niceness=0)) as workers:
            validator = FileValidator(
                self._tree,
                workers,
                purposes=self._purposes,
                choice=packed_rules(self._choice),
                on_bytes=self._on_bytes,
                command_for=command_for,
            )
            try:
                await Inspection(validator, job_count=job_count).look((one.entry for one in new), take)
            except BaseExceptionGroup as group:
                raise innermost(group) from None

    def write(self) -> Packed:
        """Write packs and lists. Blocks. Raises UsageError."""
        return self._packing.write(
            self._packing.lay_out(self._candidates, self._line_counts), self._candidates
        )

    def _taken(self, entry: Entry, first: dict[MemberKey, Entry]) -> Finding | None:
        """Take a file, or return why it cannot be packed."""
        purpose = self._purposes.get(entry.purpose) or unknown_to_us(entry.purpose)
        complaint = not_packable(entry, purpose, where=self._where)
        if complaint is not None:
            return complaint
        status = self._tree.inspect(entry.path)
        if isinstance(status, PathComplaint):
            return status.finding(where=self._where, line_no=entry.line_no, place="path")
        candidate = self._packing.candidate(entry, status)
        earlier = first.setdefault(candidate.key, entry)
        if earlier is not entry:
            return twice_packed(entry, earlier, where=self._where)
        self._candidates.append(candidate)
        return None
