"""Prints what a survey found, and writes its page."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bulk_upload.cli.output.json_output import put_json
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.output import replaced
from bulk_upload.errors import UsageError
from bulk_upload.report.dataset.lines import survey_lines
from bulk_upload.report.dataset.objects import survey_objects
from bulk_upload.report.dataset.page import write_data_page
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from bulk_upload.report.dataset.survey_result import SurveyResult
    from bulk_upload.report.live.data_findings import GroupedFindings, Totals


def put_survey(result: SurveyResult, *, has_statistics: bool, output_format: str) -> None:
    """Print what was found on standard output; the statistics of purposes only where they are wanted.

    SARIF holds findings alone.
    """
    if output_format == "sarif":
        return
    if not has_statistics:
        result = replace(result, statistics={})
    if output_format == "json":
        for one in survey_objects(result):
            put_json(one)
        return
    for line in survey_lines(result):
        put(f"{line}\n")


def write_data_report(
    path: str,
    *,
    files: tuple[str, ...],
    findings: GroupedFindings,
    totals: Totals,
    result: SurveyResult,
    private: bool,
) -> None:
    """Write the page. Raises UsageError where it cannot be written."""
    try:
        with replaced(path, private=private) as stream:
            write_data_page(
                stream,
                what=", ".join(map(printable, files)),
                made_utc=utc_text(time.time())[:19].replace("T", " ") + " UTC",
                version=__version__,
                totals=totals,
                findings=findings.by_rule(),
                result=result,
            )
    except OSError as error:
        raise UsageError(
            f"cannot write {printable(path)}: {error.strerror}", hint="choose another file with --report"
        ) from None
    tell(f"Report: {printable(path)}")
