"""The durable truth of a job: SQLite, one writer, one run at a time. docs/ledger.md describes the format."""

from bulk_upload.edge.ledger.identity import JobIdentity, require_same
from bulk_upload.edge.ledger.job import Ledger, open_ledger
from bulk_upload.edge.ledger.reading import JobFacts, LedgerReader
from bulk_upload.edge.ledger.staging import Recalled, Staging
from bulk_upload.edge.ledger.store import ALIVE_EVERY_S, LedgerStore
from bulk_upload.edge.ledger.writer import LedgerWriter

__all__ = [
    "ALIVE_EVERY_S",
    "JobFacts",
    "JobIdentity",
    "Ledger",
    "LedgerReader",
    "LedgerStore",
    "LedgerWriter",
    "Recalled",
    "Staging",
    "open_ledger",
    "require_same",
]
