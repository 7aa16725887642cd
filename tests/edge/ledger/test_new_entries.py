"""Entries of a plan that become rows of the ledger without becoming values on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bulk_upload.core.run.plan import Step
from bulk_upload.edge.ledger import Staging
from bulk_upload.edge.ledger.reading import new_entries
from bulk_upload.edge.ledger.reading.new_entries import entry_row
from tests.edge.ledger.stage import START_S, entry, opened, planned, stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ODD = ["plain", "\ud800", "\udcff", "\ud83d tail", "a\0b", "ü\u202e\n", "\U0001f600"]
ENTRIES = [
    *(entry(text, purpose=text) for text in ODD),
    *(entry(f"name {text}", remote_name=text, vector_database_id=text) for text in ODD),
    entry("fields", fields=(("b", "ü\udcff"), ("a", ""))),
]


def test_rows_are_those_of_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its text, an entry that was staged has the row that it has itself, in manifest order, page by page."""
    monkeypatch.setattr(new_entries, "_NEW", new_entries._NEW.replace("LIMIT 4096", "LIMIT 4"))
    staging = Staging(None)
    stage(staging, *ENTRIES)
    pages = list(new_entries.new_entries(staging))
    staging.close()
    assert {len(page) for page in pages[:-1]} == {4}
    assert [row for page in pages for row in page] == [entry_row(one) for one in ENTRIES]


async def test_rows_are_registered_as_entries_are(tmp_path: Path) -> None:
    """Only entries to send that were new are rows; the ledger has them as pending, and those it had as they were."""
    staging = Staging(None)
    staging.add(
        [
            planned(entry("new")),
            planned(entry("known"), entry_id=1),
            planned(entry("gone"), step=Step.MISSING, fingerprint=None),
        ]
    )
    (rows,) = new_entries.new_entries(staging)
    staging.close()
    assert rows == [entry_row(entry("new"))]
    async with opened(tmp_path / "ledger.db") as ledger:
        await ledger.writer.run(lambda store: store.register([entry("known")], utc_s=START_S))
        again = [*rows, entry_row(entry("known"))]
        await ledger.writer.run(lambda store: store.register_rows(again, utc_s=START_S + 1))
        found = await ledger.writer.run(
            lambda store: store.connection.execute(
                "SELECT path, state, first_seen_utc FROM entries ORDER BY entry_id"
            ).fetchall()
        )
    assert [(path, state) for path, state, _ in found] == [(b"known", "pending"), (b"new", "pending")]
    assert found[0][2] < found[1][2]
