"""Findings by rule: how often each was found, in how many files, and where first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH, RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.report import FileReport


class RuleTotals(msgspec.Struct, kw_only=True):
    """The findings of one rule: `line_count` are the lines of all files that have one, where files have lines."""

    rule: str
    severity: Severity
    first_path: str
    first_line_no: int | None
    finding_count: int = 0
    file_count: int = 0
    line_count: int = 0

    def __str__(self) -> str:
        first = printable(self.first_path)
        if self.first_line_no is not None:
            first += f":{self.first_line_no}"
        files = _many(self.file_count, "file")
        rule = RULES.get(self.rule)
        is_of_files = rule is not None and rule.once and self.finding_count == self.file_count
        if self.first_line_no is None or is_of_files:
            return f"{self.rule} in {files}, first {first}"
        if self.finding_count > self.line_count > 0:
            return f"{self.rule} {_many(self.finding_count, 'time')} in {files}, first in {first}"
        lines = _many(self.finding_count, "line")
        if self.line_count:
            lines = f"{self.finding_count:,} of {_many(self.line_count, 'line')} in {files}"
        return f"{self.rule} on {lines}, first in {first}"


class FindingsByRule(msgspec.Struct):
    """Counts findings by rule. A few objects, whatever the number of files."""

    by_rule: dict[str, RuleTotals] = msgspec.field(default_factory=dict)

    def add(
        self,
        path: str,
        *,
        line_count: int,
        counts: Mapping[str, int],
        first_lines: Mapping[str, int],
        severities: Mapping[str, Severity] | None = None,
    ) -> None:
        """Count the findings of one file: their number by rule, and the line of the first of each rule that has one.

        `severities` are those that differ from the usual ones.
        """
        for rule, count in counts.items():
            severity = (severities or {}).get(rule, RULES[rule].severity)
            totals = self._totals_of(rule, severity, path, first_lines.get(rule))
            totals.finding_count += count
            totals.file_count += 1
            totals.line_count += line_count

    def add_report(self, path: str, report: FileReport) -> None:
        """Count the findings of one file that was validated."""
        self.add(
            path,
            line_count=report.line_count,
            counts=report.counts,
            first_lines=report.first_lines(),
            severities=report.severities,
        )

    def add_one(self, finding: Finding) -> None:
        """Count a finding about a manifest, or about a file that cannot be validated."""
        totals = self._totals_of(finding.rule, finding.severity, finding.where, finding.line_no)
        totals.finding_count += 1
        totals.file_count += 1

    def _totals_of(self, rule: str, severity: Severity, path: str, line_no: int | None) -> RuleTotals:
        totals = self.by_rule.get(rule)
        if totals is None:
            totals = self.by_rule[rule] = RuleTotals(
                rule=rule, severity=severity, first_path=path, first_line_no=line_no
            )
        return totals

    def get(self, rule: str) -> RuleTotals | None:
        """Return the totals of one rule, None where nothing was found by it."""
        return self.by_rule.get(rule)

    def totals(self, *severities: Severity) -> list[RuleTotals]:
        """Return the totals of all rules of these severities, or of any: a purpose mix-up, errors, what is frequent first."""
        order = list(Severity)
        chosen = [one for one in self.by_rule.values() if not severities or one.severity in severities]
        return sorted(
            chosen,
            key=lambda one: (one.rule != PURPOSE_MISMATCH, order.index(one.severity), -one.finding_count),
        )


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
