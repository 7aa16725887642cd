"""From a manifest to a plan, page by page, with every finding before the first byte is sent. Blocking; use a thread."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.bundle.forecast import BundleForecast
from bulk_upload.core.finding import Finding
from bulk_upload.core.manifest.complaints import Complaints, manifest_invalid, mostly_missing
from bulk_upload.core.manifest.paths import PathComplaint
from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.sent_name import sent_name
from bulk_upload.core.model import EntryState, Fingerprint
from bulk_upload.core.report.accepted_notes import AcceptedNotes, Gone, Renamed
from bulk_upload.core.run.plan import (
    UNCHANGED,
    PlannedStep,
    Step,
    plan_entry,
    sent_again_as_missing,
    under_asked_name,
)
from bulk_upload.core.run.planned import PlanRow, StepTotal
from bulk_upload.core.run.sender import BATCH_BYTES_MAX
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.text.wording import quoted
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX
from bulk_upload.edge.ledger import dropped_count
from bulk_upload.engine.folder.vanished import require_most_files
from bulk_upload.engine.objects.looking import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bulk_upload.core.api.profile import Profile
    from bulk_upload.core.bundle.forecast import BundlesPlanned
    from bulk_upload.core.manifest.rules import ManifestRules
    from bulk_upload.core.model import Entry, Fingerprint
    from bulk_upload.edge.ledger import Recalled, Staging
    from bulk_upload.edge.objects.lookup import Lookup
    from bulk_upload.edge.source_tree import SourceTree
    from bulk_upload.engine.validation.purpose_check import PurposeCheck

_ENTRIES_PER_GROUP = 512
_REASONS_KEPT_MAX = 1000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run will do; `seen_count` of the entries to send seem to be at the server, as the last of the `warnings` says.

    `twin_count` entries share sent name, size and purpose and so go one at a time.

    `reasons` counts the entries by step and reason. `bundles` says how many files go in how many requests, None where each
    goes by itself. `dropped_count` entries of the ledger are not in the manifest.
    `mixups` says which purposes have files of another one among the first that will be sent.
    """

    totals: dict[Step, StepTotal]
    seen_count: int = 0
    twin_count: int
    dropped_count: int = 0
    bundles: BundlesPlanned | None = None
    mixups: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    reasons: Counter[tuple[Step, str]] = msgspec.field(default_factory=Counter)

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


