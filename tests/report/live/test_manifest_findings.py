from __future__ import annotations

from bulk_upload.core.finding import Finding
from bulk_upload.report.live.manifest_findings import findings_lines

FINDING = Finding(
    rule="missing-file",
    where="m\x1b.jsonl",
    line_no=3,
    place="path",
    found="no such file",
    remedy="Fix the path.",
)


def test_each_finding_is_one_printable_line_and_the_last_line_counts() -> None:
    """A person reads where, what, which rule and what to do, and then how many there are."""
    assert findings_lines([FINDING], 1) == [
        r"m\x1b.jsonl:3 [path]: no such file (missing-file). Fix the path.",
        "1 finding.",
    ]


def test_findings_that_were_not_kept_are_counted() -> None:
    """The number is that of all findings, and the difference is said."""
    lines = findings_lines([FINDING, FINDING], 1002)
    assert lines[-2:] == ["... and 1,000 more", "1,002 findings."]


def test_no_findings_are_said_to_be_none() -> None:
    """Silence could be taken for a crash."""
    assert findings_lines([], 0) == ["No findings."]
