"""Files of a folder that were uploaded and are gone from it: more than half of them mean a mount that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.manifest.complaints import mostly_vanished
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.edge.ledger import dropped_count, live_count, unlisted_paths

if TYPE_CHECKING:
    from bulk_upload.edge.ledger import Staging
    from bulk_upload.edge.source_tree import SourceTree

_EXAMPLES_MAX = 5


def require_most_files(staging: Staging, tree: SourceTree, *, listed_count: int) -> None:
    """Refuse a folder that has lost most of its files since the last run.

    That is, over half of the ledger's entries, and more files than are there now: a folder that is emptied after each
    upload and filled anew is no such case. A file that is there, but was not selected, is not lost. Blocks.

    Raises:
        ManifestInvalid: with the number of lost files, and the mount as the suspect.
        LedgerUnusable: the ledger cannot be read.
    """
    # Nearly always decided by two counts; no file is looked at.
    if dropped_count(staging) <= listed_count:
        return
    most = max(listed_count, live_count(staging) // 2)
    gone_count = 0
    examples: list[str] = []
    for path in unlisted_paths(staging):
        inspected = tree.inspect(path)
        if isinstance(inspected, PathComplaint) and (inspected.rule == "missing-file" or inspected.transient):
            gone_count += 1
            if len(examples) < _EXAMPLES_MAX:
                examples.append(path)
    if gone_count > most:
        raise mostly_vanished(gone_count, live_count(staging), tree.root, examples)
