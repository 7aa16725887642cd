"""Recognises training data where a manifest is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.folder.likeness import TEXT, likeness
from bulk_upload.core.purposes import suffix_of
from bulk_upload.edge.folder.heads import head_of
from bulk_upload.edge.manifest_file import comes_by_stream, names_files
from bulk_upload.edge.validation.tables import parquet_columns
from bulk_upload.errors import ManifestInvalid, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from bulk_upload.core.folder.likeness import Likeness
    from bulk_upload.core.purposes import Purpose

_OF_MANIFESTS = (".csv", ".tsv", ".txt", ".json")
"""Suffixes that a manifest may have as well as a document: one that is wrong is no document."""


def data_likeness(path: str, purposes: Collection[Purpose]) -> Likeness | None:
    """Return what a file is for that is plainly training data; None where it is, or may be meant as, a manifest.

    A stream is not read: it can be read once only.
    """
    if comes_by_stream(path):
        return None
    try:
        if names_files(path):
            return None
        like = likeness(path, head_of(path, columns_of=parquet_columns), purposes)
    except (UsageError, ManifestInvalid, OSError, ValueError):
        return None
    if like.reason == TEXT and suffix_of(path) in _OF_MANIFESTS:
        return None
    return like if like.purpose is not None or like.convert_to else None
