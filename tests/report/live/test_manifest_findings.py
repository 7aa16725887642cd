from __future__ import annotations

from msgspec.structs import replace

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


def test_findings_are_grouped_by_rule() -> None:
    """A rule begins with its number and its first place; a mix-up comes first, then what is frequent."""
    missing = [replace(FINDING, line_no=number) for number in range(3, 18)]
    other = replace(FINDING, rule="unknown-field", line_no=1)
    mixed_up = replace(FINDING, rule="purpose-mismatch", line_no=2)
    lines = findings_lines([other, mixed_up, *missing], 4102, {"missing-file": 4100})
    assert lines[0] == str(mixed_up)
    assert lines[1] == r"missing-file on 4,100 lines, first in m\x1b.jsonl:3"
    assert lines[2:12] == [f"  {one}" for one in missing[:10]]
    assert lines[12:] == ["  and 4,090 more", str(other), "4,102 findings."]


def test_no_findings_are_said_to_be_none() -> None:
    """Silence could be taken for a crash."""
    assert findings_lines([], 0) == ["No findings."]
