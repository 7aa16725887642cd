"""The files that are sent: opened late, read once, hashed on the way."""

from bulk_upload.edge.files.hashed import HashedFile, fingerprint_of, source_error
from bulk_upload.edge.files.reader import READING_THREADS, SMALL_FILE_BYTES_MAX, FileReader
from bulk_upload.edge.files.streamed import StreamedFile, block_bytes_for

__all__ = [
    "READING_THREADS",
    "SMALL_FILE_BYTES_MAX",
    "FileReader",
    "HashedFile",
    "StreamedFile",
    "block_bytes_for",
    "fingerprint_of",
    "source_error",
]
