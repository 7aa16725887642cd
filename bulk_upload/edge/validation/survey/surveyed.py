"""Validates and surveys a file of lines in one reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.checker import Checker
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.survey.surveyor import Surveyor


class SurveyedChecker:
    """A checker and a surveyor of the same file, with the methods of a checker."""

    def __init__(self, checker: Checker, surveyor: Surveyor) -> None:
        self._checker = checker
        self._surveyor = surveyor

    def feed(self, data: bytes) -> list[Finding]:
        """Take the next bytes; return new findings of validation."""
        self._surveyor.feed(data)
        return self._checker.feed(data)

    def finish(self) -> list[Finding]:
        """Finish the file; return new findings of validation. Raises OSError where hashes cannot be kept."""
        self._surveyor.finish()
        return self._checker.finish()

    def report(self) -> FileReport:
        """Return all findings, and what was counted."""
        return self._surveyor.added_to(self._checker.report())
