"""The durable truth of a job: SQLite, one writer, one run at a time. docs/reference/ledger.md describes the format.

Names are imported from their modules when they are first used, as those of the package are: what only reads a ledger
must wait for nothing that writes.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.edge.ledger.clock_steps import note_clock_offset, note_clock_step
    from bulk_upload.edge.ledger.decisions import note_strays
    from bulk_upload.edge.ledger.deletions import Deleted, PlannedDeletion
    from bulk_upload.edge.ledger.file.identity import JobIdentity, has_receipts, require_same
    from bulk_upload.edge.ledger.file.lock import run_is_at_work
    from bulk_upload.edge.ledger.file.opening import require_ledger
    from bulk_upload.edge.ledger.inventory import Inventory
    from bulk_upload.edge.ledger.job import Ledger, open_ledger
    from bulk_upload.edge.ledger.limits_log import note_changes, note_states, remember, remembered
    from bulk_upload.edge.ledger.manifest_marks import (
        dropped_count,
        fill_change_times,
        live_count,
        mark_dropped,
        mark_taken_up,
        new_change_times,
        newly_dropped,
        note_manifest,
        refresh,
        taken_up_again,
        unlisted_paths,
    )
    from bulk_upload.edge.ledger.reading.first_paths import first_of_each_home
    from bulk_upload.edge.ledger.reading.orphans import ALIVE_EVERY_S
    from bulk_upload.edge.ledger.reading.purposes import LedgerOrigin, RecordedPurposes
    from bulk_upload.edge.ledger.reading.reader import JobFacts, LedgerReader
    from bulk_upload.edge.ledger.reading.receipts import receipt_of
    from bulk_upload.edge.ledger.reading.sent import (
        OwnFile,
        SentContent,
        own_files,
        second_copies_seen,
        sent_content,
    )
    from bulk_upload.edge.ledger.recovery.late_answers import expect_agents, keep_candidate
    from bulk_upload.edge.ledger.staging import Recalled, Staging
    from bulk_upload.edge.ledger.store import BY_RECONCILIATION, LedgerStore
    from bulk_upload.edge.ledger.unreadable import Unreadable, record_unreadable, settle_failed
    from bulk_upload.edge.ledger.validations import ResultKey, keep_result, recall_results, settle_invalid
    from bulk_upload.edge.ledger.writer import LedgerWriter

_HOMES = {
    "clock_steps": (
        "note_clock_offset",
        "note_clock_step",
    ),
    "decisions": ("note_strays",),
    "deletions": (
        "Deleted",
        "PlannedDeletion",
    ),
    "file.identity": (
        "JobIdentity",
        "has_receipts",
        "require_same",
    ),
    "file.lock": ("run_is_at_work",),
    "file.opening": ("require_ledger",),
    "inventory": ("Inventory",),
    "job": (
        "Ledger",
        "open_ledger",
    ),
    "limits_log": (
        "note_changes",
        "note_states",
        "remember",
        "remembered",
    ),
    "manifest_marks": (
        "dropped_count",
        "fill_change_times",
        "live_count",
        "mark_dropped",
        "mark_taken_up",
        "new_change_times",
        "newly_dropped",
        "note_manifest",
        "refresh",
        "taken_up_again",
        "unlisted_paths",
    ),
    "reading.first_paths": ("first_of_each_home",),
    "reading.orphans": ("ALIVE_EVERY_S",),
    "reading.purposes": (
        "LedgerOrigin",
        "RecordedPurposes",
    ),
    "reading.reader": (
        "JobFacts",
        "LedgerReader",
    ),
    "reading.receipts": ("receipt_of",),
    "reading.sent": (
        "OwnFile",
        "SentContent",
        "own_files",
        "second_copies_seen",
        "sent_content",
    ),
    "recovery.late_answers": (
        "expect_agents",
        "keep_candidate",
    ),
    "staging": (
        "Recalled",
        "Staging",
    ),
    "store": (
        "BY_RECONCILIATION",
        "LedgerStore",
    ),
    "unreadable": (
        "Unreadable",
        "record_unreadable",
        "settle_failed",
    ),
    "validations": (
        "ResultKey",
        "keep_result",
        "recall_results",
        "settle_invalid",
    ),
    "writer": ("LedgerWriter",),
}
"""The names of each module."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ALIVE_EVERY_S",
    "BY_RECONCILIATION",
    "Deleted",
    "Inventory",
    "JobFacts",
    "JobIdentity",
    "Ledger",
    "LedgerOrigin",
    "LedgerReader",
    "LedgerStore",
    "LedgerWriter",
    "OwnFile",
    "PlannedDeletion",
    "Recalled",
    "RecordedPurposes",
    "ResultKey",
    "SentContent",
    "Staging",
    "Unreadable",
    "dropped_count",
    "expect_agents",
    "fill_change_times",
    "first_of_each_home",
    "has_receipts",
    "keep_candidate",
    "keep_result",
    "live_count",
    "mark_dropped",
    "mark_taken_up",
    "new_change_times",
    "newly_dropped",
    "note_changes",
    "note_clock_offset",
    "note_clock_step",
    "note_manifest",
    "note_states",
    "note_strays",
    "open_ledger",
    "own_files",
    "recall_results",
    "receipt_of",
    "record_unreadable",
    "refresh",
    "remember",
    "remembered",
    "require_ledger",
    "require_same",
    "run_is_at_work",
    "second_copies_seen",
    "sent_content",
    "settle_failed",
    "settle_invalid",
    "taken_up_again",
    "unlisted_paths",
]


def __getattr__(name: str) -> object:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
