"""What a scan found, in numbers and a few examples."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.folder.left_out import UndecidedFiles
from bulk_upload.core.folder.own_files import A_LEDGER
from bulk_upload.core.folder.sightings import Chosen, Own, PassedOver, Skipped, Undecided

if TYPE_CHECKING:
    from bulk_upload.core.folder.sightings import Sighting

EXAMPLES_MAX = 5
LEDGERS_KEPT_MAX = 20


class Examples(msgspec.Struct):
    """Counts things, and keeps the first few."""

    count: int = 0
    shown: list[tuple[str, str]] = msgspec.field(default_factory=list)

    def add(self, path: str, reason: str = "") -> None:
        """Count one."""
        self.count += 1
        if self.count <= EXAMPLES_MAX:
            self.shown.append((path, reason))


class ScanTally:
    """Counts sightings; its memory does not grow with the folder."""

    def __init__(self) -> None:
        self.chosen: Counter[str] = Counter()
        self.chosen_bytes: Counter[str] = Counter()
        self.undecided = UndecidedFiles()
        self.own = Examples()
        self.ledgers: list[str] = []
        self.skipped = Examples()
        self.unreadable = Examples()
        self.hidden = Examples()
        self.unwanted_count = 0
        self.is_incomplete = False

    @property
    def chosen_count(self) -> int:
        """How many files have a purpose."""
        return self.chosen.total()

    def add(self, one: Sighting) -> int | None:
        """Count one; return the number of its group where its purpose cannot be told."""
        match one:
            case Chosen():
                self.chosen[one.purpose] += 1
                self.chosen_bytes[one.purpose] += one.file_bytes
                self.undecided.note_decided(one.path)
                if not one.is_readable:
                    # It is an entry, and `run` says the same as long as it is so.
                    self.unreadable.add(one.path, "may not be read")
            case Undecided():
                return self.undecided.add(one)
            case Own():
                self.own.add(one.path, one.kind)
                if one.kind == A_LEDGER and len(self.ledgers) < LEDGERS_KEPT_MAX:
                    self.ledgers.append(one.path)
            case Skipped() if one.may_be_data:
                self.is_incomplete = True
                self.unreadable.add(one.path, one.reason)
            case Skipped():
                self.skipped.add(one.path, one.reason)
            case PassedOver() if one.is_unwanted:
                self.unwanted_count += 1
            case _:
                self.hidden.add(one.path)
        return None
