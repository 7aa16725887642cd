"""Validation results in the ledger, so that no file is validated twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from bulk_upload.core.model import EntryState
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.core.validation.result import ValidationResult
from bulk_upload.edge.ledger.columns import FINGERPRINT_SQL, SET_FINGERPRINT, from_fingerprint, from_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bulk_upload.core.model import Fingerprint
    from bulk_upload.edge.ledger.store import LedgerStore


class ResultKey(NamedTuple):
    """A version of an entry's file, and the rules to validate it by."""

    entry_id: int
    fingerprint: Fingerprint
    rules: str


def recall_results(store: LedgerStore, keys: Sequence[ResultKey]) -> dict[int, ValidationResult]:
    """Return the results of the same versions of files under the same rules, by entry."""
    found = {}
    for one in keys:
        row = store.connection.execute(
            "SELECT line_count, error_count, warning_count, reason FROM validations"
            " WHERE entry_id = ? AND rules = ? AND size = ? AND mtime_ns = ? AND inode = ?"
            " AND coalesce(ctime_ns = ?, 1) AND etag IS ? AND version IS ?",
            (one.entry_id, from_text(one.rules), *from_fingerprint(one.fingerprint)),
        ).fetchone()
        if row is not None:
            found[one.entry_id] = ValidationResult(
                fingerprint=one.fingerprint,
                rules=one.rules,
                line_count=row[0],
                error_count=row[1],
                warning_count=row[2],
                reason=row[3],
            )
    return found


def keep_result(store: LedgerStore, entry_id: int, result: ValidationResult, *, utc_s: float) -> None:
    """Record the result of an entry's file, replacing that of an earlier version."""
    findings = [
        {
            "rule": one.rule,
            "severity": one.severity,
            "line": one.line_no,
            "place": one.place,
            "found": one.found,
            "remedy": one.remedy,
        }
        for one in result.findings
    ]
    store.connection.execute(
        f"INSERT OR REPLACE INTO validations (entry_id, rules, {FINGERPRINT_SQL}, line_count, error_count,"
        " warning_count, reason, findings, checked_utc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry_id,
            from_text(result.rules),
            *from_fingerprint(result.fingerprint),
            result.line_count,
            result.error_count,
            result.warning_count,
            None if result.reason is None else from_text(result.reason),
            # Escaped: text that is not Unicode may be in what was found.
            json.dumps(findings),
            utc_text(utc_s),
        ),
    )


def settle_invalid(store: LedgerStore, entry_id: int, result: ValidationResult, *, utc_s: float) -> None:
    """Record that an entry is invalid, and which version of its file: another version will be validated again."""
    if result.findings:
        keep_result(store, entry_id, result, utc_s=utc_s)
    store.settle(entry_id, EntryState.INVALID, reason=result.reason, utc_s=utc_s)
    store.connection.execute(
        f"UPDATE entries SET {SET_FINGERPRINT} WHERE entry_id = ?",
        (*from_fingerprint(result.fingerprint), entry_id),
    )
