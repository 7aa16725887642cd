"""Async bulk uploader for AI training data, with concurrency control and a ledger that never lies.

    result = upload("manifest.jsonl", api_key=key, progress=True)
    for row in result.failures:
        print(row.path, row.status, row.reason)

`upload_async` is the same for a running event loop. `Uploader` runs several jobs, and gives each entry as it is settled.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from bulk_upload.version import __version__

if TYPE_CHECKING:
    from bulk_upload.core.api.profile import FLOW, Profile
    from bulk_upload.core.content_hash import HashFunction
    from bulk_upload.core.events import (
        AgentJoined,
        AgentLeft,
        AgentLost,
        AgentNow,
        AttemptEnded,
        AttemptStarted,
        ClockStepped,
        ContentCompared,
        ControlChanged,
        DataFindings,
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
    from bulk_upload.core.model import Entry, EntryState, Outcome, Receipt
    from bulk_upload.core.objects.options import SourceOptions
    from bulk_upload.core.report.export import ExportRow
    from bulk_upload.core.report.json_shapes import PackSummary, UnpackedDifference
    from bulk_upload.core.report.log_records import log_record
    from bulk_upload.core.run.job import Job
    from bulk_upload.core.run.retry import RetryPolicy
    from bulk_upload.core.run.settings import ConfirmMode, InDoubtPolicy, RunSettings, ValidateMode
    from bulk_upload.core.validation.rules import RuleChoice
    from bulk_upload.edge.convert import Conversion, convert
    from bulk_upload.edge.ledger import LedgerReader
    from bulk_upload.edge.profiles import built_in_profile
    from bulk_upload.engine.after.undo import UndoScope
    from bulk_upload.errors import (
        BulkUploadError,
        CredentialsRefused,
        EntriesFailed,
        EntriesInDoubt,
        JobIncomplete,
        LedgerLocked,
        LedgerMismatch,
        LedgerNewer,
        LedgerOutdated,
        LedgerUnusable,
        ManifestInvalid,
        NoRunAtWork,
        ResourceShortage,
        RunUnfinished,
        ServerUnusable,
        UsageError,
    )
    from bulk_upload.exit_status import ExitStatus
    from bulk_upload.job_ledger import JobLedger
    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.library.calls import plan, upload, upload_async
    from bulk_upload.library.ledgers import read_ledger
    from bulk_upload.library.packs import pack, read_members, unpack
    from bulk_upload.library.uploader import Uploader

_HOMES = {
    "bulk_upload.core.api.profile": (
        "FLOW",
        "Profile",
    ),
    "bulk_upload.core.content_hash": ("HashFunction",),
    "bulk_upload.core.events": (
        "AgentJoined",
        "AgentLeft",
        "AgentLost",
        "AgentNow",
        "AttemptEnded",
        "AttemptStarted",
        "ClockStepped",
        "ContentCompared",
        "ControlChanged",
        "DataFindings",
        "Draining",
        "EntrySettled",
        "Event",
        "LimitChanged",
        "Noticed",
        "Paused",
        "PlanMade",
        "Preparing",
        "ReceiptsChecked",
        "ReceiptWithdrawn",
        "Reconciling",
        "RunLimited",
        "Snapshot",
    ),
    "bulk_upload.core.limits.timetable": (
        "Span",
        "Timetable",
    ),
    "bulk_upload.core.model": (
        "Entry",
        "EntryState",
        "Outcome",
        "Receipt",
    ),
    "bulk_upload.core.objects.options": ("SourceOptions",),
    "bulk_upload.core.report.export": ("ExportRow",),
    "bulk_upload.core.report.json_shapes": (
        "PackSummary",
        "UnpackedDifference",
    ),
    "bulk_upload.core.report.log_records": ("log_record",),
    "bulk_upload.core.run.job": ("Job",),
    "bulk_upload.core.run.retry": ("RetryPolicy",),
    "bulk_upload.core.run.settings": (
        "ConfirmMode",
        "InDoubtPolicy",
        "RunSettings",
        "ValidateMode",
    ),
    "bulk_upload.core.validation.rules": ("RuleChoice",),
    "bulk_upload.edge.convert": (
        "Conversion",
        "convert",
    ),
    "bulk_upload.edge.ledger": ("LedgerReader",),
    "bulk_upload.edge.profiles": ("built_in_profile",),
    "bulk_upload.engine.after.undo": ("UndoScope",),
    "bulk_upload.errors": (
        "BulkUploadError",
        "CredentialsRefused",
        "EntriesFailed",
        "EntriesInDoubt",
        "JobIncomplete",
        "LedgerLocked",
        "LedgerMismatch",
        "LedgerNewer",
        "LedgerOutdated",
        "LedgerUnusable",
        "ManifestInvalid",
        "NoRunAtWork",
        "ResourceShortage",
        "RunUnfinished",
        "ServerUnusable",
        "UsageError",
    ),
    "bulk_upload.exit_status": ("ExitStatus",),
    "bulk_upload.job_ledger": ("JobLedger",),
    "bulk_upload.job_run": (
        "JobRun",
        "Result",
    ),
    "bulk_upload.library.calls": (
        "plan",
        "upload",
        "upload_async",
    ),
    "bulk_upload.library.ledgers": ("read_ledger",),
    "bulk_upload.library.packs": (
        "pack",
        "read_members",
        "unpack",
    ),
    "bulk_upload.library.uploader": ("Uploader",),
}
"""The module of each public name. It is imported when the name is first used: what asks for a type, or for a ledger's rows,
must not wait for an HTTP library."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "FLOW",
    "AgentJoined",
    "AgentLeft",
    "AgentLost",
    "AgentNow",
    "AttemptEnded",
    "AttemptStarted",
    "BulkUploadError",
    "ClockStepped",
    "ConfirmMode",
    "ContentCompared",
    "ControlChanged",
    "Conversion",
    "CredentialsRefused",
    "DataFindings",
    "Draining",
    "EntriesFailed",
    "EntriesInDoubt",
    "Entry",
    "EntrySettled",
    "EntryState",
    "Event",
    "ExitStatus",
    "ExportRow",
    "HashFunction",
    "InDoubtPolicy",
    "Job",
    "JobIncomplete",
    "JobLedger",
    "JobRun",
    "LedgerLocked",
    "LedgerMismatch",
    "LedgerNewer",
    "LedgerOutdated",
    "LedgerReader",
    "LedgerUnusable",
    "LimitChanged",
    "ManifestInvalid",
    "NoRunAtWork",
    "Noticed",
    "Outcome",
    "PackSummary",
    "Paused",
    "PlanMade",
    "Preparing",
    "Profile",
    "Receipt",
    "ReceiptWithdrawn",
    "ReceiptsChecked",
    "Reconciling",
    "ResourceShortage",
    "Result",
    "RetryPolicy",
    "RuleChoice",
    "RunLimited",
    "RunSettings",
    "RunUnfinished",
    "ServerUnusable",
    "Snapshot",
    "SourceOptions",
    "Span",
    "Timetable",
    "UndoScope",
    "UnpackedDifference",
    "Uploader",
    "UsageError",
    "ValidateMode",
    "__version__",
    "built_in_profile",
    "convert",
    "log_record",
    "pack",
    "plan",
    "read_ledger",
    "read_members",
    "unpack",
    "upload",
    "upload_async",
]


_DEPRECATED: dict[str, tuple[str, str]] = {}
"""Names that are going to be removed: the name to use instead, and the first version without the old one."""


def __getattr__(name: str) -> object:
    if name in _DEPRECATED:
        return _instead_of(name)
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _instead_of(name: str) -> object:
    import warnings  # noqa: PLC0415 - nearly never needed

    instead, removed_in = _DEPRECATED[name]
    message = f"bulk_upload.{name} will be removed in version {removed_in}: use {instead}"
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return __getattr__(instead)


def __dir__() -> list[str]:
    return sorted(__all__)
