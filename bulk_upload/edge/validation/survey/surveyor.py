"""Reads the examples of one file, as lines, as values of an array, or as rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from bulk_upload.core.convert.framing import HEAD_BYTES, Framing, framing_of
from bulk_upload.core.dataset.example import NO_PROMPT, ExampleReader
from bulk_upload.core.dataset.facts import FileFacts
from bulk_upload.core.dataset.statistics import Statistics
from bulk_upload.core.shapes.values import NotAValue, ValueSplitter, ValueTooLong
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.validation.line_splitter import PIECE_BYTES, HugeLine, LineSplitter
from bulk_upload.core.validation.rules import Complaint
from bulk_upload.edge.validation.survey.digests import DigestWriter
from bulk_upload.edge.validation.survey.secrets import scan
from bulk_upload.edge.validation.survey.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.report import FileReport, Findings
    from bulk_upload.edge.validation.survey.task import SurveyTask

_decode = msgspec.json.Decoder().decode
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Surveyor:
    """Surveys one file.

    Args:
        task: what is wanted.
        purpose: its schema says what an example is.
        path: names the file.
        findings: takes what is found.
    """

    def __init__(self, task: SurveyTask, purpose: Purpose, *, path: str, findings: Findings) -> None:
        self._task = task
        self._path = path
        self._findings = findings
        self._line_bytes_max = purpose.schema.line_bytes_max
        self._reader = ExampleReader(purpose.schema)
        self._statistics = Statistics(file_count=1)
        self._digests = None if task.digest_folder is None else DigestWriter(task.digest_folder)
        self._tokens = None if task.tokenizer is None else TokenCounter(task.tokenizer)
        self._wants_examples = task.counts or self._digests is not None or self._tokens is not None
        self._head: list[bytes] | None = []
        self._head_bytes = 0
        self._framing = Framing.LINES
        self._lines = LineSplitter(self._line_bytes_max)
        self._values = ValueSplitter(self._line_bytes_max)
        self._is_over = False
        self._line_no = 0
        self._facts: FileFacts | None = None

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file, unpacked."""
        if self._head is None:
            self._take(data)
            return
        self._head.append(data)
        self._head_bytes += len(data)
        if self._head_bytes >= HEAD_BYTES:
            self._begin(is_whole=False)

    def take_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Take the next rows of a table; a null cell is as good as none."""
        for row in rows:
            self._line_no += 1
            self._take_record(_without_nulls(row))

    def finish(self) -> None:
        """Count what is left. Raises OSError where hashes cannot be kept."""
        if self._head:
            self._begin(is_whole=True)
        if self._framing is Framing.VALUES:
            self._split_values(self._values.finish)
        else:
            for run in self._lines.rest():
                self._take_run(run)
        if self._tokens is not None:
            self._count_tokens(self._tokens.rest())
        digests, digest_file = (b"", None) if self._digests is None else self._digests.finish()
        self._facts = FileFacts(
            statistics=self._statistics if self._task.counts else None,
            digests=digests,
            digest_file=digest_file,
        )

    def added_to(self, report: FileReport) -> FileReport:
        """Return a report of the file with what the survey found and counted, after `finish`."""
        found = self._findings.report(line_count=0, byte_count=0)
        return replace(
            report,
            findings=(*report.findings, *found.findings),
            counts={**report.counts, **found.counts},
            severities={**report.severities, **found.severities},
            facts=self._facts,
        )

    def _begin(self, *, is_whole: bool) -> None:
        head = b"".join(self._head or ()).removeprefix(BOM)
        self._head = None
        self._framing = framing_of(head, self._path, is_whole=is_whole)
        self._take(head)

    def _take(self, data: bytes) -> None:
        if self._framing is Framing.VALUES:
            self._split_values(lambda: self._values.feed(data))
            return
        if self._framing is Framing.CR_LINES:
            data = data.replace(b"\r", b"\n")
        for start in range(0, len(data), PIECE_BYTES):
            for run in self._lines.split(data[start : start + PIECE_BYTES]):
                self._take_run(run)

    def _take_run(self, run: list[bytes] | HugeLine) -> None:
        if isinstance(run, HugeLine):
            self._line_no += 1
            self._statistics.other_count += 1
            return
        for line in run:
            self._line_no += 1
            self._take_text(line)

    def _split_values(self, split: Callable[[], list[bytes | NotAValue]]) -> None:
        if self._is_over:
            return
        try:
            found = split()
        except ValueTooLong:
            self._is_over = True
            self._statistics.other_count += 1
            return
        for value in found:
            self._line_no += 1
            self._take_text(value.text if isinstance(value, NotAValue) else value)

    def _take_text(self, text: bytes) -> None:
        try:
            record = _decode(text)
        except _NOT_JSON:
            self._statistics.other_count += bool(text.strip())
            return
        self._take_record(record)

    def _take_record(self, record: Any) -> None:  # noqa: ANN401 - any JSON value
        if self._task.scans_secrets:
            for rule, place, what in scan(record):
                self._add(Complaint(rule, str(what), place=place), self._line_no)
        if not self._wants_examples:
            return
        example = self._reader.read(record)
        if example is None:
            self._statistics.other_count += 1
            return
        self._statistics.add(example, self._path, self._line_no)
        if self._digests is not None:
            prompt = self._reader.prompt_digest(record) if self._task.has_groups else NO_PROMPT
            self._digests.add(self._reader.digest(record), prompt, self._line_no)
        if self._tokens is not None:
            texts = [text for _, text in (*example.texts, *example.call_texts)]
            self._count_tokens(self._tokens.add(self._line_no, texts))

    def _count_tokens(self, counted: Iterable[tuple[int, int]]) -> None:
        limit = self._task.max_tokens
        for line_no, token_count in counted:
            self._statistics.add_tokens(token_count, self._path, line_no)
            if limit is not None and token_count > limit:
                self._statistics.over_count += 1
                found = f"the example has {token_count:,} tokens, the limit is {limit:,}"
                self._add(Complaint("too-many-tokens", found), line_no)

    def _add(self, complaint: Complaint, line_no: int) -> None:
        if not self._findings.counts_only(complaint.rule):
            self._findings.add(complaint, where=self._path, line_no=line_no)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
