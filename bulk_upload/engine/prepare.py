"""From a manifest to a plan, page by page, with every complaint before the first byte. Blocking; use a thread."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bulk_upload.core.display import human_bytes
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest import read_manifest
from bulk_upload.core.paths import PathComplaint
from bulk_upload.core.plan import Step, plan_entry
from bulk_upload.core.wording import quoted
from bulk_upload.core.work import StepTotal
from bulk_upload.errors import ManifestInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bulk_upload.core.manifest_rules import ManifestRules
    from bulk_upload.core.model import Entry, EntryState
    from bulk_upload.core.profile import Profile
    from bulk_upload.core.work import StagedEntry
    from bulk_upload.edge.ledger import Staging
    from bulk_upload.edge.source_tree import SourceTree

FINDINGS_KEPT_MAX = 1000
"""Findings beyond this many are counted, not kept: a manifest with a million bad lines must not fill memory."""

_ENTRIES_PER_GROUP = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do. `twin_count` entries share sent name, size and purpose and so go one at a time."""

    totals: dict[Step, StepTotal]
    twin_count: int
    warnings: tuple[str, ...] = ()

    def total(self, step: Step) -> StepTotal:
        """Return how many entries and bytes a step has."""
        return self.totals.get(step, StepTotal())

    @property
    def entry_count(self) -> int:
        """All entries of the manifest."""
        return sum(one.entry_count for one in self.totals.values())

    @property
    def file_bytes(self) -> int:
        """The bytes of all files of the manifest that are there."""
        return sum(one.file_bytes for one in self.totals.values())


class _Complaints:
    """Keeps the first findings and counts the rest."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, finding: Finding) -> None:
        """Keep or count one finding."""
        self.count += 1
        if len(self.kept) < FINDINGS_KEPT_MAX:
            self.kept.append(finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What a plan is made from: the manifest's rules, its files, its ledger, what is to be tried again."""

    rules: ManifestRules
    tree: SourceTree
    staging: Staging
    profile: Profile
    retry: frozenset[EntryState]

    def plan(self, lines: Iterable[bytes]) -> Plan:
        """Read a manifest, look at its files, compare them with the ledger and decide what to do.

        Raises ManifestInvalid with the findings of the whole manifest: those about its lines and those about
        the files they name.
        """
        complaints = _Complaints()
        self._stage(lines, complaints)
        oversized_count = self._decide_all(complaints)
        if complaints.count:
            plural = "problem" if complaints.count == 1 else "problems"
            raise ManifestInvalid(
                f"the manifest has {complaints.count} {plural}; nothing was sent",
                findings=sorted(complaints.kept, key=lambda one: one.line_no or 0),
                finding_count=complaints.count,
                hint="mend the lines named above and run the same command again",
            )
        return Plan(
            totals=self.staging.totals(),
            twin_count=self.staging.twin_count(),
            warnings=self._warnings(oversized_count),
        )

    def _stage(self, lines: Iterable[bytes], complaints: _Complaints) -> None:
        self.staging.begin()
        for count, one in enumerate(read_manifest(lines, self.rules), start=1):
            if isinstance(one, Finding):
                complaints.add(one)
                continue
            earlier_line_no = self.staging.add(one)
            if earlier_line_no is not None:
                complaints.add(self._duplicate(one, earlier_line_no))
            if count % _ENTRIES_PER_GROUP == 0:
                self.staging.commit()
                self.staging.begin()
        self.staging.commit()

    def _duplicate(self, entry: Entry, earlier_line_no: int) -> Finding:
        return self.rules.finding(
            "duplicate-entry",
            entry.line_no,
            place="path",
            found=f"{quoted(entry.path)} with purpose {entry.purpose} is already on line {earlier_line_no}",
            remedy="Remove one of the two lines",
        )

    def _decide_all(self, complaints: _Complaints) -> int:
        """Decide every staged entry and return how many files are larger than the documented limit."""
        limit_bytes = self.profile.size_limit_bytes or float("inf")
        oversized_count = 0
        for page in self.staging.pages():
            planned = [self._decide(staged, complaints) for staged in page]
            oversized_count += sum(
                one.step is Step.SEND and one.source is not None and one.source.size > limit_bytes
                for one in planned
            )
            self.staging.begin()
            self.staging.record_plan(planned)
            self.staging.commit()
        return oversized_count

    def _decide(self, staged: StagedEntry, complaints: _Complaints) -> StagedEntry:
        looked = self.tree.inspect(staged.entry.path)
        source = None if isinstance(looked, PathComplaint) else looked.fingerprint
        planned = plan_entry(staged.known, source, retry=self.retry)
        if planned.step is Step.MISSING and isinstance(looked, PathComplaint):
            complaints.add(looked.finding(where=self.rules.where, line_no=staged.entry.line_no, place="path"))
        return replace(staged, source=source, step=planned.step, note=planned.reason)

    def _warnings(self, oversized_count: int) -> tuple[str, ...]:
        limit_bytes = self.profile.size_limit_bytes
        if not oversized_count or limit_bytes is None:
            return ()
        plural = "file is" if oversized_count == 1 else "files are"
        return (f"{oversized_count} {plural} larger than {human_bytes(limit_bytes)}, the documented limit",)
