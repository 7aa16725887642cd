"""Validates data files before they are sent: in processes of their own, so that uploads continue meanwhile."""

from bulk_upload.edge.validation.by_blocks import BlockCheck
from bulk_upload.edge.validation.quarantine import FileIsPacked, Quarantine, Quarantined, QuarantineFailed
from bulk_upload.edge.validation.reading import CheckTask, check_content, check_file
from bulk_upload.edge.validation.stream import DataStream
from bulk_upload.edge.validation.tables import parquet_columns
from bulk_upload.edge.validation.workers import (
    SMALL_BYTES_MAX,
    CheckRequest,
    FileMoved,
    Looked,
    WorkerLost,
    Workers,
    usable_processors,
)

__all__ = [
    "SMALL_BYTES_MAX",
    "BlockCheck",
    "CheckRequest",
    "CheckTask",
    "DataStream",
    "FileIsPacked",
    "FileMoved",
    "Looked",
    "Quarantine",
    "QuarantineFailed",
    "Quarantined",
    "WorkerLost",
    "Workers",
    "check_content",
    "check_file",
    "parquet_columns",
    "usable_processors",
]
