"""Reads one file in the way that fits its type. Everything blocks."""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from bulk_upload.core.purposes import Format, Purpose, suffix_of
from bulk_upload.core.shapes.command import ConvertCommand  # noqa: TC001 - tasks travel between processes
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.file_types import HEAD_BYTES, document_complaint
from bulk_upload.core.validation.line_splitter import PIECE_BYTES
from bulk_upload.core.validation.opening.documents import TAIL_BYTES, content_complaint
from bulk_upload.core.validation.report import FileReport, Findings
from bulk_upload.core.validation.rules import ALL_RULES, PURPOSE_MISMATCH, Complaint, RuleChoice
from bulk_upload.edge.validation.packed import MAGIC_BYTES, is_packed, unpacked
from bulk_upload.edge.validation.survey.task import SurveyTask  # noqa: TC001 - as ConvertCommand
from bulk_upload.edge.validation.tables import check_parquet, parquet_rows
from bulk_upload.edge.validation.torch_archive import torch_file_complaint

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from bulk_upload.edge.validation.survey.surveyed import SurveyedChecker
    from bulk_upload.edge.validation.survey.surveyor import Surveyor

READ_BYTES = PIECE_BYTES
"""Buffers that a checker accepts without a copy."""


class CheckTask(msgspec.Struct, frozen=True, kw_only=True):
    """What to check a file for. `path` is what findings call it, and its suffix says how to read it.

    `known` are the purposes whose lines a file may look like, `choice` the rules that apply; `command` converts the file.
    `survey` is what is wanted of its examples beside findings.
    """

    path: str
    purpose: Purpose
    known: tuple[Purpose, ...]
    thorough: bool = False
    choice: RuleChoice = ALL_RULES
    command: ConvertCommand | None = None
    survey: SurveyTask | None = None


def check_file(
    descriptor: int, task: CheckTask, *, on_bytes: Callable[[int], None] | None = None
) -> FileReport:
    """Check an open file from its current offset, and return its report.

    `on_bytes` is called with how many more bytes were read. Nothing of a file is ever unpickled or run. Raises
    OSError when the file cannot be read.
    """
    kind = task.purpose.format_of(task.path)
    findings = about_the_name(task)
    byte_count = os.fstat(descriptor).st_size
    if kind is Format.JSON_LINES:
        if byte_count and is_packed(head := os.pread(descriptor, MAGIC_BYTES, 0)):
            with os.fdopen(os.dup(descriptor), "rb") as file:
                return _check_packed(file, head, task, findings, byte_count=byte_count, on_bytes=on_bytes)
        return merged(findings, _check_lines(descriptor, task, on_bytes))
    if kind is Format.PARQUET and byte_count:
        # No conversion reads it: remedies name none.
        task = replace(task, command=None)
        return _check_parquet(descriptor, byte_count, task, about_the_name(task), on_bytes)
    for complaint in _whole_file_complaints(descriptor, byte_count, kind, task):
        _add(findings, task, complaint)
    return findings.report(line_count=0, byte_count=byte_count)


def check_content(content: bytes, task: CheckTask) -> FileReport:
    """Check a file that was read whole, and return its report. Not for Parquet."""
    kind = task.purpose.format_of(task.path)
    findings = about_the_name(task)
    if kind is Format.JSON_LINES:
        if is_packed(content):
            return _check_packed(io.BytesIO(content), content, task, findings, byte_count=len(content))
        checker = checker_of(task)
        checker.feed(content)
        checker.finish()
        return merged(findings, checker.report())
    complaints = (
        _document_complaints(content[:HEAD_BYTES], content[-TAIL_BYTES:], io.BytesIO(content), kind, task)
        if content
        else [_no_content(kind)]
    )
    for complaint in complaints:
        _add(findings, task, complaint)
    return findings.report(line_count=0, byte_count=len(content))


def check_open(file: IO[bytes], head: bytes, task: CheckTask) -> FileReport:
    """Check lines, packed or not, that are read to their end and have no name. `head` are their first bytes."""
    findings = Findings(task.choice, command=task.command)
    if is_packed(head):
        return _check_packed(file, head, task, findings, byte_count=0)
    checker = checker_of(task)
    while piece := file.read(READ_BYTES):
        checker.feed(piece)
    checker.finish()
    return checker.report()


def about_the_name(task: CheckTask) -> Findings:
    """Return what a file's name says against it."""
    findings = Findings(task.choice, command=task.command)
    if not task.purpose.expects(task.path) and task.purpose.schema.is_known:
        suffix = suffix_of(task.path) or "no suffix"
        usual = ", ".join((*task.purpose.suffixes, *task.purpose.documents))
        found = f"files for {task.purpose.name} usually end in {usual}, this one has {suffix}"
        _add(findings, task, Complaint("unusual-suffix", found))
    return findings


def checker_of(task: CheckTask) -> Checker | SurveyedChecker:
    """Return what checks lines as they come."""
    checker = Checker(
        task.purpose,
        where=task.path,
        thorough=task.thorough,
        known=task.known,
        choice=task.choice,
        command=task.command,
    )
    if task.survey is None:
        return checker
    from bulk_upload.edge.validation.survey.surveyed import SurveyedChecker  # noqa: PLC0415 - seldom wanted

    surveyor = _surveyor(task, task.survey)
    return SurveyedChecker(checker, surveyor)


