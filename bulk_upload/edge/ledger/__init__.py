"""The durable truth of a job: SQLite, one writer, one run at a time. docs/reference/ledger.md describes the format."""

from bulk_upload.edge.ledger.deletions import Deleted, PlannedDeletion
from bulk_upload.edge.ledger.file.identity import JobIdentity, has_receipts, require_same
from bulk_upload.edge.ledger.file.lock import run_is_at_work
from bulk_upload.edge.ledger.file.opening import require_ledger
from bulk_upload.edge.ledger.inventory import Inventory
from bulk_upload.edge.ledger.job import Ledger, open_ledger
from bulk_upload.edge.ledger.limits_log import note_changes, note_states, remember, remembered
from bulk_upload.edge.ledger.reading.reader import JobFacts, LedgerReader
from bulk_upload.edge.ledger.reading.receipts import receipt_of
from bulk_upload.edge.ledger.staging import Recalled, Staging
from bulk_upload.edge.ledger.store import ALIVE_EVERY_S, BY_RECONCILIATION, LedgerStore
from bulk_upload.edge.ledger.unreadable import Unreadable, record_unreadable, settle_failed
from bulk_upload.edge.ledger.validations import ResultKey, keep_result, recall_results, settle_invalid
from bulk_upload.edge.ledger.writer import LedgerWriter

__all__ = [
    "ALIVE_EVERY_S",
    "BY_RECONCILIATION",
    "Deleted",
    "Inventory",
    "JobFacts",
    "JobIdentity",
    "Ledger",
    "LedgerReader",
    "LedgerStore",
    "LedgerWriter",
    "PlannedDeletion",
    "Recalled",
    "ResultKey",
    "Staging",
    "Unreadable",
    "has_receipts",
    "keep_result",
    "note_changes",
    "note_states",
    "open_ledger",
    "recall_results",
    "receipt_of",
    "record_unreadable",
    "remember",
    "remembered",
    "require_ledger",
    "require_same",
    "run_is_at_work",
    "settle_failed",
    "settle_invalid",
]
