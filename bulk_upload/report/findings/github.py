"""Findings as annotations of GitHub Actions: workflow commands, `::error file=a.jsonl,line=3::message`.

The escapes are those of the toolkit (actions/toolkit, packages/core/src/command.ts). GitHub shows at most ten annotations
of each kind for one step, so that each rule gets one before any gets a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.finding import Severity
from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.report.findings_by_rule import FindingsByRule
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.report.findings_by_rule import RuleTotals
    from bulk_upload.core.validation.report import FileReport

ANNOTATIONS_MAX = 10
"""Of one kind: docs.github.com/en/rest/checks, and actions/runner, which drops the rest."""

_KINDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_IN_MESSAGES = (("%", "%25"), ("\r", "%0D"), ("\n", "%0A"))
_IN_PROPERTIES = (*_IN_MESSAGES, (":", "%3A"), (",", "%2C"))
_ROWS = ".parquet"
"""Files whose findings count rows, not lines."""


class GithubFindings:
    """Annotations by rule. It does not grow with the number of files.

    Args:
        name_of: returns what a file is called from the current folder, which is the repository's.
        version: the program's; annotations do not name it.
    """

    def __init__(self, name_of: Callable[[str], str], version: str = "") -> None:
        del version
        self._name_of = name_of
        self._by_rule = FindingsByRule()
        self._examples: dict[str, list[tuple[str, Finding]]] = {}

    def add(self, path: str, purpose: str, report: FileReport) -> Iterable[str]:
        """Take the findings of one file."""
        del purpose
        self._by_rule.add_report(path, report)
        for one in report.findings:
            self._keep(self._name_of(path), one)
        return ()

    def add_one(self, finding: Finding) -> Iterable[str]:
        """Take a finding about a manifest, or about a file that cannot be validated."""
        self._by_rule.add_one(finding)
        self._keep(finding.where, finding)
        return ()

    def end(self) -> Iterator[str]:
        """Return the annotations, and what they leave out as plain lines of the log."""
        for severity, kind in _KINDS.items():
            rules = self._by_rule.totals(severity)
            shown = self._shown(rules)
            for totals in rules:
                for index, (file, one) in enumerate(self._examples[totals.rule][: shown[totals.rule]]):
                    yield _command(kind, file, one, about=str(totals) if index == 0 else "")
            for totals in rules:
                left = totals.finding_count - shown[totals.rule]
                if left:
                    yield f"{totals.rule}: {left:,} more; --json lists findings one by one"

    def _shown(self, rules: Sequence[RuleTotals]) -> dict[str, int]:
        """Return how many annotations each rule gets."""
        shown = {one.rule: 0 for one in rules}
        turns = [
            rule for turn in range(ANNOTATIONS_MAX) for rule in shown if turn < len(self._examples[rule])
        ]
        for rule in turns[:ANNOTATIONS_MAX]:
            shown[rule] += 1
        return shown

    def _keep(self, file: str, finding: Finding) -> None:
        examples = self._examples.setdefault(finding.rule, [])
        if len(examples) < ANNOTATIONS_MAX:
            examples.append((file, finding))


def _command(kind: str, file: str, one: Finding, *, about: str) -> str:
    place = [] if one.place is None else [one.place]
    properties = {"title": one.rule, "file": file}
    if one.line_no is not None and suffix_of(file) == _ROWS:
        place.insert(0, f"row {one.line_no:,}")
    elif one.line_no is not None:
        properties["line"] = str(one.line_no)
        if one.column is not None:
            properties["col"] = str(one.column)
    found = f"{', '.join(place)}: {one.found}" if place else one.found
    lines = [found, one.remedy, *([about] if about else [])]
    listed = ",".join(
        f"{name}={_escaped(printable(value), _IN_PROPERTIES)}" for name, value in properties.items()
    )
    return f"::{kind} {listed}::{_escaped(chr(10).join(map(printable, lines)), _IN_MESSAGES)}"


def _escaped(text: str, escapes: Iterable[tuple[str, str]]) -> str:
    for character, escape in escapes:
        text = text.replace(character, escape)
    return text
