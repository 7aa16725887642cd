"""Findings about data in the formats of those who read them: people, programs, GitHub, code scanners."""

from bulk_upload.report.findings.formats import FORMATS, FindingsFormat
from bulk_upload.report.findings.github import GithubFindings
from bulk_upload.report.findings.sarif import SarifFindings

__all__ = ["FORMATS", "FindingsFormat", "GithubFindings", "SarifFindings"]
