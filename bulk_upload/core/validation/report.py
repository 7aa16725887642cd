"""The findings of one file, in a size that does not grow with the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping  # noqa: TC003 - reports travel between processes by their annotations
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.dataset.facts import FileFacts  # noqa: TC001 - as Mapping
from bulk_upload.core.finding import Finding, Severity
from bulk_upload.core.validation.rules import (
    ALL_RULES,
    KEPT_APART_MAX,
    KEPT_PER_RULE_MAX,
    RULES,
    Complaint,
    RuleChoice,
    finding_of,
)

if TYPE_CHECKING:
    from bulk_upload.core.shapes.command import ConvertCommand


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """The findings of one file, the first ones of each rule, and how many there are in all.

    `counts` has the number of all findings by rule, `severities` how much those matter that the person raised. `line_count` is 0 for files that are not lines.
    `facts` are there where they were asked for.
    """

    findings: tuple[Finding, ...] = ()
    counts: Mapping[str, int] = msgspec.field(default_factory=dict)
    line_count: int = 0
    byte_count: int = 0
    severities: Mapping[str, Severity] = msgspec.field(default_factory=dict)
    facts: FileFacts | None = None

    def count(self, severity: Severity) -> int:
        """Return how many findings there are of a severity, those not kept included."""
        return sum(count for rule, count in self.counts.items() if self.severity_of(rule) is severity)

    def severity_of(self, rule: str) -> Severity:
        """Return how much the findings of a rule matter."""
        return self.severities.get(rule) or RULES[rule].severity

    @property
    def error_count(self) -> int:
        """How many errors there are."""
        return self.count(Severity.ERROR)

    @property
    def is_valid(self) -> bool:
        """Whether the file may be sent."""
        return not self.error_count

    def left_out(self) -> dict[str, int]:
        """Return how many findings were counted and not kept, by rule."""
        kept = Counter(one.rule for one in self.findings)
        return {rule: count - kept[rule] for rule, count in self.counts.items() if count > kept[rule]}

    def first_lines(self) -> dict[str, int]:
        """Return the line of the first finding of each rule that is about lines."""
        return {one.rule: one.line_no for one in reversed(self.findings) if one.line_no is not None}

    def reason(self, severity: Severity) -> str | None:
        """Return what is wrong with the file in one line: the first finding of a severity and how many there are."""
        first = next((one for one in self.findings if one.severity is severity), None)
        if first is None:
            return None
        place = "" if first.line_no is None else f"line {first.line_no:,}"
        if first.place is not None:
            place = f"{place}, {first.place}" if place else first.place
        count = self.count(severity)
        more = "" if count == 1 else f" (and {count - 1:,} more {severity}{'s' if count > 2 else ''})"
        return f"{f'{place}: ' if place else ''}{first.found} ({first.rule}){more}"


def unreadable(path: str, reason: str) -> FileReport:
    """Return the report of a file that could not be checked."""
    findings = Findings()
    findings.add(Complaint("unreadable", reason), where=path)
    return findings.report(line_count=0, byte_count=0)


class Findings:
    """Collects findings of one file: keeps the first of each rule, counts all.

    `command` converts the file: remedies name it.
    """

    def __init__(self, choice: RuleChoice = ALL_RULES, *, command: ConvertCommand | None = None) -> None:
        self._command = command
        self._choice = choice
        self.kept: list[Finding] = []
        self.counts: Counter[str] = Counter()
        self._said: set[tuple[object, ...]] = set()
        self.counted: set[str] = set(choice.ignored)
        """Rules of which no further finding is kept: their complaints need no words."""

    def counts_only(self, rule: str) -> bool:
        """Count a finding of a rule of which none is kept any more; otherwise return False. Those of an ignored rule do not count."""
        if rule not in self.counted:
            return False
        if rule not in self._choice.ignored:
            self.counts[rule] += 1
        return True

    def _keeps(self, rule: str) -> bool:
        """Whether another finding of a rule would be kept."""
        if RULES[rule].each:
            return len(self._said) < KEPT_APART_MAX
        return self.counts[rule] < (1 if RULES[rule].once else KEPT_PER_RULE_MAX)

    def _is_news(self, complaint: Complaint) -> bool:
        """Whether a complaint says what none said before, where only such are kept."""
        if not RULES[complaint.rule].each:
            return True
        said = (complaint.found, complaint.remedy, complaint.convert)
        if said in self._said:
            return False
        self._said.add(said)
        return True

    def add(
        self, complaint: Complaint, *, where: str, line_no: int | None = None, line_start: int = 0
    ) -> None:
        """Add a complaint about one line of a file; `line_start` is the offset of the line's first byte.

        That of an ignored rule is dropped.
        """
        if complaint.rule in self._choice.ignored:
            return
        if self._keeps(complaint.rule) and self._is_news(complaint):
            self.kept.append(
                finding_of(
                    complaint,
                    where=where,
                    line_no=line_no,
                    line_start=line_start,
                    choice=self._choice,
                    command=self._command,
                )
            )
        self.counts[complaint.rule] += 1
        if not self._keeps(complaint.rule):
            self.counted.add(complaint.rule)

    def report(self, *, line_count: int, byte_count: int) -> FileReport:
        """Return the report."""
        severities = {rule: self._choice.severity_of(rule) for rule in self.counts}
        return FileReport(
            findings=tuple(self.kept),
            counts=dict(self.counts),
            line_count=line_count,
            byte_count=byte_count,
            severities={rule: one for rule, one in severities.items() if one is not RULES[rule].severity},
        )
