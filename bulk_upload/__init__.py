"""Async bulk uploader for AI training data, with concurrency control and a ledger that never lies.

    async with Uploader(api_key=key) as up:
        async for receipt in up.run("manifest.jsonl"):
            print(receipt.path, receipt.file_id)

`upload("manifest.jsonl", api_key=key)` is the same in one synchronous call.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bulk_upload.version import __version__

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import FLOW, Profile
    from bulk_upload.core.events import (
        AttemptEnded,
        AttemptStarted,
        ClockStepped,
        ContentCompared,
        ControlChanged,
        Draining,
        EntrySettled,
        Event,
        LimitChanged,
        Noticed,
        Paused,
        PlanMade,
        Preparing,
        ReceiptsChecked,
        ReceiptWithdrawn,
        Reconciling,
        RunLimited,
        Snapshot,
    )
    from bulk_upload.core.limits.timetable import Span, Timetable
    from bulk_upload.core.model import EntryState, Outcome, Receipt
    from bulk_upload.core.report.log_records import log_record
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.core.run.settings import ConfirmMode, InDoubtPolicy, RunSettings, ValidateMode
    from bulk_upload.edge.convert import Conversion, convert
    from bulk_upload.edge.ledger import LedgerReader
    from bulk_upload.engine.after.undo import UndoScope
    from bulk_upload.errors import (
        BulkUploadError,
        CredentialsRefused,
        LedgerLocked,
        LedgerMismatch,
        LedgerNewer,
        LedgerUnusable,
        ManifestInvalid,
        NoRunAtWork,
        ServerUnusable,
        UsageError,
    )
    from bulk_upload.exit_status import ExitStatus
    from bulk_upload.job_ledger import JobLedger
    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.uploader import Uploader, upload

# Imported when first used: `bulk-upload --help` must not wait for an HTTP library. Light ones first.
_HOMES = (
    "bulk_upload.exit_status",
    "bulk_upload.errors",
    "bulk_upload.core.events",
    "bulk_upload.core.model",
    "bulk_upload.core.api.profile",
    "bulk_upload.core.run.job",
    "bulk_upload.core.run.retry",
    "bulk_upload.core.run.settings",
    "bulk_upload.core.limits.timetable",
    "bulk_upload.core.report.log_records",
    "bulk_upload.edge.convert",
    "bulk_upload.edge.ledger",
    "bulk_upload.engine.after.undo",
    "bulk_upload.job_run",
    "bulk_upload.job_ledger",
    "bulk_upload.uploader",
)

__all__ = [
    "FLOW",
    "AttemptEnded",
    "AttemptStarted",
    "BulkUploadError",
    "ClockStepped",
    "ConfirmMode",
    "ContentCompared",
    "ControlChanged",
    "Conversion",
    "CredentialsRefused",
    "Draining",
    "EntrySettled",
    "EntryState",
    "Event",
    "ExitStatus",
    "InDoubtPolicy",
    "Job",
    "JobLedger",
    "JobRun",
    "LedgerLocked",
    "LedgerMismatch",
    "LedgerNewer",
    "LedgerReader",
    "LedgerUnusable",
    "LimitChanged",
    "ManifestInvalid",
    "NoRunAtWork",
    "Noticed",
    "Outcome",
    "Paused",
    "PlanMade",
    "Preparing",
    "Profile",
    "Receipt",
    "ReceiptWithdrawn",
    "ReceiptsChecked",
    "Reconciling",
    "Result",
    "RetryPolicy",
    "RunLimited",
    "RunSettings",
    "ServerUnusable",
    "Snapshot",
    "Span",
    "Timetable",
    "UndoScope",
    "Uploader",
    "UsageError",
    "ValidateMode",
    "__version__",
    "convert",
    "log_record",
    "upload",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        for home in _HOMES:
            module = import_module(home)
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
