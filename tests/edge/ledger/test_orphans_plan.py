"""Queries that show open attempts cost the same for the first entry and for the millionth."""

from __future__ import annotations

import sqlite3

import pytest

from bulk_upload.edge.ledger.file.schema import CREATE
from bulk_upload.edge.ledger.reading import orphans


@pytest.mark.parametrize("run_at_work", [True, False])
def test_no_entry_scans_all_attempts(run_at_work: bool) -> None:
    """Whether a run is at work or not, SQLite finds an entry's open attempt by a key, never by a scan."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(CREATE)
    join = orphans.open_attempts("main", run_at_work=run_at_work)
    steps = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT e.entry_id, {orphans.STATE} FROM entries e {join}"
    ).fetchall()
    connection.close()
    attempts = [detail for *_, detail in steps if " a" in detail.split(" USING")[0]]
    assert attempts, steps
    assert all(detail.startswith("SEARCH") for detail in attempts), steps
    connection.close()
