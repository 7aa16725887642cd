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
    from bulk_upload.core.events import (
        AttemptEnded,
        AttemptStarted,
        Draining,
        EntrySettled,
        Event,
        Noticed,
        Paused,
        PlanMade,
        Reconciling,
        Snapshot,
    )
    from bulk_upload.core.model import EntryState, Outcome, Receipt
    from bulk_upload.core.profile import FLOW, Profile
    from bulk_upload.core.retry import RetryPolicy
    from bulk_upload.core.settings import InDoubtPolicy, RunSettings
    from bulk_upload.edge.ledger import LedgerReader
    from bulk_upload.errors import (
        BulkUploadError,
        CredentialsRefused,
        LedgerLocked,
        LedgerMismatch,
        LedgerNewer,
        LedgerUnusable,
        ManifestInvalid,
        UsageError,
    )
    from bulk_upload.exit_status import ExitStatus
    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.uploader import Job, Uploader, upload

# Imported when first used: `bulk-upload --help` must not wait for an HTTP library.
_HOMES = {
    "bulk_upload.core.events": (
        "AttemptEnded",
        "AttemptStarted",
        "Draining",
        "EntrySettled",
        "Event",
        "Noticed",
        "Paused",
        "PlanMade",
        "Reconciling",
        "Snapshot",
    ),
    "bulk_upload.core.model": ("EntryState", "Outcome", "Receipt"),
    "bulk_upload.core.profile": ("FLOW", "Profile"),
    "bulk_upload.core.retry": ("RetryPolicy",),
    "bulk_upload.core.settings": ("InDoubtPolicy", "RunSettings"),
    "bulk_upload.edge.ledger": ("LedgerReader",),
    "bulk_upload.errors": (
        "BulkUploadError",
        "CredentialsRefused",
        "LedgerLocked",
        "LedgerMismatch",
        "LedgerNewer",
        "LedgerUnusable",
        "ManifestInvalid",
        "UsageError",
    ),
    "bulk_upload.exit_status": ("ExitStatus",),
    "bulk_upload.job_run": ("JobRun", "Result"),
    "bulk_upload.uploader": ("Job", "Uploader", "upload"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [  # noqa: PLE0604 - the table above names them
    *sorted(_HOME_OF),
    "__version__",
]


def __getattr__(name: str) -> object:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
