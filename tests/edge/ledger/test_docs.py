"""docs/reference/ledger.md says what the ledger is."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.core.limits.caps import CapChange
from bulk_upload.core.limits.change_log import ControllerState
from bulk_upload.core.model import EntryState
from bulk_upload.core.run.records import OUTCOME_NAMES
from bulk_upload.edge.ledger import ALIVE_EVERY_S, Deleted, PlannedDeletion, note_changes, note_states
from bulk_upload.edge.ledger.deletions import ask, end
from bulk_upload.edge.ledger.file.opening import BUSY_S
from bulk_upload.edge.ledger.file.schema import APPLICATION_ID, CREATE, SCHEMA_VERSION
from tests.edge.ledger.stage import LOST, START_S, accepted, entry, query, stored

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ledger.md").read_text("utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


def first_cells(text: str) -> list[str]:
    """The names in the first column of the first table in `text`."""
    table = re.search(r"^\|.*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert table is not None
    return re.findall(r"^\| `(\w+)` \|", table[0], re.MULTILINE)


def after(heading: str) -> str:
    return PAGE.partition(f"{heading}\n")[2]


def columns() -> dict[str, list[str]]:
    """The columns of every table, as SQLite has them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(CREATE)
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for (table,) in tables
        }


def test_every_table_and_column_is_explained() -> None:
    """The page names the tables and columns that exist, in their order, and no other."""
    tables = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert {table: first_cells(after(f"### `{table}`")) for table in tables} == columns()


def test_every_state_and_outcome_is_explained() -> None:
    """The page names the values that exist, and no other."""
    assert first_cells(after("## States of an entry")) == [one.value for one in EntryState]
    assert first_cells(PAGE[PAGE.index("| outcome | the entry") :]) == list(OUTCOME_NAMES.values())


def test_the_numbers_are_right() -> None:
    """Identifiers and times on the page are those of the code."""
    assert f"`application_id` {APPLICATION_ID} " in PAGE
    assert f"`user_version`, now {SCHEMA_VERSION}." in PAGE
    assert f"plus {ALIVE_EVERY_S:.0f} s" in PAGE
    assert f"at least every {ALIVE_EVERY_S:.0f} s" in PAGE
    assert f"for more than {BUSY_S:.0f} s" in PAGE


@pytest.mark.parametrize("sql", QUERIES)
def test_the_queries_work(tmp_path: Path, sql: str) -> None:
    """Each example finds something in a ledger that has it."""
    with stored(tmp_path / "a") as store:
        one, two, three = store.known(entry("a"), entry("b"), entry("c"))
        store.tried(one, accepted("id-1"))
        store.tried(two, LOST)
        store.intended(three)
        store.connection.execute("UPDATE receipts SET obtained = 'reconciled'")
        note_changes(
            store, [CapChange(what="--rate", before="off", after="5/s")], decided_by="me", utc_s=START_S
        )
        note_states(
            store, [(START_S, ControllerState(limit=8, rate_per_s=None, pause_s=0.0, reason="asked for"))]
        )
        ask(store, PlannedDeletion(entry_id=one, receipt_id=1, file_id="id-1"), asked_by="me", utc_s=START_S)
        end(
            store,
            PlannedDeletion(entry_id=one, receipt_id=1, file_id="id-1"),
            Deleted.KEPT,
            reason="no",
            utc_s=START_S,
        )
    assert query(tmp_path / "a", sql)
    assert len(QUERIES) == 11
