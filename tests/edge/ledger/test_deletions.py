"""Deletions as the ledger tells them: between asking and the answer nobody claims to know."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.core.model import Fingerprint, ListedFile
from bulk_upload.core.report.export import ExportRow
from bulk_upload.edge.ledger import Deleted, LedgerReader, PlannedDeletion
from bulk_upload.edge.ledger.deletions import ask, end, live_receipts, live_total, path_of, unfinished
from bulk_upload.edge.ledger.manifest_marks import mark_dropped
from tests.edge.ledger.stage import LOST, PRINT, START_S, Store, accepted, entry, query, stored

NEWER = Fingerprint(size=200, mtime_ns=PRINT.mtime_ns + 1, inode=PRINT.inode)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stored(tmp_path / "a") as opened:
        yield opened


def asked(store: Store, one: PlannedDeletion) -> None:
    ask(store, one, asked_by="ann@desk", utc_s=START_S + 10)


def ended(store: Store, one: PlannedDeletion, outcome: Deleted, reason: str | None = None) -> None:
    end(store, one, outcome, reason=reason, utc_s=START_S + 11)


def row_of(tmp_path: Path, path: str, *, status: str | None = None) -> ExportRow:
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        rows = [one for one in reader.rows(all_receipts=True) if one.path == path]
    (row,) = [one for one in rows if status in (None, one.status)]
    return row


def test_while_a_deletion_is_open_the_entry_is_in_doubt(store: Store, tmp_path: Path) -> None:
    """A crash between request and answer leaves an entry that does not claim to have its file."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    asked(store, PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1"))
    row = row_of(tmp_path, "a", status="in_doubt")
    assert "undo" in str(row.reason)
    assert unfinished(store) == [PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")]
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        (doubt,) = reader.doubts()
    assert (doubt.attempt_id, doubt.candidate_id) == (None, "file-1")
    assert store.open_doubts() == []


@pytest.mark.parametrize("outcome", [Deleted.DELETED, Deleted.GONE])
def test_a_deleted_file_leaves_its_entry_pending_and_its_receipt_as_history(
    store: Store, tmp_path: Path, outcome: Deleted
) -> None:
    """The next run may send it again; the id is never forgotten: an answer that names it proves nothing."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("file-1"))
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    ended(store, deletion, outcome)
    assert "deleted from the server by undo" in str(row_of(tmp_path, "a", status="pending").reason)
    old = row_of(tmp_path, "a", status="superseded")
    assert (old.file_id, old.reason) == ("file-1", "deleted from the server by undo")
    store.tried(two, accepted("file-1"))
    assert row_of(tmp_path, "b").status == "in_doubt"
    assert live_total(store, only_superseded=False, only_dropped=False, adopted=False) == (0, 0)
    assert unfinished(store) == []
    assert query(tmp_path / "a", "SELECT asked_by, outcome FROM deletions") == [("ann@desk", outcome.value)]


def test_an_id_that_the_server_gives_again_is_the_new_files(store: Store, tmp_path: Path) -> None:
    """Ids may count up from the files that are left, or be hashes; the receipt of the deleted file stays as history."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("file-1"))
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    assert store.claimed(["file-1"]) == {"file-1"}
    ended(store, deletion, Deleted.DELETED)
    assert store.claimed(["file-1"]) == set()
    store.tried(one, accepted("file-2"))
    store.tried(two, accepted("file-1"))
    (doubt,) = store.open_doubts()
    again = ListedFile(file_id="file-1", filename="b", bytes=PRINT.size, purpose="fine-tune", created_at=None)
    assert store.adopt(doubt, again, content_hash=None, utc_s=START_S + 20)
    assert row_of(tmp_path, "a", status="accepted").file_id == "file-2"
    assert row_of(tmp_path, "b", status="accepted").file_id == "file-1"
    assert store.claimed(["file-1"]) == {"file-1"}


def test_a_file_that_was_kept_is_accepted_again(store: Store, tmp_path: Path) -> None:
    """The server said no: the receipt holds, and a later undo may ask again."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    ended(store, deletion, Deleted.KEPT, "HTTP 409: in use")
    assert row_of(tmp_path, "a").status == "accepted"
    assert live_total(store, only_superseded=False, only_dropped=False, adopted=False) == (1, PRINT.size)
    asked(store, deletion)
    ended(store, deletion, Deleted.DELETED)
    assert row_of(tmp_path, "a", status="pending").file_id is None


def test_asking_again_for_an_open_deletion_adds_nothing(store: Store, tmp_path: Path) -> None:
    """An undo that goes on where it was interrupted finishes the row that is there."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    asked(store, deletion)
    assert query(tmp_path / "a", "SELECT count(*) FROM deletions") == [(1,)]


def test_deleting_a_superseded_file_leaves_the_entry_alone(store: Store, tmp_path: Path) -> None:
    """The newer version stays accepted all the time."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    store.tried(one, accepted("file-2"), NEWER, utc_s=START_S + 5)
    (old,) = live_receipts(
        store, after_id=0, only_superseded=True, only_dropped=False, adopted=False, count_max=10
    )
    assert (old.file_id, old.superseded) == ("file-1", True)
    deletion = PlannedDeletion(entry_id=one, receipt_id=old.receipt_id, file_id="file-1")
    asked(store, deletion)
    assert row_of(tmp_path, "a", status="accepted").file_id == "file-2"
    ended(store, deletion, Deleted.DELETED)
    assert row_of(tmp_path, "a", status="accepted").file_id == "file-2"
    assert live_total(store, only_superseded=True, only_dropped=False, adopted=False) == (0, 0)
    assert live_total(store, only_superseded=False, only_dropped=False, adopted=False) == (1, NEWER.size)


@pytest.mark.parametrize("outcome", list(Deleted))
def test_an_upload_in_doubt_stays_so_whatever_becomes_of_the_older_file(
    store: Store, tmp_path: Path, outcome: Deleted
) -> None:
    """A newer version may be at the server: deleting the old one decides nothing about that."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    store.tried(one, LOST, NEWER, utc_s=START_S + 5)
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    ended(store, deletion, outcome)
    assert row_of(tmp_path, "a", status="in_doubt").status == "in_doubt"
    assert len(store.open_doubts()) == 1


def test_a_duplicate_is_deleted_without_a_receipt(store: Store, tmp_path: Path) -> None:
    """Its deletion is recorded, and its entry keeps its own file."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    deletion = PlannedDeletion(entry_id=one, receipt_id=None, file_id="file-9")
    asked(store, deletion)
    assert unfinished(store) == [deletion]
    ended(store, deletion, Deleted.DELETED)
    assert row_of(tmp_path, "a").file_id == "file-1"
    assert path_of(store, entry_id=one) == "a"


def test_dropped_entries_have_files_while_a_receipt_is_left(store: Store, tmp_path: Path) -> None:
    """Of an entry that was never accepted, or whose file is deleted, there is nothing to delete."""

    def has_files() -> bool:
        with LedgerReader(os.fspath(tmp_path / "a")) as reader:
            return reader.has_dropped_files()

    never, one, _ = store.known(entry("never"), entry("a"), entry("kept"))
    store.tried(one, accepted("file-1"))
    mark_dropped(store, [never], utc_s=START_S)
    assert not has_files()
    mark_dropped(store, [one], utc_s=START_S)
    assert has_files()
    deletion = PlannedDeletion(entry_id=one, receipt_id=1, file_id="file-1")
    asked(store, deletion)
    ended(store, deletion, Deleted.DELETED)
    assert not has_files()
