"""Validation findings as lines: for people, or one JSON object for each finding."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.text.printable import human_bytes, printable
from bulk_upload.core.validation.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.report import FileReport

SHOWN_PER_FILE_MAX = 20
"""A person fixes the first few and runs the command again; `--format json` has all that were kept."""

JSON_KEYS = {
    "file": "the file, or the manifest",
    "line": "the line, counted from 1; null if the finding is about the whole file",
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
"""The keys of `--format json`, and what they mean."""


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

    def __str__(self) -> str:
        counted = f"{_many(self.file_count, 'file')}, {_many(self.line_count, 'line')}, {human_bytes(self.byte_count)}"
        found = f"{_many(self.error_count, 'error')}, {_many(self.warning_count, 'warning')}"
        invalid = f" in {_many(self.invalid_count, 'invalid file')}" if self.invalid_count else ""
        return f"{counted}: {found}{invalid}"


def people_lines(path: str, purpose: str | None, report: FileReport) -> Iterator[str]:
    """Return the lines about one file; none where nothing was found."""
    if not report.counts:
        return
    counts = Counter({one: report.count(one) for one in Severity})
    told = ", ".join(_many(counts[one], one.value) for one in Severity if counts[one])
    yield f"{printable(path)}{'' if purpose is None else f' ({printable(purpose)})'}: {told}"
    # Findings that keep the file from being sent come first.
    ordered = sorted(report.findings, key=lambda one: list(Severity).index(one.severity))
    shown = ordered[:SHOWN_PER_FILE_MAX]
    remedy = ""
    for index, one in enumerate(shown):
        yield f"  {one.severity:<7}  {_place(one)}{printable(one.found)} ({one.rule})"
        remedy = one.remedy
        if index + 1 == len(shown) or shown[index + 1].remedy != remedy:
            yield f"           -> {printable(remedy)}"
    rest = Counter(report.counts)
    rest.subtract(Counter(one.rule for one in shown))
    left = {rule: count for rule, count in rest.items() if count > 0}
    if left:
        listed = ", ".join(f"{count:,} {rule}" for rule, count in sorted(left.items()))
        yield f"  and {sum(left.values()):,} more: {listed}"


def json_lines(path: str, purpose: str | None, report: FileReport) -> Iterator[str]:
    """Return a JSON object for each finding, and one for the rest of each rule that was only counted."""
    for one in report.findings:
        yield _json(path, purpose, one)
    for rule, count in report.left_out().items():
        line = {
            **dict.fromkeys(JSON_KEYS),
            "file": printable(path),
            "rule": rule,
            "severity": RULES[rule].severity,
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
    parts = [] if one.line_no is None else [f"line {one.line_no:,}"]
    if one.place is not None:
        parts.append(printable(one.place))
    return f"{', '.join(parts)}: " if parts else ""


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
