"""An embedded server that speaks the Flow Files API, and others', on loopback, for demos, rehearsals and tests."""

from bulk_upload.sandbox.config import SandboxConfig
from bulk_upload.sandbox.dialects.dialect import Habit
from bulk_upload.sandbox.fault_text import parse_faults, parse_step
from bulk_upload.sandbox.faults import Chance, FaultKind, Faults, Moment, Step
from bulk_upload.sandbox.journal import JournalRecord, RecordKind, SentFile
from bulk_upload.sandbox.server import Sandbox, sandbox_in_thread
from bulk_upload.sandbox.stored_file import StoredFile

__all__ = [
    "Chance",
    "FaultKind",
    "Faults",
    "Habit",
    "JournalRecord",
    "Moment",
    "RecordKind",
    "Sandbox",
    "SandboxConfig",
    "SentFile",
    "Step",
    "StoredFile",
    "parse_faults",
    "parse_step",
    "sandbox_in_thread",
]