def _surveyor(task: CheckTask, survey: SurveyTask) -> Surveyor:
    from bulk_upload.edge.validation.survey.surveyor import Surveyor  # noqa: PLC0415 - as above

    return Surveyor(survey, task.purpose, path=task.path, findings=Findings(task.choice))


def _check_lines(descriptor: int, task: CheckTask, on_bytes: Callable[[int], None] | None) -> FileReport:
    checker = checker_of(task)
    status = os.fstat(descriptor)
    # Reading must end even if the file is written to all the time.
    left = status.st_size if stat.S_ISREG(status.st_mode) else sys.maxsize
    while piece := os.read(descriptor, min(left, READ_BYTES)):
        left -= len(piece)
        checker.feed(piece)
        if on_bytes is not None:
            on_bytes(len(piece))
    checker.finish()
    return checker.report()


def _check_packed(
    file: IO[bytes],
    head: bytes,
    task: CheckTask,
    findings: Findings,
    *,
    byte_count: int,
    on_bytes: Callable[[int], None] | None = None,
) -> FileReport:
    """Check the lines in a compressed file; places in findings are those of its content."""
    checker = checker_of(task)
    is_read = False
    for piece in unpacked(file, head):
        if isinstance(piece, Complaint):
            _add(findings, task, piece)
            continue
        is_read = True
        checker.feed(piece)
        if on_bytes is not None:
            # Says that the check goes on; how many packed bytes a piece took is not known.
            on_bytes(0)
    if not is_read:
        return findings.report(line_count=0, byte_count=byte_count)
    checker.finish()
    return replace(merged(findings, checker.report()), byte_count=byte_count)


def _whole_file_complaints(
    descriptor: int, byte_count: int, kind: Format, task: CheckTask
) -> list[Complaint]:
    if not byte_count:
        return [_no_content(kind)]
    head = os.pread(descriptor, HEAD_BYTES, 0)
    tail = os.pread(descriptor, TAIL_BYTES, max(0, byte_count - TAIL_BYTES))
    with os.fdopen(os.dup(descriptor), "rb") as file:
        return _document_complaints(head, tail, file, kind, task)


def _document_complaints(
    head: bytes, tail: bytes, file: IO[bytes], kind: Format, task: CheckTask
) -> list[Complaint]:
    if kind is Format.TORCH:
        return [torch_file_complaint(head, file)]
    complaint = document_complaint(task.path, head) or content_complaint(task.path, head, tail)
    return [] if complaint is None else [complaint]


def _no_content(kind: Format) -> Complaint:
    # The service may accept an empty document; a file of examples must have at least one.
    return Complaint("empty-document" if kind is Format.DOCUMENT else "empty-file", "the file is empty")


def _check_parquet(
    descriptor: int,
    byte_count: int,
    task: CheckTask,
    findings: Findings,
    on_bytes: Callable[[int], None] | None,
) -> FileReport:
    row_count = 0

    def on_rows(count: int) -> None:
        nonlocal row_count
        row_count += count
        if on_bytes is not None:
            # Says that the check goes on; how many bytes rows took is not known.
            on_bytes(0)

    complaints = check_parquet(
        descriptor,
        task.purpose,
        head=os.pread(descriptor, HEAD_BYTES, 0),
        byte_count=byte_count,
        known=_known_unless_ignored(task),
        on_rows=on_rows,
    )
    for row_no, complaint in complaints:
        if not findings.counts_only(complaint.rule):
            findings.add(complaint, where=task.path, line_no=row_no)
    report = findings.report(line_count=row_count, byte_count=byte_count)
    if task.survey is None:
        return report
    return _with_rows_surveyed(report, descriptor, task, task.survey, on_bytes)


def _with_rows_surveyed(
    report: FileReport,
    descriptor: int,
    task: CheckTask,
    survey: SurveyTask,
    on_bytes: Callable[[int], None] | None,
) -> FileReport:
    """Return a report with what was counted in the rows, which are read once more: as values, not by columns."""
    surveyor = _surveyor(task, survey)
    for rows in parquet_rows(descriptor):
        surveyor.take_rows(rows)
        if on_bytes is not None:
            on_bytes(0)
    surveyor.finish()
    return surveyor.added_to(report)


def _known_unless_ignored(task: CheckTask) -> tuple[Purpose, ...]:
    return () if PURPOSE_MISMATCH in task.choice.ignored else task.known


def _add(findings: Findings, task: CheckTask, complaint: Complaint) -> None:
    findings.add(complaint, where=task.path)


def merged(first: Findings, then: FileReport) -> FileReport:
    """Return a report with what was found before."""
    if not first.kept:
        return then
    return FileReport(
        findings=(*first.kept, *then.findings),
        counts={**first.counts, **then.counts},
        severities={**first.report(line_count=0, byte_count=0).severities, **then.severities},
        line_count=then.line_count,
        byte_count=then.byte_count,
        facts=then.facts,
    )
