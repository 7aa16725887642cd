"""Validates one file of JSON Lines, piece by piece: findings never depend on where the pieces end."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.text.printable import human_bytes
from bulk_upload.core.text.text_bytes import BOM
from bulk_upload.core.validation.conversion.line_faults import fault_of_huge_line
from bulk_upload.core.validation.conversion.separators import SeparatorSearch
from bulk_upload.core.validation.examples.alternatives import line_judge
from bulk_upload.core.validation.examples.file_values import (
    LINES_COMPARED_MAX,
    FileValues,
    limit_complaints,
)
from bulk_upload.core.validation.examples.template_marks import TemplateMarks
from bulk_upload.core.validation.file_types import HEAD_BYTES, not_json_lines
from bulk_upload.core.validation.first_lines import BINARY, suspicion
from bulk_upload.core.validation.line_splitter import PIECE_BYTES, HugeLine, LineSplitter
from bulk_upload.core.validation.mixup.sample import PurposeSample
from bulk_upload.core.validation.opening.hold import Hold, Verdict
from bulk_upload.core.validation.report import Findings
from bulk_upload.core.validation.rules import ALL_RULES, PURPOSE_MISMATCH, Complaint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.shapes.command import ConvertCommand
    from bulk_upload.core.validation.json_text import Parsed
    from bulk_upload.core.validation.line_splitter import Run
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.core.validation.rules import RuleChoice


class Checker:
    """Checks the lines of one file.

    Args:
        purpose: the rules for every line.
        where: the file's name in findings.
        thorough: look for keys that come twice in an object, which takes about eight times as long.
        known: the purposes that a file may look like.
        choice: the rules that apply.
        command: converts the file; remedies name it.
    """

    def __init__(
        self,
        purpose: Purpose,
        *,
        where: str,
        thorough: bool = False,
        known: Iterable[Purpose] = tuple(PURPOSES.values()),
        choice: RuleChoice = ALL_RULES,
        command: ConvertCommand | None = None,
    ) -> None:
        known = tuple(known)
        self._where = where
        self._line_bytes_max = purpose.schema.line_bytes_max
        self._has_schema = purpose.schema.is_known
        self._sample = None if PURPOSE_MISMATCH in choice.ignored else PurposeSample(purpose, known)
        self._awaiting: list[tuple[Complaint, int | None, int]] | None = None
        self._purpose_name = purpose.name
        self._splitter = LineSplitter(purpose.schema.line_bytes_max)
        self._findings = Findings(choice, command=command)
        self._judge = line_judge(purpose, known=known, thorough=thorough, counted=self._findings.counted)
        self._schema = purpose.schema
        self._separators = SeparatorSearch()
        self._marks = TemplateMarks()
        self._told_count = 0
        self._head: bytes | None = b""
        self._byte_count = 0
        self._line_count = 0
        self._line_start = 0
        self._opening = True
        self._is_unseen = True
        self._hold: Hold | None = None
        self._has_zero_in_head = False
        self._zero_bytes = 0
        """How many zero bytes the file ends with so far."""
        self._is_other = False
        self._is_empty = True
        self._crlf_line_no: int | None = None
        self._held_back_cr = False
        self._first_seen: dict[int, int] = {}
        self._values = FileValues(purpose.schema)

    def feed(self, data: bytes) -> list[Finding]:
        """Check the next bytes; return new findings."""
        self._byte_count += len(data)
        self._count_zeros(data)
        if self._head is not None:
            self._head += data
            if len(self._head) < HEAD_BYTES:
                return []
            data = self._begin(self._head)
        if len(data) <= PIECE_BYTES:
            self._take(data)
        else:
            for start in range(0, len(data), PIECE_BYTES):
                self._take(data[start : start + PIECE_BYTES])
        return self._news()

    def finish(self) -> list[Finding]:
        """Finish the file; return new findings."""
        if self._head is not None:
            self._take(self._begin(self._head))
        for run in self._splitter.rest():
            self._separators.take(run)
            self._take_run(self._without_zeros(run))
        self._end_hold()
        self._opening = False
        self._end_sample()
        if self._is_empty and not self._is_other:
            found = "the file has no lines" if self._byte_count else "the file is empty"
            self._add(Complaint("empty-file", found), None)
        # Bytes of what is no text prove nothing about its line ends.
        if self._crlf_line_no is not None and not self._is_other:
            self._add(Complaint("crlf", "lines end with CR LF"), self._crlf_line_no)
        if self._separators.line_no is not None and not self._is_other:
            self._add(Complaint("line-separator", self._separators.found), self._separators.line_no)
        for limit in limit_complaints(self._schema, line_count=self._line_count, byte_count=self._byte_count):
            self._add(limit, None)
        if self._line_count > LINES_COMPARED_MAX and not self._is_other:
            found = f"only the first {LINES_COMPARED_MAX:,} of {self._line_count:,} lines were compared with each other"
            self._add(Complaint("duplicates-unchecked", found), None)
        if not self._has_schema:
            found = f"no schema is known for the purpose {self._purpose_name}: only the JSON was checked"
            self._add(Complaint("unknown-schema", found), None)
        return self._news()

    def report(self) -> FileReport:
        """Return all findings so far."""
        return self._findings.report(line_count=self._line_count, byte_count=self._byte_count)

    def _news(self) -> list[Finding]:
        news = self._findings.kept[self._told_count :]
        self._told_count = len(self._findings.kept)
        return news

    def _begin(self, head: bytes) -> bytes:
        """Judge the file by its first bytes; return those that are lines."""
        self._head = None
        self._has_zero_in_head = b"\0" in head[:HEAD_BYTES]
        complaint = not_json_lines(head[:HEAD_BYTES])
        if complaint is not None:
            self._is_other = True
            self._add(complaint, None)
        if head.startswith(BOM):
            self._add(Complaint("byte-order-mark", "the file starts with a byte order mark"), 1)
            self._line_start = len(BOM)
            return head[len(BOM) :]
        return head

    def _take(self, piece: bytes) -> None:
        if not piece:
            return
        self._separators.look(piece)
        # One byte is found ten times as fast as two; and it shows whether lines need a closer check.
        may_be_crlf = b"\r" in piece or self._held_back_cr
        self._held_back_cr = piece.endswith(b"\r")
        for run in self._splitter.split(piece):
            self._separators.take(run)
            if may_be_crlf and self._crlf_line_no is None and not isinstance(run, HugeLine):
                self._look_for_crlf(run)
            self._take_run(run)

    def _take_run(self, run: Run) -> None:
        if isinstance(run, HugeLine):
            self._end_hold()
            self._huge(run)
            return
        lines = run if self._is_other else self._ready(run)
        if lines:
            self._take_lines(lines)

    def _take_lines(self, lines: list[bytes]) -> None:
        if not self._is_other:
            self._check(lines, self._line_count + 1)
        self._line_count += len(lines)
        self._line_start += sum(map(len, lines))

    def _look_for_crlf(self, lines: Sequence[bytes]) -> None:
        held_count = 0 if self._hold is None else len(self._hold.lines)
        for line_no, line in enumerate(lines, start=self._line_count + held_count + 1):
            if line.endswith(b"\r\n"):
                self._crlf_line_no = line_no
                return

    def _ready(self, lines: list[bytes]) -> list[bytes]:
        """Return the lines that can be judged now; those that may be something else are held until that is known."""
        if self._is_unseen:
            lines = self._met(lines)
        if self._hold is None:
            return lines
        for index, line in enumerate(lines):
            parsed = self._judge.parse(line) if line.strip() else None
            is_example = parsed is not None and self._judge.is_example(parsed)
            verdict = self._hold.add(line, parsed, is_example=is_example)
            if verdict is not None:
                return [*self._freed(verdict), *lines[index + 1 :]]
        return []

    def _met(self, lines: list[bytes]) -> list[bytes]:
        """Look at the first line that is not blank; return the lines from there on."""
        blank_count = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
        if blank_count:
            self._take_lines(lines[:blank_count])
            lines = lines[blank_count:]
        if not lines:
            return []
        self._is_unseen = False
        line = lines[0]
        if self._judge.passes_alone(line):
            return lines
        parsed = self._judge.parse(line)
        suspected = suspicion(line, parsed, name=self._where, schema=self._schema)
        if self._has_zero_in_head and not parsed.is_json and not line.lstrip().startswith(b"{"):
            suspected = BINARY
        if suspected is not None:
            self._hold = Hold(suspected, first_no=self._line_count + 1)
        return lines

    def _end_hold(self) -> None:
        if self._hold is not None:
            self._take_lines(self._freed(self._hold.at_end()))

    def _freed(self, verdict: Verdict) -> list[bytes]:
        """Return the lines that were held, after the file was found to be something else, or not."""
        hold, self._hold = self._hold, None
        if hold is None:
            return []
        if verdict is Verdict.OTHER:
            self._is_other = True
            self._add(hold.suspected.complaint, hold.first_no)
        return hold.lines

    def _check(self, lines: Sequence[bytes], first_no: int) -> None:
        opened_count = self._open(lines, first_no) if self._opening else 0
        found = [
            (opened_count + index, complaints)
            for index, complaints in self._judge.judge(lines[opened_count:])
        ]
        if first_no <= LINES_COMPARED_MAX:
            repeated = self._repeated(lines, first_no)
            compared = self._values.take(lines, first_no)
            if repeated or compared:
                found = sorted([*found, *repeated, *compared], key=lambda one: one[0])
        if marked := list(self._marks.complaints(lines)):
            found = sorted([*found, *marked], key=lambda one: one[0])
        for index, complaints in found:
            self._add_all(complaints, lines, index, first_no)
        if not self._opening:
            self._end_sample()

    def _open(self, lines: Sequence[bytes], first_no: int) -> int:
        """Check the first lines of the file; return how many were checked."""
        for index, line in enumerate(lines):
            if not self._opening:
                return index
            if not line.strip():
                self._add_all(self._judge.examine(line), lines, index, first_no)
                continue
            self._is_empty = False
            if self._awaiting is None and self._judge.passes_alone(line):
                # Nearly all files begin like this: no finding about this line, nor about the file.
                self._opening = False
                return index + 1
            parsed = self._judge.parse(line)
            self._opening = self._goes_on_sampling(parsed)
            complaints = [*self._judge.weigh(parsed), *self._judge.likeness(parsed)]
            self._add_all(complaints, lines, index, first_no)
        return len(lines)

    def _count_zeros(self, data: bytes) -> None:
        if not data or data[-1]:
            # Nearly always.
            self._zero_bytes = 0 if data else self._zero_bytes
            return
        kept_bytes = len(data.rstrip(b"\0"))
        self._zero_bytes = len(data) - kept_bytes + (0 if kept_bytes else self._zero_bytes)

    def _without_zeros(self, run: Run) -> Run:
        """Report the zero bytes that a file ends with; return its last line without them."""
        if not self._zero_bytes or self._is_other:
            return run
        first = self._byte_count - self._zero_bytes
        if not first:
            self._is_other = True
            found = f"the file holds {human_bytes(self._byte_count)} of zero bytes and nothing else"
            self._add(Complaint("zero-filled", found), None)
            return run
        found = f"zero bytes from byte {first:,} to the end, {human_bytes(self._zero_bytes)}: the file was not written whole"
        held_count = 0 if self._hold is None else len(self._hold.lines)
        self._add(
            Complaint("zero-filled-tail", found, byte_in_line=0), self._line_count + held_count + 1, first
        )
        if isinstance(run, HugeLine):
            return run if run.length > self._zero_bytes else []
        return [kept + b"\n" for one in run if (kept := one.rstrip(b"\0\n"))]

    def _goes_on_sampling(self, parsed: Parsed) -> bool:
        """Count a line for the file's purpose, and return whether the next one is wanted, too.

        What is found meanwhile waits: if the file is of another purpose, the rules of this one say nothing about it.
        """
        if self._sample is None:
            return False
        self._sample.add(parsed.value if parsed.is_json else None)
        if self._awaiting is None and (not self._sample.is_over or self._sample.mismatch() is not None):
            self._awaiting = []
        return not self._sample.is_over

    def _end_sample(self) -> None:
        """Report that the file is of another purpose, or what was found in its first lines."""
        awaiting, self._awaiting = self._awaiting, None
        mismatch = None if self._sample is None else self._sample.mismatch()
        self._sample = None
        if awaiting is None:
            return
        if mismatch is not None:
            self._is_other = True
            self._add(mismatch, None)
            return
        for complaint, line_no, line_start in sorted(awaiting, key=lambda one: one[1] or 0):
            self._add(complaint, line_no, line_start)

    def _repeated(self, lines: Sequence[bytes], first_no: int) -> list[tuple[int, list[Complaint]]]:
        """Return the lines that are the same as an earlier one."""
        wanted = min(len(lines), LINES_COMPARED_MAX + 1 - first_no)
        numbers = range(first_no, first_no + wanted)
        seen = list(map(self._first_seen.setdefault, map(hash, islice(lines, wanted)), numbers))
        if seen == list(numbers):
            return []
        return [
            (index, [Complaint("duplicate-line", f"the line is the same as line {earlier:,}")])
            for index, earlier in enumerate(seen)
            if earlier != first_no + index and lines[index].strip()
        ]

    def _huge(self, line: HugeLine) -> None:
        self._line_count += 1
        self._is_empty = False
        fault = None
        if not self._is_other:
            fault = fault_of_huge_line(line.head) if self._opening else None
            self._opening = False
        if fault is not None and not self._is_other:
            self._is_other = fault.rule == "json-array"
            self._add(fault, self._line_count)
        elif not self._is_other:
            limit = human_bytes(self._line_bytes_max)
            found = f"the line has {human_bytes(line.length)}, the limit is {limit}; it was not checked"
            self._add(Complaint("huge-line", found), self._line_count)
        self._line_start += line.length + 1

    def _start_of(self, lines: Sequence[bytes], index: int) -> int:
        return self._line_start + sum(map(len, islice(lines, index)))

    def _add_all(
        self, complaints: Iterable[Complaint], lines: Sequence[bytes], index: int, first_no: int
    ) -> None:
        for complaint in complaints:
            if self._findings.counts_only(complaint.rule):
                continue
            wanted = complaint.byte_in_line is not None
            self._add(complaint, first_no + index, self._start_of(lines, index) if wanted else 0)

    def _add(self, complaint: Complaint, line_no: int | None, line_start: int = 0) -> None:
        if self._awaiting is not None:
            self._awaiting.append((complaint, line_no, line_start))
            return
        self._findings.add(complaint, where=self._where, line_no=line_no, line_start=line_start)
