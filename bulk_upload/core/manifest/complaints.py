"""What is wrong with a manifest, counted, and the errors that say so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulk_upload.core.text.wording import quoted
from bulk_upload.errors import ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.finding import Finding

FINDINGS_KEPT_MAX = 1000
"""Findings beyond this many are counted, not kept: a manifest with a million bad lines must not fill memory."""


class Complaints:
    """Keeps the first findings and counts the rest."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0
        self.by_rule: Counter[str] = Counter()

    def add(self, finding: Finding) -> None:
        """Keep or count one finding."""
        self.count += 1
        self.by_rule[finding.rule] += 1
        if len(self.kept) < FINDINGS_KEPT_MAX:
            self.kept.append(finding)


def manifest_invalid(complaints: Complaints, missing: Complaints) -> ManifestInvalid:
    """Return the error for a manifest with problems."""
    count = complaints.count + missing.count
    kept = [*complaints.kept, *missing.kept]
    # What is wrong with the manifest as a whole is mended by no line of it.
    is_whole = count == 1 and kept[0].line_no is None and kept[0].place is None
    return ManifestInvalid(
        f"the manifest has {count} {'problem' if count == 1 else 'problems'}; nothing was sent",
        findings=sorted(kept, key=lambda one: one.line_no or 0),
        finding_count=count,
        counts=complaints.by_rule + missing.by_rule,
        hint=kept[0].remedy if is_whole else "fix the lines listed above and run the same command again",
    )


def mostly_vanished(gone_count: int, entry_count: int, root: str, examples: Sequence[str]) -> ManifestInvalid:
    """Return the error for a folder that has lost most of the files that its ledger has, such as `examples`."""
    shown = ", ".join(map(quoted, examples))
    more = ", …" if gone_count > len(examples) else ""
    return ManifestInvalid(
        f"{gone_count:,} of {entry_count:,} files that the ledger has of {quoted(root)} are gone ({shown}{more}); "
        "nothing was sent",
        hint="check that the disk or share is mounted; if the files were removed on purpose, pass --files-removed",
    )


def mostly_missing(missing: Complaints, file_count: int, root: str) -> ManifestInvalid:
    """Return the error for a disk or mount that is not there, or a root that is not the one that was meant."""
    files = "file is" if file_count == 1 else "files are"
    return ManifestInvalid(
        f"{missing.count:,} of {file_count:,} {files} missing or unreadable; nothing was sent",
        findings=missing.kept,
        finding_count=missing.count,
        counts=missing.by_rule,
        hint="fix the lines listed above, or check that the disk is mounted and that paths start from "
        f"{quoted(root)} (--root); up to half of the files may be missing, and the others are sent",
    )
