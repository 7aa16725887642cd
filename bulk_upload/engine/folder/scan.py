"""Finds the files of a folder and their purposes: as given, as a ledger has them, or by looking into them.

Blocking; one batch of files is in memory at a time.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.folder.likeness import likeness
from bulk_upload.core.folder.own_files import kind_of_own, kind_of_own_by_name
from bulk_upload.core.folder.sightings import Chosen, Own, Skipped, Undecided
from bulk_upload.edge.folder.heads import head_of, own_by_neighbours
from bulk_upload.edge.folder.walk import Found, walk
from bulk_upload.edge.validation.tables import parquet_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from bulk_upload.core.folder.selection import Selection
    from bulk_upload.core.folder.sightings import GivenPurposes, PassedOver, Recorded, Sighting
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.edge.folder.place import FolderPlace

    Recall = Callable[[Mapping[str, Collection[str]]], Mapping[str, list[Recorded]]]

BATCH_FILES = 64
"""Files that the ledger is asked about at once."""

NO_PATTERN = "matched by no pattern"


class FolderScan(msgspec.Struct, frozen=True, kw_only=True):
    """How to find the files of a folder and their purposes.

    Args:
        place: the folder.
        selection: which of its files are wanted.
        given: the purposes that a person gives.
        candidates: the purposes that a file may turn out to be for.
        recall: returns what the ledger has of files, by path, among the purposes asked for.
        looks: whether a file without a given purpose is looked into; otherwise it is left undecided.
        follow_symlinks: links to files may lead out of the folder.
        output: a file to leave out: what the scan is written to.
    """

    place: FolderPlace
    selection: Selection
    given: GivenPurposes
    candidates: tuple[Purpose, ...]
    recall: Recall = lambda _: {}
    looks: bool = True
    follow_symlinks: bool = False
    output: str | None = None

    def sightings(self) -> Iterator[Sighting]:
        """Yield what is in the folder, in the order of the paths' bytes. Raises UsageError, LedgerUnusable."""
        batch: list[Found | Skipped | PassedOver] = []
        for one in walk(self.place, self.selection, output=self.output, follow_symlinks=self.follow_symlinks):
            batch.append(one)
            if len(batch) == BATCH_FILES:
                yield from self._decided(batch)
                batch = []
        yield from self._decided(batch)

    def _decided(self, batch: Iterable[Found | Skipped | PassedOver]) -> Iterator[Sighting]:
        given = {one.path: self.given.purpose_of(one.path) for one in batch if isinstance(one, Found)}
        names = tuple(one.name for one in self.candidates)
        recorded = self.recall(
            {
                path: names if purpose is None else (purpose,)
                for path, purpose in given.items()
                if purpose is not None or self.looks
            }
        )
        for one in batch:
            if isinstance(one, Found):
                yield self._sighting(one, given[one.path], recorded.get(one.path, []))
            elif isinstance(one, Skipped) and not self.looks and self._is_unmatched_file(one.path):
                yield Skipped(path=one.path, reason=one.reason)
            else:
                yield one

    def _is_unmatched_file(self, path: str) -> bool:
        """Whether no pattern matches a file; a folder that cannot be read may have files that one matches."""
        return self.given.purpose_of(path) is None and not os.path.isdir(os.path.join(self.place.root, path))

    def _sighting(self, found: Found, given: str | None, recorded: list[Recorded]) -> Sighting:
        own = kind_of_own_by_name(found.path)
        if own is not None:
            return Own(path=found.path, kind=own)
        there = [one.purpose for one in recorded if one.may_be_there]
        if len(there) == 1:
            # It was data when it was sent, and keeps its purpose.
            return _chosen(found, there[0])
        if given is None and not self.looks:
            return Undecided(path=found.path, reason=NO_PATTERN, file_bytes=found.file_bytes)
        return self._by_content(found, given, recorded)

    def _by_content(self, found: Found, given: str | None, recorded: list[Recorded]) -> Sighting:
        full = os.path.join(self.place.root, found.path)
        try:
            head = head_of(full, columns_of=parquet_columns)
        except OSError as error:
            if given is not None:
                # The run says the same as long as it is so.
                return _chosen(found, given)
            why = f"cannot be read: {error.strerror or 'not a regular file'}"
            return Skipped(path=found.path, reason=why, may_be_data=True)
        own = own_by_neighbours(full) or kind_of_own(found.path, head.content, columns=head.columns)
        if own is not None:
            return Own(path=found.path, kind=own)
        if given is not None:
            return _chosen(found, given)
        like = likeness(found.path, head, self.candidates)
        if like.is_sure and like.purpose is not None:
            return _chosen(found, like.purpose)
        if len(recorded) == 1:
            return _chosen(found, recorded[0].purpose)
        return Undecided(
            path=found.path,
            reason=like.reason,
            guess=like.purpose,
            file_bytes=found.file_bytes,
            convert_to=like.convert_to,
        )


def _chosen(found: Found, purpose: str) -> Chosen:
    return Chosen(
        path=found.path, purpose=purpose, file_bytes=found.file_bytes, is_readable=found.is_readable
    )
