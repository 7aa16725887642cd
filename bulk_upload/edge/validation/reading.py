"""Reads one file in the way that fits its type. Everything blocks."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.machine.read_errors import is_transient
from bulk_upload.core.purposes import Format, Purpose, suffix_of
from bulk_upload.core.shapes.command import ConvertCommand  # noqa: TC001 - tasks travel between processes
from bulk_upload.core.validation.checker import Checker
from bulk_upload.core.validation.file_types import HEAD_BYTES, document_complaint, torch_complaint
from bulk_upload.core.validation.line_splitter import PIECE_BYTES
from bulk_upload.core.validation.mixup.sample import RULE as PURPOSE_MISMATCH
from bulk_upload.core.validation.parquet import TAIL_BYTES, ends_complaint, footer_complaints
from bulk_upload.core.validation.report import FileReport, Findings
from bulk_upload.core.validation.rules import ALL_RULES, Complaint, RuleChoice

if TYPE_CHECKING:
    from collections.abc import Callable

READ_BYTES = PIECE_BYTES
"""Buffers that a checker accepts without a copy."""


class CheckTask(msgspec.Struct, frozen=True, kw_only=True):
    """What to check a file for. `path` is what findings call it, and its suffix says how to read it.

    `known` are the purposes whose lines a file may look like, `choice` the rules that apply; `command` converts the file.
    """

    path: str
    purpose: Purpose
    known: tuple[Purpose, ...]
    thorough: bool = False
    choice: RuleChoice = ALL_RULES
    command: ConvertCommand | None = None


def check_file(
    descriptor: int, task: CheckTask, *, on_bytes: Callable[[int], None] | None = None
) -> FileReport:
    """Check an open file from its current offset, and return its report.

    `on_bytes` is called with how many more bytes were read. Nothing of a file is ever unpickled or run. Raises
    OSError when the file cannot be read.
    """
    kind = task.purpose.format_of(task.path)
    findings = _about_the_name(task)
    if kind is Format.JSON_LINES:
        return _merged(findings, _check_lines(descriptor, task, on_bytes))
    byte_count = os.fstat(descriptor).st_size
    for complaint in _whole_file_complaints(descriptor, byte_count, kind, task):
        _add(findings, task, complaint)
    return findings.report(line_count=0, byte_count=byte_count)


def check_content(content: bytes, task: CheckTask) -> FileReport:
    """Check a file that was read whole, and return its report. Not for Parquet."""
    kind = task.purpose.format_of(task.path)
    findings = _about_the_name(task)
    if kind is Format.JSON_LINES:
        checker = _checker(task)
        checker.feed(content)
        checker.finish()
        return _merged(findings, checker.report())
    complaint = _document_complaint(content[:HEAD_BYTES], kind, task) if content else _no_content(kind)
    if complaint is not None:
        _add(findings, task, complaint)
    return findings.report(line_count=0, byte_count=len(content))


def _about_the_name(task: CheckTask) -> Findings:
    findings = Findings(task.choice)
    if not task.purpose.expects(task.path) and task.purpose.schema.fields:
        suffix = suffix_of(task.path) or "no suffix"
        usual = ", ".join((*task.purpose.suffixes, *task.purpose.documents))
        found = f"files for {task.purpose.name} usually end in {usual}, this one has {suffix}"
        _add(findings, task, Complaint("unusual-suffix", found))
    return findings


def _checker(task: CheckTask) -> Checker:
    return Checker(
        task.purpose,
        where=task.path,
        thorough=task.thorough,
        known=task.known,
        choice=task.choice,
        command=task.command,
    )


def _check_lines(descriptor: int, task: CheckTask, on_bytes: Callable[[int], None] | None) -> FileReport:
    checker = _checker(task)
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


def _whole_file_complaints(
    descriptor: int, byte_count: int, kind: Format, task: CheckTask
) -> list[Complaint]:
    if not byte_count:
        return [_no_content(kind)]
    head = os.pread(descriptor, HEAD_BYTES, 0)
    if kind is Format.PARQUET:
        return _parquet(descriptor, head, byte_count, task)
    complaint = _document_complaint(head, kind, task)
    return [] if complaint is None else [complaint]


def _document_complaint(head: bytes, kind: Format, task: CheckTask) -> Complaint | None:
    return torch_complaint(head) if kind is Format.TORCH else document_complaint(task.path, head)


def _no_content(kind: Format) -> Complaint:
    # The service may accept an empty document; a file of examples must have at least one.
    return Complaint("empty-document" if kind is Format.DOCUMENT else "empty-file", "the file is empty")


def _parquet(descriptor: int, head: bytes, byte_count: int, task: CheckTask) -> list[Complaint]:
    tail = os.pread(descriptor, TAIL_BYTES, max(0, byte_count - TAIL_BYTES))
    complaint = ends_complaint(head, tail, byte_count)
    if complaint is not None:
        return [complaint]
    try:
        footer = _footer(descriptor)
    except ImportError:
        return [Complaint("parquet-unread", "only the magic bytes were checked: pyarrow is not installed")]
    except Exception as error:
        if isinstance(error, OSError) and is_transient(error):
            raise
        words = str(error).strip().splitlines() or [type(error).__name__]
        return [Complaint("bad-parquet", f"the footer cannot be read: {words[0][:200]}")]
    return footer_complaints(*footer, task.purpose, _known_unless_ignored(task))


def _known_unless_ignored(task: CheckTask) -> tuple[Purpose, ...]:
    return () if PURPOSE_MISMATCH in task.choice.ignored else task.known


def parquet_columns(descriptor: int) -> tuple[str, ...] | None:
    """Return the columns of an open Parquet file; None where they cannot be read, also for want of pyarrow."""
    try:
        return _footer(descriptor)[0]
    except Exception:  # noqa: BLE001 - pyarrow raises errors of its own for each kind of damage
        return None


def _footer(descriptor: int) -> tuple[tuple[str, ...], int]:
    """Return the columns and the number of rows by a Parquet file's footer."""
    from pyarrow import parquet  # noqa: PLC0415 - an extra, and slow to import

    with os.fdopen(os.dup(descriptor), "rb") as file, parquet.ParquetFile(file) as opened:
        return tuple(str(name) for name in opened.schema_arrow.names), int(opened.metadata.num_rows)


def _add(findings: Findings, task: CheckTask, complaint: Complaint) -> None:
    findings.add(complaint, where=task.path)


def _merged(first: Findings, then: FileReport) -> FileReport:
    if not first.kept:
        return then
    return FileReport(
        findings=(*first.kept, *then.findings),
        counts={**first.counts, **then.counts},
        line_count=then.line_count,
        byte_count=then.byte_count,
    )
