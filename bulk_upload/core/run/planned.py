"""An entry in a run: its manifest line, its file on disk, its ledger row."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry, Fingerprint
    from bulk_upload.core.run.plan import KnownEntry, PlannedStep, Step


class PlannedEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest entry with its ledger row, and what a run will do with it.

    `checked` is the version of the file that validation found good, None where none was validated.
    """

    seq: int
    entry: Entry
    sent_name: str
    fingerprint: Fingerprint | None = None
    known: KnownEntry | None = None
    step: Step | None = None
    note: str = ""
    checked: Fingerprint | None = None

    def as_checked(self, fingerprint: Fingerprint) -> PlannedEntry:
        """Return the entry with the version of its file that was found good."""
        return replace(self, fingerprint=fingerprint, checked=fingerprint)


class PlanRow(NamedTuple):
    """A manifest entry with its key and its ledger row, and what a run will do with it.

    `has_new_change_time` says that the ledger has this version of the file, but not its change time. A tuple, because a plan of a million entries makes a million of them.
    """

    entry: Entry
    key: bytes
    fingerprint: Fingerprint | None
    decided: PlannedStep
    entry_id: int | None
    has_new_change_time: bool = False


class StepTotal(msgspec.Struct, frozen=True, kw_only=True):
    """How many entries, and how many bytes of files, a run treats in one way."""

    entry_count: int = 0
    file_bytes: int = 0
