"""Finds the objects that a manifest names, and has them looked up, before it is planned. Blocking; use a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.model import Entry
from bulk_upload.core.objects.address import is_address
from bulk_upload.edge.files import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.manifest.rules import ManifestRules
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.objects.lookup import Lookup
    from bulk_upload.edge.source_tree import SourceTree

_MARKS = (b"://", rb":\/\/")
"""What the line of an address has in it, as people and as some programs write JSON."""


def look_up(read_lines: Callable[[], Iterable[bytes]], rules: ManifestRules, lookup: Lookup) -> None:
    """Look up the objects of a manifest; of one without any only the lines are searched.

    Raises UsageError: a store cannot be used.
    """
    plain, escaped = _MARKS
    if not any(plain in line or escaped in line for line in read_lines()):
        return
    lookup.expect(
        one.path
        for one in read_manifest(read_lines(), rules)
        if isinstance(one, Entry) and is_address(one.path)
    )
    lookup.look()


def inspect(
    path: str, tree: SourceTree, objects: Lookup | None, *, ignore_ctime: bool
) -> Fingerprint | PathComplaint:
    """Return the version of a file, or of an object that was looked up; or why it cannot be sent."""
    if objects is not None and is_address(path):
        return objects.inspect(path)
    status = tree.inspect(path)
    if isinstance(status, PathComplaint):
        return status
    return fingerprint_of(status, ignore_ctime=ignore_ctime)
