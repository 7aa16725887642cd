"""Gathers what is counted and compared while files are validated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from bulk_upload.cli.dataset.output import put_survey, write_data_report
from bulk_upload.core.dataset.statistics import Statistics
from bulk_upload.core.report.comparison_findings import comparison_reports
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.validation.survey.digests import Spool
from bulk_upload.edge.validation.survey.secrets import SCAN_EXTRA, can_scan
from bulk_upload.edge.validation.survey.task import SurveyTask
from bulk_upload.edge.validation.survey.tokens import check_tokenizer
from bulk_upload.errors import UsageError
from bulk_upload.report.dataset.survey_result import SurveyResult
from bulk_upload.report.live.data_findings import GroupedFindings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from bulk_upload.cli.dataset.options import SurveyRequest
    from bulk_upload.cli.validate_request import ValidateRequest
    from bulk_upload.core.dataset.comparison import Comparison
    from bulk_upload.core.model import Entry
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.core.validation.rules import RuleChoice
    from bulk_upload.report.live.data_findings import Totals


class Survey:
    """The survey of one command.

    Args:
        request: what is wanted.
        choice: the rules that apply.
        opened: closes the temporary folder of what is compared.

    `findings` are those of validation and of the survey, for the page.
    """

    def __init__(self, request: SurveyRequest, choice: RuleChoice, opened: ExitStack) -> None:
        if request.tokenizer is not None:
            check_tokenizer(request.tokenizer)
        if request.scans_secrets and not can_scan():
            raise UsageError(
                "secrets cannot be looked for: the package detect-secrets is not installed",
                hint=f"pip install 'bulk-upload[{SCAN_EXTRA}]'",
            )
        self._request = request
        self._choice = choice
        self._spool = (
            opened.enter_context(Spool(has_groups=bool(request.groups.names))) if request.compares else None
        )
        self._statistics: dict[str, Statistics] = {}
        self._paths: list[str] = []
        self._purposes: list[str] = []
        self._groups: list[int] = []
        self._group_counts: dict[int, int] = {}
        self._comparison: Comparison | None = None
        self.findings = GroupedFindings()
        self.task = SurveyTask(
            counts=request.counts,
            digest_folder=None if self._spool is None else self._spool.folder,
            has_groups=bool(request.groups.names),
            tokenizer=request.tokenizer,
            max_tokens=request.max_tokens,
            scans_secrets=request.scans_secrets,
        )

    @property
    def is_in_processes(self) -> bool:
        """Whether small files, too, are to be read by other processes: a tokenizer starts threads of its own."""
        return self._request.tokenizer is not None

    async def take(self, entry: Entry, report: FileReport) -> None:
        """Take what was counted in one file. Raises UsageError."""
        facts = report.facts
        if facts is None:
            return
        if facts.statistics is not None:
            self._statistics.setdefault(entry.purpose, Statistics()).merge(facts.statistics)
        if self._spool is None:
            return
        file_no = len(self._paths)
        self._paths.append(entry.path)
        self._purposes.append(entry.purpose)
        group = self._request.groups.group_of(entry.path)
        self._groups.append(group)
        before = self._spool.example_count
        try:
            await anyio.to_thread.run_sync(self._spool.take, facts, file_no)
        except OSError as error:
            raise _no_room(self._spool, error) from None
        count = self._spool.example_count - before
        self._group_counts[group] = self._group_counts.get(group, 0) + count

    async def compare(self) -> Iterator[tuple[str, str, FileReport]]:
        """Compare the examples of all files; return path, purpose and findings of each that has some. Raises UsageError."""
        if self._spool is None:
            return iter(())
        names = self._request.groups.names
        found = set(self._groups)
        missing = [name for number, name in enumerate(names) if number not in found]
        if missing:
            raise UsageError(
                f"no file is in the group {printable(missing[0])}",
                hint="the pattern of --group is compared with paths as the manifest or the command line has them",
            )
        try:
            self._comparison = await anyio.to_thread.run_sync(self._spool.compare, self._groups.__getitem__)
        except OSError as error:
            raise _no_room(self._spool, error) from None
        reports = comparison_reports(
            self._comparison, self._paths, lambda file_no: names[self._groups[file_no]], self._choice
        )
        return ((self._paths[file_no], self._purposes[file_no], report) for file_no, report in reports)

    def show(self, request: ValidateRequest, totals: Totals) -> None:
        """Print what was found, after `compare`, and write the page. Raises UsageError."""
        result = self._result()
        if self._request.stats or self._request.groups.names:
            put_survey(result, has_statistics=self._request.stats, output_format=request.output_format)
        if self._request.report_file is not None:
            write_data_report(
                self._request.report_file,
                files=request.paths,
                findings=self.findings,
                totals=totals,
                result=result,
                private=request.private,
            )

    def _result(self) -> SurveyResult:
        return SurveyResult(
            statistics=self._statistics,
            max_tokens=self._request.max_tokens,
            comparison=self._comparison,
            compared_count=0 if self._spool is None else self._spool.example_count,
            paths=self._paths,
            group_names=self._request.groups.names,
            group_example_counts=self._group_counts,
        )


def _no_room(spool: Spool, error: OSError) -> UsageError:
    return UsageError(
        f"examples cannot be compared: {error.strerror} in {printable(spool.folder)}",
        hint="free some space, or set TMPDIR to a folder that has it: 24 bytes for each example",
    )
