"""The files that are sent: opened late, read once, hashed on the way."""

from bulk_upload.edge.files.hashed import HashedFile, fingerprint_of, source_error
from bulk_upload.edge.files.reader import BLOCK_BYTES, SMALL_FILE_BYTES_MAX, FileReader, StreamedFile

__all__ = [
    "BLOCK_BYTES",
    "SMALL_FILE_BYTES_MAX",
    "FileReader",
    "HashedFile",
    "StreamedFile",
    "fingerprint_of",
    "source_error",
]
