"""Warnings about the content of files, grouped by rule, as the ledger kept them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Severity
from bulk_upload.core.report.tally import EXAMPLES_MAX

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RULES_MAX = 200
"""A ledger from elsewhere may name any number of rules."""


class KeptFinding(msgspec.Struct, frozen=True):
    """One finding of a ledger's row: of a file's first hundred."""

    rule: str
    severity: str
    found: str
    line: int | None = None
    remedy: str = ""


class FileWarnings(msgspec.Struct, frozen=True):
    """The warnings about one file: how many in all, and its findings as far as they were kept."""

    path: str
    warning_count: int
    findings: Sequence[KeptFinding] = ()


class RuleWarnings(msgspec.Struct):
    """The warnings of one rule: at least `count` in `file_count` files, the first one as `found`."""

    rule: str
    found: str
    remedy: str
    count: int = 0
    file_count: int = 0
    examples: list[str] = msgspec.field(default_factory=list)


def warnings_by_rule(files: Iterable[FileWarnings]) -> list[RuleWarnings]:
    """Return the warnings by rule, those of most files first. Files are read once and not kept."""
    rules: dict[str, RuleWarnings] = {}
    for file in files:
        seen = set()
        for one in file.findings:
            if one.severity != Severity.WARNING or (one.rule not in rules and len(rules) >= RULES_MAX):
                continue
            group = rules.setdefault(one.rule, RuleWarnings(one.rule, one.found, one.remedy))
            group.count += 1
            if one.rule not in seen:
                seen.add(one.rule)
                group.file_count += 1
                if len(group.examples) < EXAMPLES_MAX:
                    line = "" if one.line is None else f", line {one.line:,}"
                    group.examples.append(f"{file.path}{line}")
    return sorted(rules.values(), key=lambda one: (-one.file_count, -one.count, one.rule))
