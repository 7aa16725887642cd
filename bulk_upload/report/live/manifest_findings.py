"""Findings about a manifest, as lines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bulk_upload.core.text.printable import printable
from bulk_upload.core.validation.rules import PURPOSE_MISMATCH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bulk_upload.core.finding import Finding

EXAMPLES_MAX = 10
"""So many findings of each rule are shown; a person mends a few and runs the command again."""


def findings_lines(
    findings: Sequence[Finding], finding_count: int, counts: Mapping[str, int] | None = None
) -> list[str]:
    """Return the findings by rule, the frequent ones first, and a last line with their number.

    A rule with several findings begins with how many there are, and where the first one is. `finding_count` counts all
    findings, also those that were not kept in `findings`, and `counts` the same by rule, where that is known.
    """
    kept = Counter(one.rule for one in findings)
    by_rule = {rule: max(count, (counts or {}).get(rule, 0)) for rule, count in kept.items()}
    lines: list[str] = []
    for rule in sorted(by_rule, key=lambda one: (one != PURPOSE_MISMATCH, -by_rule[one])):
        lines += _group(rule, [one for one in findings if one.rule == rule], by_rule[rule])
    count = max(finding_count, len(findings))
    if (left := count - sum(by_rule.values())) > 0:
        lines.append(f"... and {left:,} more")
    return [*lines, f"{count:,} finding{'' if count == 1 else 's'}." if count else "No findings."]


def _group(rule: str, findings: Sequence[Finding], count: int) -> Iterator[str]:
    if count == 1:
        yield str(findings[0])
        return
    first = findings[0]
    place = printable(first.where) + ("" if first.line_no is None else f":{first.line_no}")
    yield f"{rule} on {count:,} lines, first in {place}"
    yield from (f"  {one}" for one in findings[:EXAMPLES_MAX])
    if count > EXAMPLES_MAX:
        yield f"  and {count - EXAMPLES_MAX:,} more"
