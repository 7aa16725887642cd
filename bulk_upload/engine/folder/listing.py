"""A folder's files as a manifest: listed once, in a temporary file, and read as often as a plan and a run need it."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, Self

from bulk_upload.core.folder.sightings import Chosen, Undecided
from bulk_upload.core.manifest.jsonl import jsonl_line
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_prefix
from bulk_upload.edge.manifest_file import lines_from_start
from bulk_upload.engine.folder.tally import ScanTally
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from bulk_upload.core.folder.selection import Selection
    from bulk_upload.core.folder.sightings import Sighting
    from bulk_upload.edge.folder.place import FolderPlace

_UNDECIDED = b"["
"""How a line begins that is not an entry yet: the number of its group, and the path."""


class Scan(Protocol):
    """What finds the files of a place: `FolderScan`, or `ObjectScan` for objects under a prefix."""

    @property
    def place(self) -> FolderPlace:
        """The folder or the prefix."""

    @property
    def selection(self) -> Selection:
        """Which files are wanted."""

    def sightings(self) -> Iterator[Sighting]:
        """Yield what is there. Raises UsageError, LedgerUnusable."""


class FolderListing:
    """The files of a folder, with their purposes as far as these are known. A context manager.

    Attributes:
        place: the folder.
        tally: what was found.
        is_partial: not all files of the folder are listed: what a ledger has beside them may still be there.

    Args:
        scan: finds the files. It is read to its end. Blocks.
        on_count: called with the number of files that were listed so far.

    Raises:
        UsageError: the folder cannot be read, or there is no room for the list.
    """

    def __init__(self, scan: Scan, *, on_count: Callable[[int], None] | None = None) -> None:
        self.place: FolderPlace = scan.place
        self.tally = ScanTally()
        self._purposes: dict[int, str] = {}
        self._left_out: set[int] = set()
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        try:
            for count, one in enumerate(scan.sightings(), start=1):
                group_no = self.tally.add(one)
                if isinstance(one, Chosen):
                    self._put(jsonl_line(Entry(path=one.path, purpose=one.purpose)))
                elif isinstance(one, Undecided):
                    self._put(json.dumps([group_no, one.path]).encode("ascii") + b"\n")
                if on_count is not None:
                    on_count(count)
            self._put(b"")
        except BaseException:
            self._drop()
            raise
        self.is_partial = not self.place.is_whole or scan.selection.by_age or self.tally.is_incomplete

    def _put(self, line: bytes) -> None:
        """Add a line; nothing adds what is still buffered."""
        try:
            if line:
                self._file.write(line)
            else:
                self._file.flush()
        except OSError as error:
            raise UsageError(
                f"cannot list the folder: {error.strerror}",
                hint="free some space for temporary files, or set TMPDIR to a folder with free space",
            ) from error

    def _drop(self) -> None:
        # What could not be written cannot be on closing, either.
        with suppress(OSError):
            self._file.close()

    def decide(self, group_no: int, purpose: str | None) -> None:
        """Give the files of a group a purpose; None leaves them out, as their owner wants it."""
        if purpose is None:
            self._left_out.add(group_no)
        else:
            self._purposes[group_no] = purpose

    def purpose_of_group(self, group_no: int) -> str | None:
        """Return the purpose that a group was given, None where it was given none."""
        return self._purposes.get(group_no)

    @property
    def entry_count(self) -> int:
        """How many files have a purpose."""
        decided = sum(one.count for one in self.tally.undecided.groups if one.number in self._purposes)
        return self.tally.chosen_count + decided

    def totals(self) -> dict[str, tuple[int, int]]:
        """Return the number of files and bytes of each purpose."""
        counts, sizes = self.tally.chosen.copy(), self.tally.chosen_bytes.copy()
        for group in self.tally.undecided.groups:
            purpose = self._purposes.get(group.number)
            if purpose is not None:
                counts[purpose] += group.count
                sizes[purpose] += group.file_bytes
        return {purpose: (count, sizes[purpose]) for purpose, count in counts.items()}

    @property
    def left_out(self) -> list[int]:
        """The numbers of the groups without a purpose, whoever decided that."""
        return [one.number for one in self.tally.undecided.groups if one.number not in self._purposes]

    @property
    def open_groups(self) -> list[int]:
        """The numbers of the groups that nobody decided about: their files are left out for want of a purpose."""
        decided = self._purposes.keys() | self._left_out
        return [one.number for one in self.tally.undecided.groups if one.number not in decided]

    @property
    def is_short(self) -> bool:
        """Whether files are missing that nobody decided to leave out: of unknown purpose, or in what could not be read."""
        return bool(self.open_groups) or self.tally.is_incomplete

    def opened(self) -> OpenListing:
        """Return the list to read, as it is decided now."""
        return OpenListing(self.place.root, os.dup(self._file.fileno()), dict(self._purposes))

    def close(self) -> None:
        """Delete the list. What was opened stays readable."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class OpenListing:
    """A list of a folder's files that is read like a manifest: see `edge.manifest_file.ManifestFile`."""

    def __init__(self, root: str, descriptor: int, purposes: dict[int, str]) -> None:
        self.name = self.path = self._root = root
        self._descriptor = descriptor
        self._purposes = purposes

    def root(self, given: str | None) -> str:
        """Return where paths start: the folder that was given, else the one that was listed.

        Objects under a prefix have whole addresses: theirs is the root of the file system, whatever the current folder.
        """
        if given is None and is_prefix(self._root):
            return "/"
        return self._root if given is None else given

    def lines(self) -> Iterator[bytes]:
        """Yield a line of JSON for each file that has a purpose."""
        for line in lines_from_start(self._descriptor):
            if not line.startswith(_UNDECIDED):
                yield line
                continue
            group_no, path = json.loads(line)
            purpose = self._purposes.get(group_no)
            if purpose is not None:
                yield jsonl_line(Entry(path=path, purpose=purpose))

    def close(self) -> None:
        """Close the list."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
