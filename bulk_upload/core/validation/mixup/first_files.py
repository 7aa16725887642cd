"""Counts how many of a job's first files are of another purpose: most of them means that the manifest is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Finding
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH
from bulk_upload.errors import ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bulk_upload.core.validation.rules import Complaint

FILES_MAX = 100
"""So many files of each purpose, the first ones in the manifest, are judged before a run."""


class MixedUp(msgspec.Struct, frozen=True, kw_only=True):
    """The files among the first ones of a purpose that are of another. `file_count` files were judged."""

    purpose: str
    file_count: int
    findings: tuple[Finding, ...]

    @property
    def is_most(self) -> bool:
        """Whether over half of the files are of another purpose."""
        return len(self.findings) * 2 > self.file_count

    def __str__(self) -> str:
        found = self.findings[0].found
        if self.file_count == 1:
            return f"the {self.purpose} file is of another purpose ({PURPOSE_MISMATCH}): {found}"
        are = "is" if len(self.findings) == 1 else "are"
        count = f"{len(self.findings):,} of the first {self.file_count:,} {self.purpose} files"
        return f"{count} {are} of another purpose ({PURPOSE_MISMATCH}), first {found}"


class FirstFiles:
    """Collects the judgements on the first files of each purpose."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._findings: dict[str, list[Finding]] = {}

    def wants(self, purpose: str) -> bool:
        """Whether another file of a purpose is to be judged."""
        return self._counts.get(purpose, 0) < FILES_MAX

    def add(
        self, purpose: str, path: str, complaint: Complaint | None, *, where: str, line_no: int | None = None
    ) -> None:
        """Count a file that was judged; `where` and `line_no` say where its entry is."""
        self._counts[purpose] = self._counts.get(purpose, 0) + 1
        if complaint is not None:
            self._findings.setdefault(purpose, []).append(
                Finding(
                    rule=PURPOSE_MISMATCH,
                    where=where,
                    line_no=line_no,
                    place=None if line_no is None else "purpose",
                    found=f"{quoted(path)} is declared as {purpose}, but {complaint.found}",
                    remedy=complaint.remedy or "",
                )
            )

    def mixed_up(self) -> Iterator[MixedUp]:
        """Yield the purposes with files of another one."""
        for purpose, findings in self._findings.items():
            yield MixedUp(purpose=purpose, file_count=self._counts[purpose], findings=tuple(findings))


def mixed_up_error(stops: Sequence[MixedUp]) -> ManifestInvalid:
    """Return the error for a manifest whose purposes are mixed up."""
    findings = [finding for one in stops for finding in one.findings]
    shares = "; ".join(
        f"{len(one.findings):,} of the first {one.file_count:,} {one.purpose} files are of another purpose"
        if one.file_count > 1
        else f"the first {one.purpose} file is of another purpose"
        for one in stops
    )
    return ManifestInvalid(
        f"{shares}; nothing was sent",
        findings=findings,
        finding_count=len(findings),
        hint="correct the purposes in the manifest (those of --map or --purpose), or judge each file by its entry all the "
        "same: --ignore purpose-mismatch",
    )
