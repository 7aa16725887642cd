"""Findings as SARIF 2.1.0, the format of code scanners: docs.oasis-open.org/sarif/sarif/v2.1.0.

One document, written as the findings come: the rules follow the results, when it is known which there were.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bulk_upload.core.finding import Severity
from bulk_upload.core.purposes import suffix_of
from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.report import FileReport

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_BASE = "%SRCROOT%"
"""The current folder, by the name that GitHub's code scanning has for the root of a repository."""
_ROWS = ".parquet"


class SarifFindings:
    """A SARIF log with one run. Only the names of rules are kept.

    Args:
        name_of: returns what a file is called from the current folder.
        version: the program's.
    """

    def __init__(self, name_of: Callable[[str], str], version: str) -> None:
        self._name_of = name_of
        self._version = version
        self._rules: dict[str, Severity] = {}
        self._is_begun = False

    def add(self, path: str, purpose: str, report: FileReport) -> Iterator[str]:
        """Take the findings of one file."""
        file = self._name_of(path)
        for one in report.findings:
            yield self._line(_result(one, file, purpose))
            self._rules[one.rule] = one.severity
        for rule, count in report.left_out().items():
            words = f"{count:,} more findings of this rule were counted, not listed. {RULES[rule].remedy}"
            yield self._line(
                {
                    "ruleId": rule,
                    "level": _LEVELS[report.severity_of(rule)],
                    "message": {"text": words},
                    "occurrenceCount": count,
                    "locations": [{"physicalLocation": {"artifactLocation": _artifact(file)}}],
                    "properties": {"purpose": purpose},
                }
            )

    def add_one(self, finding: Finding) -> Iterator[str]:
        """Take a finding about a manifest, or about a file that cannot be validated."""
        yield self._line(_result(finding, finding.where, None))
        self._rules[finding.rule] = finding.severity

    def end(self) -> Iterator[str]:
        """Return the end of the document."""
        driver = {
            "name": "bulk-upload",
            "version": self._version,
            "rules": [_rule(rule, severity) for rule, severity in self._rules.items()],
        }
        if not self._is_begun:
            yield self._beginning()
        yield f'],"columnKind":"unicodeCodePoints","tool":{json.dumps({"driver": driver})}}}]}}'

    def _line(self, result: dict[str, Any]) -> str:
        before = "," if self._is_begun else f"{self._beginning()}\n"
        self._is_begun = True
        return f"{before}{json.dumps(result)}"

    @staticmethod
    def _beginning() -> str:
        return f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":[{{"results":['


def _result(one: Finding, file: str, purpose: str | None) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": _artifact(file)}
    words = f"{one.found}. {one.remedy}"
    if one.line_no is not None and suffix_of(file) == _ROWS:
        words = f"Row {one.line_no:,}: {words}"
    elif one.line_no is not None:
        physical["region"] = {
            "startLine": one.line_no,
            **({} if one.column is None else {"startColumn": one.column}),
        }
    properties = {"path": one.place, "purpose": purpose, "remedy": printable(one.remedy)}
    return {
        "ruleId": one.rule,
        "level": _LEVELS[one.severity],
        "message": {"text": printable(words)},
        "locations": [{"physicalLocation": physical}],
        "properties": {name: value for name, value in properties.items() if value is not None},
    }


def _artifact(file: str) -> dict[str, str]:
    if os.path.isabs(file):
        return {"uri": f"file://{_encoded(file)}"}
    # A colon in the first part would be taken for the end of a scheme; it is encoded everywhere.
    return {"uri": _encoded(file.removeprefix("./")), "uriBaseId": _BASE}


def _encoded(path: str) -> str:
    # By bytes: a name need not be UTF-8.
    return quote(os.fsencode(path), safe="/")


def _rule(name: str, severity: Severity) -> dict[str, Any]:
    known = RULES.get(name)
    if known is None:
        return {"id": name, "defaultConfiguration": {"level": _LEVELS[severity]}}
    meaning = known.meaning[:1].upper() + known.meaning[1:]
    return {
        "id": name,
        "shortDescription": {"text": f"{meaning}."},
        "help": {
            "text": f"{meaning}. {known.remedy}.",
            "markdown": f"{meaning}.\n\n**Remedy**: {known.remedy}.",
        },
        "defaultConfiguration": {"level": _LEVELS[known.severity]},
    }
