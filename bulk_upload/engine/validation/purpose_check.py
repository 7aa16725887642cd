"""Judges the purpose of a job's first files before anything is sent. Blocking; use a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bulk_upload.core.objects.address import is_address
from bulk_upload.core.purposes import Format
from bulk_upload.core.run.plan import Step
from bulk_upload.core.validation.mixup.first_files import FirstFiles
from bulk_upload.core.validation.mixup.sample import BEGINNING_BYTES, mismatch_of_beginning
from bulk_upload.edge.beginnings import beginning_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.run.planned import PlanRow
    from bulk_upload.core.validation.mixup.first_files import MixedUp
    from bulk_upload.edge.source_tree import SourceTree


class PurposeCheck:
    """Reads the beginning of the first files of each purpose that a run would send; objects are checked as they come.

    Args:
        tree: where they are opened.
        purposes: what is known of each.
        where: the manifest's name in findings.
        sends_invalid: most of a purpose's files being of another one does not stop the run.
    """

    def __init__(
        self, tree: SourceTree, *, purposes: Mapping[str, Purpose], where: str, sends_invalid: bool = False
    ) -> None:
        self._tree = tree
        self._purposes = purposes
        self._known = tuple(purposes.values())
        self._where = where
        self._sends_invalid = sends_invalid
        self._first_files = FirstFiles()

    def look(self, rows: Sequence[PlanRow]) -> None:
        """Judge those files of a group of entries that are among the first of their purpose."""
        for row in rows:
            purpose = self._purposes.get(row.entry.purpose)
            if (
                row.decided.step is Step.SEND
                and purpose is not None
                and not is_address(row.entry.path)
                and self._first_files.wants(purpose.name)
            ):
                self._judge(row, purpose)

    def mixed_up(self) -> tuple[MixedUp, ...]:
        """Return the purposes with files of another one."""
        return tuple(self._first_files.mixed_up())

    def stops(self) -> tuple[MixedUp, ...]:
        """Return those for which the run must not start."""
        return () if self._sends_invalid else tuple(one for one in self.mixed_up() if one.is_most)

    def _judge(self, row: PlanRow, purpose: Purpose) -> None:
        path = row.entry.path
        if purpose.format_of(path) is not Format.JSON_LINES:
            return
        beginning = beginning_of(partial(self._tree.open_regular, path), BEGINNING_BYTES)
        if beginning is None:
            return
        complaint = mismatch_of_beginning(
            beginning.content,
            is_whole=beginning.is_whole,
            path=path,
            declared=purpose,
            known=self._known,
        )
        self._first_files.add(purpose.name, path, complaint, where=self._where, line_no=row.entry.line_no)
