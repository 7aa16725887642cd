"""Files that bulk-upload itself wrote, or reads as its input: recognised by their content, and never data."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import TYPE_CHECKING, Any

from bulk_upload.core.manifest.reader import read_manifest
from bulk_upload.core.manifest.rules import ManifestRules
from bulk_upload.core.model import Entry
from bulk_upload.core.purposes import PURPOSES
from bulk_upload.core.report.export import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

DATABASE_HEAD = b"SQLite format 3\0"
LEDGER_ID = b"bulk"
"""What a ledger's header has as the application id, at this offset (sqlite.org/fileformat.html, section 1.3.17)."""
_ID_AT = 68

A_LEDGER, OF_A_LEDGER = "a ledger", "of a ledger"

COMPANIONS = ("-wal", "-shm", "-journal", ".lock")
"""What stands behind a ledger's name in the names of the files that belong to it."""

LINEAGE_SUFFIX = ".lineage.json"
QUARANTINED = (".bad", ".findings.jsonl", ".left", ".left.reasons.jsonl")
"""What a quarantine or a conversion writes beside a lineage, behind the name of the file."""

_LEDGER_NAME = re.compile(r".+\.ledger\.db(-wal|-shm|-journal|\.lock|\.v[0-9]+\.backup)?")
_RESULTS_HEAD = ",".join(COLUMNS[:8]).encode("ascii")
_LOG_KEYS = ("v", "at", "level", "event")
_FINDING_KEYS = ("file", "rule", "severity", "found", "remedy")
_BLANK = b"\xef\xbb\xbf \t\r\n"
_OWN_WORDS = (b'"file_id"', b'"event"', b'"remedy"')
_LOGFMT_HEAD = b"v=1 at="
_METRICS_HEAD = b"# HELP bulk_upload_"
_PAGE_HEAD, _PAGE_TITLE = b"<!doctype html>", b"<title>Upload report</title>"
_CONFIGURATION = "bulk-upload.toml"
_LINES_READ = 10
_ANY_PURPOSE = next(iter(PURPOSES))


def is_ledger(head: bytes) -> bool:
    """Whether a file that begins so is a ledger, or a copy of one."""
    return head.startswith(DATABASE_HEAD) and head[_ID_AT : _ID_AT + len(LEDGER_ID)] == LEDGER_ID


def names_files(lines: Sequence[bytes], *, name: str) -> bool:
    """Whether the first lines of a file are those of a manifest: training data has no paths in it."""
    rules = ManifestRules(
        where=name, root="/", allow_outside=True, allow_unknown_purpose=True, default_purpose=_ANY_PURPOSE
    )
    return any(isinstance(one, Entry) for one in read_manifest(islice(lines, _LINES_READ), rules))


def kind_of_own_by_name(path: str) -> str | None:
    """Return what a file is whose name is that of a ledger, or of a file that SQLite or a run makes beside one."""
    found = _LEDGER_NAME.fullmatch(path.rpartition("/")[2])
    if found is None:
        return None
    return OF_A_LEDGER if found[1] else A_LEDGER


def kind_of_own(path: str, head: bytes, *, columns: Sequence[str] | None = None) -> str | None:
    """Return what a file of ours is, in a few words; None for a file that may be data.

    Args:
        path: its name decides only where the content cannot: a manifest's format, and `bulk-upload.toml`.
        head: its first bytes.
        columns: those of a Parquet file.
    """
    if is_ledger(head):
        return A_LEDGER
    if head.startswith(_RESULTS_HEAD) or (columns is not None and tuple(columns[: len(COLUMNS)]) == COLUMNS):
        return "results"
    if head.startswith(_METRICS_HEAD):
        return "metrics"
    if head.startswith(_LOGFMT_HEAD):
        return "a log"
    if head[:64].lower().startswith(_PAGE_HEAD) and _PAGE_TITLE in head:
        return "a report"
    if path.rpartition("/")[2] == _CONFIGURATION:
        return "settings"
    if b"\0" in head:
        return None
    if path.endswith(LINEAGE_SUFFIX) and b'"made_by": "bulk-upload ' in head:
        return "a lineage"
    lines = head.split(b"\n", _LINES_READ)[:_LINES_READ]
    kind = _kind_of_line(lines[0]) if lines[0].startswith(b"{") else None
    if kind is None and _may_name_files(lines) and names_files(lines, name=path):
        return "a manifest"
    return kind


def _may_name_files(lines: Sequence[bytes]) -> bool:
    """Whether a closer look is worth its time. A table is a manifest only if it has a column of purposes, too."""
    first = b"".join(lines[:2]).lower()
    return b"path" in first and (b"purpose" in first or first.lstrip(_BLANK).startswith(b"{"))


def _kind_of_line(line: bytes) -> str | None:
    if not any(word in line for word in _OWN_WORDS):
        return None
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    keys = tuple(value)
    if keys[: len(COLUMNS)] == COLUMNS:
        return "results"
    if keys[: len(_LOG_KEYS)] == _LOG_KEYS:
        return "a log"
    return "findings" if value.keys() >= set(_FINDING_KEYS) else None
