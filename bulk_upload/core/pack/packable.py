"""Which files can be in a pack, and by which rules they are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.finding import Finding
from bulk_upload.core.purposes import Format
from bulk_upload.core.text.wording import quoted
from bulk_upload.core.validation.rules import WHOLE_FILE, RuleChoice
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from bulk_upload.core.model import Entry
    from bulk_upload.core.purposes import Purpose, Schema

MENDED = frozenset({"blank-line", "byte-order-mark"})
"""Rules about what packing takes away anyway."""

WHOLE_TEXTS = frozenset({"alignment"})
"""Purposes whose files are read as wholes: the service makes training data of each."""


def packed_rules(choice: RuleChoice) -> RuleChoice:
    """Return the rules for files that are packed.

    Raises UsageError where a rule is ignored without which a file has no lines.
    """
    refused = sorted(choice.ignored & WHOLE_FILE)
    if refused:
        raise UsageError(
            f"{refused[0]} cannot be ignored here: a pack holds lines",
            hint="mend the files, or upload them unpacked",
        )
    return msgspec.structs.replace(choice, ignored=choice.ignored | MENDED)


def not_packable(entry: Entry, purpose: Purpose, *, where: str) -> Finding | None:
    """Return why a file cannot be in a pack, None where it can."""
    found = None
    if "://" in entry.path:
        found = f"{quoted(entry.path)} is no file on this machine"
    elif purpose.format_of(entry.path) is not Format.JSON_LINES:
        found = f"{quoted(entry.path)} is no JSON Lines file"
    elif purpose.name in WHOLE_TEXTS:
        found = f"files of {quoted(purpose.name)} are read as wholes"
    elif _lines_depend(purpose.schema):
        found = f"a line of {quoted(purpose.name)} depends on the other lines of its file"
    if found is None:
        return None
    remedy = "Upload it unpacked: move its line to a manifest of its own"
    if "://" in entry.path:
        remedy = "Upload it unpacked, or fetch it first"
    return _finding(
        "not-packable", entry, where=where, found=f"{found}, and cannot be in a pack", remedy=remedy
    )


def twice_packed(entry: Entry, first: Entry, *, where: str) -> Finding:
    """Return the finding about a file that the manifest has twice."""
    found = f"{quoted(entry.path)} is in the manifest twice for the same use, first on line {first.line_no}"
    return _finding("duplicate-entry", entry, where=where, found=found, remedy="Remove one of the lines")


def _lines_depend(schema: Schema) -> bool:
    return any(one.unique or one.same for one in schema.fields) or any(
        map(_lines_depend, schema.alternatives)
    )


def _finding(rule: str, entry: Entry, *, where: str, found: str, remedy: str) -> Finding:
    return Finding(rule=rule, where=where, line_no=entry.line_no, place="path", found=found, remedy=remedy)
