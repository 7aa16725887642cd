"""The formats of findings, by the names that `--format` has for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bulk_upload.report.findings.github import GithubFindings
from bulk_upload.report.findings.sarif import SarifFindings
from bulk_upload.report.live.data_findings import GroupedFindings, json_line, json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.report import FileReport


class FindingsFormat(Protocol):
    """Writes findings as they come, or at the end."""

    def add(self, path: str, purpose: str, report: FileReport) -> Iterable[str]:
        """Take the findings of one file; return the lines that can be written now."""

    def add_one(self, finding: Finding) -> Iterable[str]:
        """Take a finding about a manifest, or about a file that cannot be validated."""

    def end(self) -> Iterable[str]:
        """Return the lines that are written when all findings were taken."""


class _Text:
    """By rule, for people."""

    def __init__(self, name_of: Callable[[str], str], version: str) -> None:
        del name_of, version
        self._grouped = GroupedFindings()

    def add(self, path: str, purpose: str, report: FileReport) -> Iterable[str]:
        del purpose
        self._grouped.add(path, report)
        return ()

    def add_one(self, finding: Finding) -> Iterable[str]:
        self._grouped.add_one(finding)
        return ()

    def end(self) -> Iterable[str]:
        return self._grouped.lines()


class _Json:
    """One object a line."""

    def __init__(self, name_of: Callable[[str], str], version: str) -> None:
        del name_of, version

    def add(self, path: str, purpose: str, report: FileReport) -> Iterable[str]:
        return json_lines(path, purpose, report) if report.counts else ()

    def add_one(self, finding: Finding) -> Iterable[str]:
        return (json_line(finding),)

    def end(self) -> Iterable[str]:
        return ()


FORMATS: Mapping[str, Callable[[Callable[[str], str], str], FindingsFormat]] = {
    "text": _Text,
    "json": _Json,
    "github": GithubFindings,
    "sarif": SarifFindings,
}
"""Each is made with a function that returns what a file is called from the current folder, and the program's version."""
