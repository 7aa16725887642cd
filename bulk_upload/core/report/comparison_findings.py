"""Examples that are the same as findings about the files that have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.report import FileReport
from bulk_upload.core.validation.rules import RULES, Complaint, finding_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulk_upload.core.dataset.comparison import Comparison, Kept, Place, Repeat
    from bulk_upload.core.finding import Finding
    from bulk_upload.core.validation.rules import RuleChoice

ACROSS = "duplicate-across-files"
OVERLAP = "train-eval-overlap"


class _FileFindings:
    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}


def comparison_reports(
    comparison: Comparison,
    paths: Sequence[str],
    group_name_of: Callable[[int], str],
    choice: RuleChoice,
) -> Iterator[tuple[int, FileReport]]:
    """Yield the number of each file that has such examples, and a report of them alone, in the order of files.

    `paths` are those of the files by their numbers, `group_name_of` returns the name of a file's group.
    """

    def at(place: Place) -> str:
        return f"{printable(paths[place.file_no])}:{place.line_no}"

    def same(repeat: Repeat) -> str:
        return f"the example is the same as {at(repeat.first)}"

    def overlapping(repeat: Repeat) -> str:
        return f"the example is also in {printable(group_name_of(repeat.first.file_no))}: {at(repeat.first)}"

    def sharing(repeat: Repeat) -> str:
        name = printable(group_name_of(repeat.first.file_no))
        return f"the prompt is also in {name}, with another answer: {at(repeat.first)}"

    files: dict[int, _FileFindings] = {}

    def gather(rule: str, kept: Kept, words: Callable[[Repeat], str]) -> None:
        if rule in choice.ignored:
            return
        for file_no, count in kept.counts.items():
            counts = files.setdefault(file_no, _FileFindings()).counts
            counts[rule] = counts.get(rule, 0) + count
        for repeat in kept.first():
            file_no, line_no = repeat.place
            finding = finding_of(
                Complaint(rule, words(repeat)), where=paths[file_no], line_no=line_no, choice=choice
            )
            files[file_no].findings.append(finding)

    gather(ACROSS, comparison.across, same)
    gather(OVERLAP, comparison.overlapping, overlapping)
    gather(OVERLAP, comparison.sharing_prompt, sharing)
    for file_no in sorted(files):
        found = files[file_no]
        severities = {rule: choice.severity_of(rule) for rule in found.counts}
        yield (
            file_no,
            FileReport(
                findings=tuple(sorted(found.findings, key=lambda one: (one.rule, one.line_no or 0))),
                counts=found.counts,
                severities={rule: one for rule, one in severities.items() if one is not RULES[rule].severity},
            ),
        )
