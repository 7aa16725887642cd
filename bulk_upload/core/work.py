"""An entry on its way through a run: what the manifest says, what the disk shows, what the ledger knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry, Fingerprint
    from bulk_upload.core.plan import KnownEntry, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedEntry:
    """A manifest entry beside its ledger row; `step` and `note` are set once it is planned."""

    seq: int
    entry: Entry
    sent_name: str
    source: Fingerprint | None = None
    known: KnownEntry | None = None
    step: Step | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTotal:
    """How many entries, and how many bytes of files, a run treats in one way."""

    entry_count: int = 0
    file_bytes: int = 0
