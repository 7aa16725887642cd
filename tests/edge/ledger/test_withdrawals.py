"""Receipts that turned out to be false, or that may be: what is recorded, and whose their ids are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, EntryState, Fingerprint, InDoubt, ListedFile, ReceiptOrigin
from bulk_upload.core.run.verify import HeldReceipt, Standing
from bulk_upload.edge.ledger.deletions import current_receipt, live_receipts
from bulk_upload.edge.ledger.manifest_marks import mark_dropped
from bulk_upload.edge.ledger.withdrawals import question_receipt, withdraw_receipt
from tests.edge.ledger.stage import START_S, Store, accepted, entry, exported, query, stored

NEWER = Fingerprint(size=250, mtime_ns=2, inode=8)
WHY = "the server shows file-b as 'b'"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store with a run begun."""
    with stored(tmp_path / "a") as made:
        yield made


def held(store: Store, entry_id: int) -> HeldReceipt:
    """The receipt that an entry has."""
    receipt = current_receipt(store, entry_id=entry_id)
    assert receipt is not None
    return receipt


def withdraw(store: Store, receipt: HeldReceipt, state: EntryState = EntryState.IN_DOUBT) -> bool:
    """Withdraw a receipt."""
    return withdraw_receipt(
        store, receipt, state=state, reason=WHY, decided_by="closing check", utc_s=START_S + 5
    )


def question(store: Store, receipt: HeldReceipt) -> bool:
    """Put a receipt in question."""
    return question_receipt(
        store, receipt, reason="not in the list", decided_by="closing check", utc_s=START_S + 5
    )


def listed(file_id: str) -> ListedFile:
    """A file in the server's list that is what was sent."""
    return ListedFile(
        file_id=file_id, filename="name", bytes=100, purpose="fine-tune", created_at="2026-05-28"
    )


def test_a_contradicted_receipt_leaves_its_entry_in_doubt(store: Store, tmp_path: Path) -> None:
    """The id stays in the ledger as withdrawn, the entry has no receipt, its attempt is in doubt with the id."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-b"))
    assert withdraw(store, held(store, one))
    row = store.row(one)
    assert (row["state"], row["receipt_id"], row["settled_utc"], row["reason"]) == (
        "in_doubt",
        None,
        None,
        WHY,
    )
    (doubt,) = store.open_doubts()
    assert (doubt.candidate_id, doubt.candidate_withdrawn) == ("file-b", True)
    assert (
        live_receipts(
            store, after_id=0, only_superseded=False, only_dropped=False, adopted=False, count_max=9
        )
        == []
    )
    assert query(tmp_path / "a", "SELECT decided_by, decision FROM decisions") == [
        ("closing check", f"withdrew file-b: {WHY}")
    ]
    rows = exported(tmp_path / "a", all_receipts=True)
    assert [(row.status, row.file_id, row.reason) for row in rows] == [
        ("in_doubt", None, WHY),
        ("withdrawn", "file-b", WHY),
    ]


def test_a_receipt_of_a_file_that_is_gone_settles_its_entry(store: Store, tmp_path: Path) -> None:
    """The state is `withdrawn`, and no doubt is left: the server surely does not have the file."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-a"))
    assert withdraw(store, held(store, one), EntryState.WITHDRAWN)
    assert store.row(one)["state"] == "withdrawn"
    assert store.row(one)["settled_utc"] is not None
    assert store.open_doubts() == []
    rows = exported(tmp_path / "a", all_receipts=True)
    assert [(row.status, row.file_id) for row in rows] == [("withdrawn", None), ("withdrawn", "file-a")]


def test_a_receipt_tells_what_it_is_to_its_entry(store: Store) -> None:
    """Only those that stand for an accepted entry are withdrawn; no run sends what the manifest no longer has."""
    current, dropped, superseded, questioned = store.known(entry("a"), entry("b"), entry("c"), entry("d"))
    for one in (current, dropped, superseded, questioned):
        store.tried(one, accepted(f"file-{one}"))
    store.tried(superseded, accepted("file-new"), NEWER)
    mark_dropped(store, [dropped, superseded, questioned], utc_s=START_S + 3)
    assert question(store, held(store, questioned))
    receipts = live_receipts(
        store, after_id=0, only_superseded=False, only_dropped=False, adopted=False, count_max=9
    )
    assert [(one.file_id, one.standing) for one in receipts] == [
        (f"file-{current}", Standing.CURRENT),
        (f"file-{dropped}", Standing.DROPPED),
        (f"file-{superseded}", Standing.SUPERSEDED),
        (f"file-{questioned}", Standing.OPEN),
        ("file-new", Standing.DROPPED),
    ]


