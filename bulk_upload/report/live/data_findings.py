"""Validation findings as lines: by rule for people, or one JSON object for each finding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.report.findings_by_rule import FindingsByRule
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.validation.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.report.findings_by_rule import RuleTotals
    from bulk_upload.core.validation.report import FileReport

EXAMPLES_MAX = 10
"""A person fixes the first few of a rule and runs the command again; `--json` has all that were kept."""

JSON_KEYS = {
    "file": "the file, or the manifest",
    "line": "the line, or the row of a Parquet file, counted from 1; null if the finding is about the whole file",
    "column": "the character of the line, counted from 1, or null",
    "path": "where in the line: a JSON path (`$.messages[2].role`) or a column, or null",
    "byte_offset": "the byte of the file, counted from 0, or null",
    "rule": "the rule's id, see above",
    "severity": "`error`, `warning` or `note`",
    "found": "what was found",
    "remedy": "what to do about it",
    "purpose": "the purpose the file was checked for, or null",
    "count": "how many findings the object stands for: 1, or the number counted and not listed",
}
"""The keys of `--json`, and what they mean."""


class Totals(msgspec.Struct):
    """The totals of a whole validation."""

    file_count: int = 0
    line_count: int = 0
    byte_count: int = 0
    error_count: int = 0
    warning_count: int = 0
    invalid_count: int = 0

    def add(self, report: FileReport) -> None:
        """Count one file."""
        self.file_count += 1
        self.line_count += report.line_count
        self.byte_count += report.byte_count
        self.error_count += report.error_count
        self.warning_count += report.count(Severity.WARNING)
        self.invalid_count += not report.is_valid

    def add_findings(self, report: FileReport) -> None:
        """Count more findings about a file that was counted."""
        self.error_count += report.error_count
        self.warning_count += report.count(Severity.WARNING)

    def __str__(self) -> str:
        counted = f"{_many(self.file_count, 'file')}, {_many(self.line_count, 'line')}, {human_bytes(self.byte_count)}"
        found = f"{_many(self.error_count, 'error')}, {_many(self.warning_count, 'warning')}"
        invalid = f" in {_many(self.invalid_count, 'invalid file')}" if self.invalid_count else ""
        return f"{counted}: {found}{invalid}"


class GroupedFindings:
    """Findings by rule for a person, with a few examples of each. It does not grow with the number of files."""

    def __init__(self) -> None:
        self._by_rule = FindingsByRule()
        self._examples: dict[str, list[Finding]] = {}

    def add(self, path: str, report: FileReport) -> None:
        """Add the findings of one file."""
        self._by_rule.add_report(path, report)
        for one in report.findings:
            self._keep(one)

    def add_one(self, finding: Finding) -> None:
        """Add a finding about a manifest, or about a file that cannot be validated."""
        self._by_rule.add_one(finding)
        self._keep(finding)

    def lines(self) -> Iterator[str]:
        """Return the lines about each rule: how often and where first, then examples and what to do about them."""
        for totals in self._by_rule.totals():
            yield f"{totals.severity}: {totals}"
            examples = self._examples[totals.rule]
            for index, one in enumerate(examples):
                yield f"  {_place(one)}: {printable(one.found)}"
                if index + 1 == len(examples) or examples[index + 1].remedy != one.remedy:
                    yield f"    -> {printable(one.remedy)}"
            if totals.finding_count > len(examples):
                yield f"  and {totals.finding_count - len(examples):,} more; --json lists findings one by one"

    def by_rule(self) -> list[tuple[RuleTotals, list[Finding]]]:
        """Return the totals of each rule, and examples of its findings."""
        return [(totals, self._examples[totals.rule]) for totals in self._by_rule.totals()]

    def _keep(self, finding: Finding) -> None:
        examples = self._examples.setdefault(finding.rule, [])
        if len(examples) < EXAMPLES_MAX:
            examples.append(finding)


def json_lines(path: str, purpose: str | None, report: FileReport) -> Iterator[str]:
    """Return a JSON object for each finding, and one for the rest of each rule that was only counted."""
    for one in report.findings:
        yield _json(path, purpose, one)
    for rule, count in report.left_out().items():
        line = {
            **dict.fromkeys(JSON_KEYS),
            "file": printable(path),
            "rule": rule,
            "severity": report.severity_of(rule),
            "found": f"{count} more findings of this rule were counted, not listed",
            "remedy": RULES[rule].remedy,
            "purpose": purpose,
            "count": count,
        }
        yield json.dumps(line)


def json_line(finding: Finding) -> str:
    """Return a JSON object for a finding about a manifest."""
    return _json(finding.where, None, finding)


def _json(path: str, purpose: str | None, one: Finding) -> str:
    return json.dumps(
        {
            "file": printable(path),
            "line": one.line_no,
            "column": one.column,
            "path": one.place,
            "byte_offset": one.byte_offset,
            "rule": one.rule,
            "severity": one.severity,
            "found": one.found,
            "remedy": one.remedy,
            "purpose": purpose,
            "count": 1,
        }
    )


def _place(one: Finding) -> str:
    where = printable(one.where) + ("" if one.line_no is None else f":{one.line_no}")
    return where if one.place is None else f"{where} [{printable(one.place)}]"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
