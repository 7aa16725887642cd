"""What the ledger keeps of validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.finding import Finding
from bulk_upload.core.model import EntryState, Fingerprint
from bulk_upload.core.report.data_warnings import FileWarnings, KeptFinding
from bulk_upload.core.validation.result import ValidationResult
from bulk_upload.edge.ledger import LedgerReader, ResultKey, keep_result, recall_results, settle_invalid
from tests.edge.ledger.stage import PRINT, START_S, Store, entry, stored

GOOD = ValidationResult(fingerprint=PRINT, rules="1-a", line_count=3, error_count=0, warning_count=1)
BAD = replace(
    GOOD,
    error_count=2,
    reason="line 1: \udcff",
    findings=(
        Finding(rule="bad-json", where="a", found="\udcff\x1b", remedy="r", line_no=1, place="column 2"),
    ),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A ledger of its own for each test."""
    with stored(tmp_path / "a") as made:
        yield made


def recalled(store: Store, entry_id: int, **changes: Any) -> ValidationResult | None:
    """Recall what was kept, for the same version and rules or changed ones."""
    sought: dict[str, Any] = {"fingerprint": PRINT, "rules": "1-a"} | changes
    return recall_results(store, [ResultKey(entry_id, **sought)]).get(entry_id)


def test_a_result_holds_for_one_version_and_one_set_of_rules(store: Store) -> None:
    """Other bytes or other rules are another question."""
    (one,) = store.known(entry("a"))
    assert recalled(store, one) is None
    keep_result(store, one, GOOD, utc_s=START_S)
    assert recalled(store, one) == GOOD
    assert recalled(store, one, rules="1-b") is None
    dated, changed = replace(PRINT, ctime_ns=4), replace(PRINT, ctime_ns=5)
    assert recalled(store, one, fingerprint=dated) == replace(GOOD, fingerprint=dated)
    keep_result(store, one, replace(GOOD, fingerprint=dated), utc_s=START_S)
    assert recalled(store, one) == GOOD
    assert recalled(store, one, fingerprint=changed) is None
    for change in ({"size": 1}, {"mtime_ns": 5}, {"inode": 9}):
        assert recalled(store, one, fingerprint=replace(PRINT, **change)) is None


def test_the_last_result_is_kept(store: Store) -> None:
    """One row an entry, also for files with odd fingerprints."""
    (one,) = store.known(entry("a"))
    keep_result(store, one, GOOD, utc_s=START_S)
    odd = replace(GOOD, fingerprint=Fingerprint(size=1, mtime_ns=-(2**80), inode=2**64))
    keep_result(store, one, odd, utc_s=START_S)
    assert recalled(store, one) is None
    assert recalled(store, one, fingerprint=odd.fingerprint) == odd


def test_an_invalid_entry_knows_its_reason_and_its_version(store: Store) -> None:
    """The entry is settled with the version that was looked into, so that a mended file is tried without being asked."""
    (one,) = store.known(entry("a"))
    settle_invalid(store, one, BAD, utc_s=START_S)
    row = store.connection.execute(
        "SELECT state, reason, size, mtime_ns, inode, settled_utc IS NULL FROM entries"
    ).fetchone()
    assert row == ("invalid", "line 1: \\udcff", PRINT.size, PRINT.mtime_ns, PRINT.inode, 0)
    ((findings, count),) = store.connection.execute(
        "SELECT findings, error_count FROM validations"
    ).fetchall()
    assert count == 2
    assert json.loads(findings) == [
        {
            "rule": "bad-json",
            "severity": "error",
            "line": 1,
            "place": "column 2",
            "found": "\udcff\x1b",
            "remedy": "r",
        }
    ]
    result = recalled(store, one, fingerprint=PRINT)
    assert result is not None
    assert not result.is_valid


def test_what_is_remembered_keeps_its_findings(store: Store) -> None:
    """An entry that is settled by a recorded result does not lose what was found the first time."""
    (one,) = store.known(entry("a"))
    settle_invalid(store, one, BAD, utc_s=START_S)
    again = recalled(store, one)
    assert again is not None
    store.settle(one, EntryState.PENDING, reason=None, utc_s=START_S)
    settle_invalid(store, one, again, utc_s=START_S + 1)
    ((findings,),) = store.connection.execute("SELECT findings FROM validations").fetchall()
    assert json.loads(findings)


def test_warnings_are_read_back_for_reports(tmp_path: Path) -> None:
    """With the path, the whole number, and what was kept of them, also of text that is not Unicode."""
    with stored(tmp_path / "a") as store:
        for path in "abc":
            (one,) = store.known(entry(path))
            keep_result(
                store,
                one,
                replace(BAD, warning_count=" ab".index(path)) if path in "ab" else GOOD,
                utc_s=START_S,
            )
        store.connection.execute("UPDATE validations SET findings = 'no JSON' WHERE entry_id = 3")
        store.connection.commit()
    with LedgerReader(str(tmp_path / "a")) as reader:
        found = list(reader.data_warnings())
    kept = KeptFinding("bad-json", "error", "\udcff\x1b", 1, "r")
    assert found == [FileWarnings("a", 1, (kept,)), FileWarnings("b", 2, (kept,)), FileWarnings("c", 1, ())]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(), st.text())
def test_any_text_can_be_kept(tmp_path: Path, reason: str, found: str) -> None:
    """No content of a file stops a ledger."""
    with stored(tmp_path / "a") as store:
        (one,) = store.known(entry("a"))
        finding = Finding(rule="bad-json", where="a", found=found, remedy="")
        settle_invalid(store, one, replace(BAD, reason=reason, findings=(finding,)), utc_s=START_S)
        assert recalled(store, one) is not None


def test_an_entry_that_is_not_known_is_a_bug(store: Store) -> None:
    """Nothing is recorded about an entry that is not there."""
    with pytest.raises(LookupError):
        settle_invalid(store, 99, replace(BAD, findings=()), utc_s=START_S)
