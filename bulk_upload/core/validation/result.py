"""The validation result of one version of a file: enough to decide by, and to store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.shapes.command import FIX, PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.validation.report import FileReport

FINDINGS_KEPT_MAX = 100
"""A ledger keeps this many findings of a file; `bulk-upload validate` shows more."""


class ValidationResult(msgspec.Struct, frozen=True, kw_only=True):
    """The result for the version of a file that `fingerprint` identifies, by the rules that `rules` identifies.

    `reason` says why the file is invalid. `counts` and `first_lines` are those of the report. A result from the ledger has
    neither them nor findings.
    """

    fingerprint: Fingerprint
    rules: str
    line_count: int
    error_count: int
    warning_count: int
    reason: str | None = None
    counts: Mapping[str, int] = msgspec.field(default_factory=dict)
    first_lines: Mapping[str, int] = msgspec.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    @property
    def convert(self) -> tuple[str, ...] | None:
        """The options with which `bulk-upload convert FILE` puts all errors right; None where some error needs a person.

        So it is too where a rule has errors of which no finding is kept.
        """
        errors = [one for one in self.findings if one.severity is Severity.ERROR]
        known_count = sum(self.counts.get(rule, 0) for rule in {one.rule for one in errors})
        if not errors or known_count != self.error_count:
            return None
        options = {one.convert for one in errors}
        if len(options) > 1 and options <= {PLAIN, FIX}:
            return FIX
        return options.pop() if len(options) == 1 else None

    @property
    def is_valid(self) -> bool:
        """Whether the file may be sent."""
        return not self.error_count


def validation_result(report: FileReport, fingerprint: Fingerprint, rules: str) -> ValidationResult:
    """Return the result of a report."""
    return ValidationResult(
        fingerprint=fingerprint,
        rules=rules,
        line_count=report.line_count,
        error_count=report.error_count,
        warning_count=report.count(Severity.WARNING),
        reason=report.reason(Severity.ERROR),
        counts=report.counts,
        first_lines=report.first_lines(),
        findings=report.findings[:FINDINGS_KEPT_MAX],
    )
