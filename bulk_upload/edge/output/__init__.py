"""Output files: where they may be written, and how they are written atomically."""

from bulk_upload.edge.output.atomic_file import PRIVATE_MODE, FileSet, created, open_to_append, replaced
from bulk_upload.edge.output.place import OutputRefused, descriptor_of, is_stream, require_safe

__all__ = [
    "PRIVATE_MODE",
    "FileSet",
    "OutputRefused",
    "created",
    "descriptor_of",
    "is_stream",
    "open_to_append",
    "replaced",
    "require_safe",
]