class _Reasons:
    """Counts entries by step and reason; reasons beyond a readable number are counted together."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[Step, str]] = Counter()

    def add(self, planned: list[PlanRow]) -> None:
        """Count a group of entries."""
        group = Counter((one.decided.step, one.decided.reason) for one in planned)
        for (step, reason), count in group.items():
            is_kept = (step, reason) in self.counts or len(self.counts) < _REASONS_KEPT_MAX
            self.counts[step, reason if is_kept else "other reasons"] += count


class Preparation(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is made from: the manifest's rules, its files, its ledger, what is to be tried again.

    `ignore_ctime` is the job's. `is_listing` says that the manifest was made of a folder, so that its lines mean nothing
    to anybody; `is_partial` that it has not all of the job's entries. With `strict_paths` any file that is missing,
    unreadable or refused makes the manifest invalid; otherwise only more than half of them do. `rules_version` returns
    the version of the rules that a purpose's files are validated by, None where they are not, and `purpose_check` judges
    the purpose of the first files. `may_lose_files` allows a folder that has lost most of its files. `bundle` files may
    go in one request. `on_progress` is called, now and then and on the thread that plans, with the number of entries that
    were planned so far. `objects` has what the stores say about objects, which `look_up` asks them for, before anything
    is planned.
    """

    rules: ManifestRules
    tree: SourceTree
    staging: Staging
    profile: Profile
    retry: frozenset[EntryState]
    retry_renamed: bool = False
    retry_missing: bool = False
    ignore_ctime: bool = False
    strict_paths: bool = False
    purpose_check: PurposeCheck | None = None
    rules_version: Callable[[str], str | None] = lambda _: None
    is_listing: bool = False
    is_partial: bool = False
    may_lose_files: bool = False
    bundle: int | None = None
    on_progress: Callable[[int], None] | None = None
    objects: Lookup | None = None
    look_up: Callable[[], None] | None = None

    def plan(self, lines: Iterable[bytes]) -> Plan:
        """Read a manifest, inspect its files, compare them with the ledger and decide what to do.

        Raises ManifestInvalid with the findings of the whole manifest: those about its lines and those about
        the files they name. It is raised for any finding about a line, for those about files as `strict_paths` says, and
        where over half of a purpose's first files are of another purpose, or of a folder's files are gone.
        """
        try:
            if self.look_up is not None:
                self.look_up()
            return self._planned(lines)
        finally:
            if self.objects is not None:
                self.objects.close()

    def _planned(self, lines: Iterable[bytes]) -> Plan:
        complaints, missing = Complaints(), Complaints()
        reasons = _Reasons()
        forecast = self._bundle_forecast()
        noted = AcceptedNotes()
        oversized_count = 0
        entry_count = usable_count = 0
        for entries in self._groups(lines, complaints):
            planned = self._stage(entries, complaints, missing, noted)
            usable_count += sum(one.fingerprint is not None for one in planned)
            reasons.add(planned)
            if forecast is not None:
                _foresee(forecast, planned)
            if self.purpose_check is not None:
                self.purpose_check.look(planned)
            oversized_count += self._oversized_count(planned)
            entry_count += len(entries)
            if self.on_progress is not None:
                self.on_progress(entry_count)
        if complaints.count or (self.strict_paths and missing.count):
            raise manifest_invalid(complaints, missing)
        if missing.count > usable_count:
            raise mostly_missing(missing, missing.count + usable_count, self.tree.root)
        if self.is_listing and not self.is_partial and not self.may_lose_files:
            require_most_files(self.staging, self.tree, listed_count=entry_count)
        if self.purpose_check is not None and (stops := self.purpose_check.stops()):
            from bulk_upload.core.validation.mixup.first_files import mixed_up_error  # noqa: PLC0415 - with the check

            raise mixed_up_error(stops)
        return Plan(
            mixups=() if self.purpose_check is None else tuple(map(str, self.purpose_check.mixed_up())),
            totals=self.staging.totals(),
            twin_count=self.staging.twin_count(),
            dropped_count=0 if self.is_partial else dropped_count(self.staging),
            bundles=None if forecast is None else forecast.planned(),
            warnings=(*self._warnings(oversized_count), *noted.warnings()),
            reasons=reasons.counts,
        )

    def _bundle_forecast(self) -> BundleForecast | None:
        if self.bundle is None:
            return None
        return BundleForecast(
            min(self.bundle, self.profile.bulk_max or self.bundle),
            file_bytes_max=SMALL_FILE_BYTES_MAX,
            batch_bytes_max=BATCH_BYTES_MAX,
        )

    def _groups(self, lines: Iterable[bytes], complaints: Complaints) -> Iterator[list[Entry]]:
        group: list[Entry] = []
        for one in read_manifest(lines, self.rules):
            if isinstance(one, Finding):
                complaints.add(one)
                continue
            group.append(one)
            if len(group) == _ENTRIES_PER_GROUP:
                yield group
                group = []
        if group:
            yield group

    def _stage(
        self,
        entries: list[Entry],
        complaints: Complaints,
        missing: Complaints,
        noted: AcceptedNotes,
    ) -> list[PlanRow]:
        """Decide a group of entries and keep the decisions; add findings for those that cannot be used."""
        keys = [entry.key for entry in entries]
        recalled = self.staging.recall(keys)
        unusable: list[tuple[Entry, PathComplaint]] = []
        planned = [
            self._decide(entry, key, recalled.get(key), unusable, noted)
            for entry, key in zip(entries, keys, strict=True)
        ]
        earlier_lines = self.staging.add(planned)
        for entry, complaint in unusable:
            if entry.line_no not in earlier_lines:
                missing.add(self._finding(entry, complaint))
        if earlier_lines:
            for entry in entries:
                if entry.line_no in earlier_lines:
                    complaints.add(self._duplicate(entry, earlier_lines[entry.line_no]))
        return planned

    def _finding(self, entry: Entry, complaint: PathComplaint) -> Finding:
        if self.is_listing:
            return complaint.finding(where=printable(entry.path))
        return complaint.finding(where=self.rules.where, line_no=entry.line_no, place="path")

    def _decide(
        self,
        entry: Entry,
        key: bytes,
        recalled: Recalled | None,
        unusable: list[tuple[Entry, PathComplaint]],
        noted: AcceptedNotes,
    ) -> PlanRow:
        inspected = inspect(entry.path, self.tree, self.objects, ignore_ctime=self.ignore_ctime)
        complaint = inspected if isinstance(inspected, PathComplaint) else None
        fingerprint = None if isinstance(inspected, PathComplaint) else inspected
        if recalled is None:
            entry_id, decided = None, plan_entry(None, fingerprint, retry=self.retry)
        else:
            entry_id = recalled.entry_id
            decided = (
                UNCHANGED
                if fingerprint is not None and recalled.is_accepted(fingerprint)
                else plan_entry(
                    self.staging.known(key),
                    fingerprint,
                    retry=self.retry,
                    other_rules=self._has_other_rules(recalled, entry.purpose),
                )
            )
        if recalled is not None and recalled.sent_name is not None and recalled.state == EntryState.ACCEPTED:
            decided = self._under_asked_name(entry, recalled.sent_name, decided, noted.renamed)
        if recalled is not None and recalled.is_missing and recalled.state == EntryState.ACCEPTED:
            decided = self._missing_at_server(fingerprint, decided, noted.gone)
        if decided.step is Step.MISSING and complaint is not None:
            unusable.append((entry, complaint))
            step = Step.UNREACHABLE if complaint.transient else Step.MISSING
            # Not every name can be stored, or shown, as text.
            decided = PlannedStep(step=step, reason=printable(complaint.found))
        is_new = _has_new_change_time(recalled, fingerprint, decided)
        return PlanRow(entry, key, fingerprint, decided, entry_id, is_new)

    def _has_other_rules(self, recalled: Recalled, purpose: str) -> bool:
        """Whether an invalid entry was found invalid by other rules than those that apply now."""
        if recalled.state != EntryState.INVALID:
            return False
        now, then = self.rules_version(purpose), self.staging.rules_of_result(recalled.entry_id)
        return None not in (now, then) and now != then

    def _under_asked_name(
        self, entry: Entry, sent_as: str, decided: PlannedStep, renamed: Renamed
    ) -> PlannedStep:
        asked_name = sent_name(entry.path, entry.remote_name)
        step = under_asked_name(decided, sent_name=sent_as, asked_name=asked_name, resend=self.retry_renamed)
        if step is None:
            return decided
        if not self.retry_renamed:
            renamed.add(entry.path, sent_name=sent_as, asked_name=asked_name)
        return step

    def _missing_at_server(
        self, fingerprint: Fingerprint | None, decided: PlannedStep, gone: Gone
    ) -> PlannedStep:
        if self.retry_missing:
            return sent_again_as_missing(fingerprint, decided)
        gone.count += decided.step is not Step.SEND
        return decided

    def _duplicate(self, entry: Entry, earlier_line_no: int) -> Finding:
        return self.rules.finding(
            "duplicate-entry",
            entry.line_no,
            place="path",
            found=f"{quoted(entry.path)} with purpose {entry.purpose} is already on line {earlier_line_no}",
            remedy="Remove one of the two lines",
        )

    def _oversized_count(self, planned: list[PlanRow]) -> int:
        """Return how many files that are to be sent are larger than the documented limit."""
        limit_bytes = self.profile.size_limit_bytes or float("inf")
        return sum(
            one.decided.step is Step.SEND
            and one.fingerprint is not None
            and one.fingerprint.size > limit_bytes
            for one in planned
        )

    def _warnings(self, oversized_count: int) -> tuple[str, ...]:
        limit_bytes = self.profile.size_limit_bytes
        if not oversized_count or limit_bytes is None:
            return ()
        plural = "file is" if oversized_count == 1 else "files are"
        return (f"{oversized_count} {plural} larger than {human_bytes(limit_bytes)}, the documented limit",)


def _foresee(forecast: BundleForecast, planned: list[PlanRow]) -> None:
    for one in planned:
        if one.decided.step is Step.SEND and one.fingerprint is not None:
            name = sent_name(one.entry.path, one.entry.remote_name)
            forecast.add(one.entry, name, one.fingerprint.size)


def _has_new_change_time(
    recalled: Recalled | None, fingerprint: Fingerprint | None, decided: PlannedStep
) -> bool:
    """Whether the ledger has this version of a file, but was written before it recorded change times."""
    return (
        recalled is not None
        and recalled.ctime_ns is None
        and recalled.size is not None
        and fingerprint is not None
        and fingerprint.ctime_ns is not None
        and decided.step in (Step.SETTLED, Step.BLOCKED)
    )
