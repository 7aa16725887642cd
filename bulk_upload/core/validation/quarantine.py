"""The content of a quarantine: which lines are kept, and what is written about the others."""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.text.printable import human_bytes
from bulk_upload.core.validation.examples.alternatives import line_judge
from bulk_upload.core.validation.examples.file_values import FileValues
from bulk_upload.core.validation.examples.template_marks import RULE as TEMPLATE_MARKS
from bulk_upload.core.validation.examples.template_marks import TemplateMarks
from bulk_upload.core.validation.rules import ALL_RULES, Complaint, finding_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bulk_upload.core.finding import Finding
    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.shapes.command import ConvertCommand
    from bulk_upload.core.validation.line_splitter import HugeLine
    from bulk_upload.core.validation.rules import RuleChoice


class Sorted(NamedTuple):
    """Lines of one block: the good ones, and the bad ones with their numbers and findings."""

    good: list[bytes]
    bad: list[tuple[int, bytes, list[Finding]]]


class LineSorter:
    """Sorts the lines of one file into good and bad ones. Blank lines are neither, and only counted."""

    def __init__(
        self,
        purpose: Purpose,
        *,
        where: str,
        known: Iterable[Purpose],
        choice: RuleChoice = ALL_RULES,
        command: ConvertCommand | None = None,
    ) -> None:
        self._command = command
        self._where = where
        self._choice = choice
        self._limit = human_bytes(purpose.schema.line_bytes_max)
        self._judge = line_judge(purpose, known=known)
        self._values = FileValues(purpose.schema)
        self._marks = TemplateMarks() if choice.is_error(TEMPLATE_MARKS) else None
        self.line_count = 0
        self.blank_count = 0

    def sort(self, lines: list[bytes]) -> Sorted:
        """Sort the next lines."""
        bad: list[tuple[int, bytes, list[Finding]]] = []
        out: set[int] = set()
        found: dict[int, list[Complaint]] = {}
        for index, complaints in chain(
            self._judge.judge(lines),
            self._values.take(lines, self.line_count + 1),
            () if self._marks is None else self._marks.complaints(lines),
        ):
            found.setdefault(index, []).extend(complaints)
        for index, complaints in sorted(found.items()):
            if not lines[index].strip():
                self.blank_count += 1
                out.add(index)
            elif errors := [one for one in complaints if self._choice.is_error(one.rule)]:
                line_no = self.line_count + index + 1
                bad.append((line_no, lines[index], list(self._findings(errors, line_no))))
                out.add(index)
        self.line_count += len(lines)
        return Sorted([line for index, line in enumerate(lines) if index not in out] if out else lines, bad)

    def sort_huge(self, line: HugeLine) -> tuple[int, list[Finding]]:
        """Sort a line that is too long to be checked: it is bad, and is not copied."""
        self.line_count += 1
        found = f"the line has {human_bytes(line.length)}, the limit is {self._limit}; it was left in the original"
        return self.line_count, list(self._findings([Complaint("huge-line", found)], self.line_count))

    def _findings(self, complaints: Iterable[Complaint], line_no: int) -> Iterator[Finding]:
        return (
            finding_of(one, where=self._where, line_no=line_no, choice=self._choice, command=self._command)
            for one in complaints
        )


def findings_line(line_no: int, bad_line_no: int | None, findings: Iterable[Finding]) -> bytes:
    """Return the report line of one bad line: its number, its number among the bad ones, its findings."""
    told = [
        {"rule": one.rule, "place": one.place, "found": one.found, "remedy": one.remedy} for one in findings
    ]
    return json.dumps({"line": line_no, "bad_line": bad_line_no, "findings": told}).encode() + b"\n"


def place_of(path: str) -> str:
    """Return the place of a file's copy in a quarantine: always beneath it, whatever the path."""
    parts = ["__" if part == ".." else part for part in path.split("/") if part not in ("", ".")]
    return "/".join(parts) or "_"