def test_only_the_receipt_of_an_accepted_entry_is_withdrawn(store: Store) -> None:
    """One that a newer version of the file replaced since, or that was withdrawn, is left as it is."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    old = held(store, one)
    store.tried(one, accepted("file-2"), NEWER)
    assert not withdraw(store, old)
    assert not question(store, old)
    new = held(store, one)
    assert withdraw(store, new)
    assert not withdraw(store, new)
    assert not question(store, new)
    assert store.connection.execute("SELECT count(*) FROM decisions").fetchone() == (1,)


def test_a_withdrawn_id_is_its_real_owners_by_evidence_only(store: Store) -> None:
    """After crossed answers each entry adopts its own file; an answer that repeats a withdrawn id proves nothing."""
    a, b, c = store.known(entry("a"), entry("b"), entry("c"))
    store.tried(a, accepted("file-b"))
    store.tried(b, accepted("file-a"))
    for one in (a, b):
        assert withdraw(store, held(store, one))
    assert isinstance(store.tried(c, accepted("file-a")), InDoubt)
    assert store.claimed(["file-a", "file-b"]) == set()
    first, second, _ = store.open_doubts()
    assert store.adopt(first, listed("file-a"), content_hash=None, utc_s=START_S + 9)
    assert store.adopt(second, listed("file-b"), content_hash=None, utc_s=START_S + 9)
    assert (held(store, a).file_id, held(store, b).file_id) == ("file-a", "file-b")
    assert store.claimed(["file-a", "file-b"]) == {"file-a", "file-b"}
    (third,) = store.open_doubts()
    assert not store.adopt(third, listed("file-a"), content_hash=None, utc_s=START_S + 9)


def test_an_id_has_one_receipt_that_is_believed(store: Store) -> None:
    """The database itself refuses a second one, whatever was withdrawn."""
    a, b = store.known(entry("a"), entry("b"))
    store.tried(a, accepted("file-1"))
    store.tried(b, accepted("file-2"))
    steal = "UPDATE receipts SET file_id = 'file-1' WHERE receipt_id = 2"
    with pytest.raises(sqlite3.IntegrityError):
        store.connection.execute(steal)
    withdraw(store, held(store, a))
    store.connection.execute(steal)


def test_a_receipt_in_question_stays_until_it_is_decided(store: Store, tmp_path: Path) -> None:
    """Found again under its id, the same receipt is believed again: the id was never another entry's."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-a"))
    receipt = held(store, one)
    assert question(store, receipt)
    assert (store.row(one)["state"], store.row(one)["receipt_id"]) == ("in_doubt", 1)
    (doubt,) = store.open_doubts()
    assert (doubt.candidate_id, doubt.candidate_withdrawn) == ("file-a", False)
    assert store.claimed(["file-a"]) == set()
    assert store.adopt(doubt, listed("file-a"), content_hash=None, utc_s=START_S + 9)
    assert held(store, one) == receipt
    assert query(tmp_path / "a", "SELECT file_id, obtained, withdrawn_utc FROM receipts") == [
        ("file-a", "answered", None)
    ]


@pytest.mark.parametrize("is_found", [True, False])
def test_a_receipt_in_question_is_withdrawn_where_it_was_false(
    store: Store, tmp_path: Path, is_found: bool
) -> None:
    """Whether its file has another id, or the server does not have it at all."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-x"))
    question(store, held(store, one))
    (doubt,) = store.open_doubts()
    if is_found:
        assert store.adopt(doubt, listed("file-a"), content_hash=None, utc_s=START_S + 9)
        assert held(store, one).file_id == "file-a"
        why = "the file is file-a"
    else:
        store.release(doubt, "not on the server", utc_s=START_S + 9)
        assert store.row(one)["receipt_id"] is None
        why = "not on the server"
    rows = query(
        tmp_path / "a", "SELECT file_id, withdrawn_reason FROM receipts WHERE withdrawn_utc IS NOT NULL"
    )
    assert rows == [("file-x", why)]


def test_a_withdrawn_receipt_of_a_list_is_in_doubt_again(store: Store) -> None:
    """The attempt that was resolved by an adoption is open once more."""
    (one,) = store.known(entry("a"))
    store.tried(one, InDoubt(reason="lost", answered=False))
    (doubt,) = store.open_doubts()
    store.adopt(doubt, listed("file-x"), content_hash=None, utc_s=START_S, obtained=ReceiptOrigin.ADOPTED)
    assert store.open_doubts() == []
    withdraw(store, held(store, one))
    (again,) = store.open_doubts()
    assert (again.attempt_id, again.candidate_id) == (doubt.attempt_id, "file-x")


def test_a_withdrawn_entry_is_accepted_again_by_a_new_upload(store: Store) -> None:
    """Its old id stays withdrawn."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("file-1"))
    withdraw(store, held(store, one), EntryState.WITHDRAWN)
    assert isinstance(store.tried(one, accepted("file-2")), Accepted)
    assert held(store, one).file_id == "file-2"
    rows = store.connection.execute("SELECT file_id, withdrawn_utc IS NULL, superseded_utc FROM receipts")
    assert rows.fetchall() == [("file-1", 0, None), ("file-2", 1, None)]
