"""Findings about a manifest, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.finding import Finding


def findings_lines(findings: Sequence[Finding], finding_count: int) -> list[str]:
    """Return one line per finding and a last one with their number.

    `finding_count` counts all findings, also those that were not kept in `findings`.
    """
    count = max(finding_count, len(findings))
    lines = [str(one) for one in findings]
    if count > len(findings):
        lines.append(f"... and {count - len(findings):,} more")
    return [*lines, f"{count:,} finding{'' if count == 1 else 's'}." if count else "No findings."]
