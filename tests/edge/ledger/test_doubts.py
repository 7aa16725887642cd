"""What the ledger knows of a doubt, and the steps that end one."""

from __future__ import annotations

from bulk_upload.core.model import (
    EntryState,
    InDoubt,
    ListedFile,
    ReceiptOrigin,
    Unavailable,
)
from bulk_upload.core.run.reconcile import Doubt
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import ALIVE_EVERY_S
from bulk_upload.edge.ledger.owned_ids import rival_claims
from bulk_upload.edge.ledger.reading.receipts import receipt_of
from bulk_upload.edge.ledger.reading.run_receipts import receipt_by_answer
from bulk_upload.edge.ledger.withdrawals import question_receipt, withdraw_receipt
from tests.edge.ledger.stage import (
    LOST,
    NEWER,
    PRINT,
    START_S,
    Store,
    accepted,
    attempt,
    doubt,
    entry,
    listed,
)


def test_a_dead_runs_attempts_are_in_doubt(store: Store) -> None:
    """What a run left open may be at the server: the next run finds it in doubt, whatever it was before."""
    fresh, again, unsent, done = store.known(entry("a"), entry("b"), entry("c"), entry("d"))
    store.tried(again, accepted("id-1"))
    store.tried(done, accepted("id-2"))
    store.intended(fresh)
    store.intended(again, NEWER)
    store.mark_not_sent([store.intended(unsent)], reason="drained", utc_s=START_S)
    store.begin_run(version="2", utc_s=START_S + 100)
    states = [store.row(one)["state"] for one in (fresh, again, unsent, done)]
    assert states == ["in_doubt", "in_doubt", "pending", "accepted"]
    row = store.row(again)
    assert (row["attempt_count"], row["receipt_id"], row["http_status"], row["settled_utc"]) == (
        2,
        1,
        None,
        None,
    )
    assert {(one.entry_id, one.file_bytes) for one in store.open_doubts()} == {(fresh, 100), (again, 200)}
    assert attempt(store, 3) | {"ended_utc": None} == attempt(store, 3) | {
        "outcome": "in_doubt",
        "answered": 0,
        "ended_utc": None,
    }
    store.begin_run(version="3", utc_s=START_S + 200)
    assert len(store.open_doubts()) == 2


def settles_at_s(store: Store) -> float:
    return doubt(store).settles_at_utc_s


def test_a_crash_settles_from_the_last_sign_of_life(store: Store) -> None:
    """Absence is believed 30 s after the run can last have sent something: one interval after its last word."""
    (one,) = store.known(entry("a"))
    store.intended(one)
    store.stay_alive(utc_s=START_S + 50)
    store.begin_run(version="2", utc_s=START_S + 5000)
    assert settles_at_s(store) == START_S + 50 + ALIVE_EVERY_S + 30


def test_a_record_of_an_attempt_is_a_sign_of_life(store: Store) -> None:
    """A loop too busy to say that it lives still records what it does."""
    one, two = store.known(entry("a"), entry("b"))
    store.intended(one)
    store.tried(two, Unavailable(reason="refused"), utc_s=START_S + 60)
    store.begin_run(version="2", utc_s=START_S + 5000)
    assert settles_at_s(store) == START_S + 60 + ALIVE_EVERY_S + 30


def test_a_quick_restart_settles_from_now(store: Store) -> None:
    """A restart within the interval, or after the clock was set back, counts from the restart."""
    (one,) = store.known(entry("a"))
    store.intended(one, utc_s=START_S + 40)
    store.begin_run(version="2", utc_s=START_S + 41)
    assert settles_at_s(store) == START_S + 41 + 30


def test_a_doubt_tells_what_was_sent_and_when(store: Store) -> None:
    """Doubts come oldest first, with all that a listing is compared with."""
    one, two = store.known(entry("a"), entry("b", purpose="other"))
    store.tried(
        one, InDoubt(reason="500", answered=True, http_status=500, candidate_id="c"), utc_s=START_S + 1
    )
    store.tried(two, LOST, NEWER, utc_s=START_S + 2)
    first, second = store.open_doubts()
    assert first == Doubt(
        entry_id=one,
        attempt_id=1,
        sent_name="name",
        file_bytes=100,
        purpose="fine-tune",
        sent_at_utc_s=START_S + 1,
        settles_at_utc_s=START_S + 1 + 2,
        candidate_id="c",
        settle_s=2.0,
    )
    assert (second.entry_id, second.file_bytes, second.purpose) == (two, 200, "other")
    assert second.settles_at_utc_s == START_S + 2 + 30


def test_adoption_gives_the_entry_its_receipt(store: Store) -> None:
    """A file found in the list becomes the attempt's: accepted, with a receipt that says how it was obtained."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("id-1"))
    store.tried(one, InDoubt(reason="500", answered=True, http_status=500), NEWER)
    assert store.adopt(doubt(store), listed("id-9"), content_hash="b" * 64, utc_s=START_S + 8)
    row = store.row(one)
    assert (row["state"], row["http_status"], row["reason"]) == ("accepted", None, None)
    assert (row["size"], row["settled_utc"], row["attempt_count"]) == (200, utc_text(START_S + 8), 2)
    receipt = receipt_of(store, one)
    assert (receipt.file_id, receipt.file_bytes, receipt.obtained) == ("id-9", 200, ReceiptOrigin.RECONCILED)
    assert receipt.content_hash == "a" * 64
    assert store.open_doubts() == []
    assert attempt(store, 2)["resolution"] == "adopted id-9"
    decided = store.connection.execute(
        "SELECT entry_id, run_id, decided_by, decision FROM decisions"
    ).fetchall()
    assert decided == [(one, 1, "reconciliation", "adopted id-9")]


def test_adoption_keeps_the_hash_of_a_dead_run(store: Store) -> None:
    """An attempt whose run died has no hash; one that was made since, of the same file, is kept."""
    (one,) = store.known(entry("a"))
    store.intended(one)
    store.begin_run(version="2", utc_s=START_S + 1)
    assert store.attempt_fingerprint(1) == PRINT
    assert store.adopt(doubt(store), listed("id-1"), content_hash="b" * 64, utc_s=START_S + 2)
    assert receipt_of(store, one).sha256 == "b" * 64


def test_a_claimed_file_is_not_adopted(store: Store) -> None:
    """A file that another entry got meanwhile is refused, and the doubt stays as it was."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(two, LOST)
    before = doubt(store)
    store.tried(one, accepted("id-1"))
    assert not store.adopt(before, listed("id-1"), content_hash=None, utc_s=START_S)
    assert doubt(store) == before
    assert store.row(two)["state"] == "in_doubt"


def test_release_makes_the_entry_pending(store: Store) -> None:
    """A doubt that left nothing is resolved, and the entry may be sent again."""
    (one,) = store.known(entry("a"))
    store.tried(one, LOST)
    store.release(doubt(store), "not at the server", utc_s=START_S + 1)
    row = store.row(one)
    assert (row["state"], row["reason"], row["settled_utc"]) == ("pending", "not at the server", None)
    assert store.open_doubts() == []
    assert store.connection.execute("SELECT decision FROM decisions").fetchall() == [("not at the server",)]
    store.tried(one, accepted("id-1"))
    assert store.row(one)["state"] == "accepted"


def test_a_receipt_that_rests_on_an_answer_can_be_questioned(store: Store) -> None:
    """The entry is in doubt then, with the id as its candidate; what a list or a person decided stays."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("id-1"))
    receipt = receipt_by_answer(store, file_id="id-1")
    assert receipt is not None
    assert question_receipt(store, receipt, reason="another has it, too", decided_by="x", utc_s=START_S)
    assert receipt_by_answer(store, file_id="id-1") is None
    assert store.claimed(["id-1"]) == set()
    row = store.row(one)
    assert (row["state"], row["receipt_id"], row["reason"]) == ("in_doubt", 1, "another has it, too")
    (doubt,) = store.open_doubts()
    assert (doubt.entry_id, doubt.candidate_id) == (one, "id-1")
    ((file_id, claim),) = rival_claims(store.connection, entry_id=two, file_ids=["id-0", "id-1"])
    assert (file_id, claim.entry_id) == ("id-1", one)
    assert rival_claims(store.connection, entry_id=one, file_ids=["id-1"]) == []
    assert store.adopt(doubt, ListedFile(file_id="id-1"), content_hash=None, utc_s=START_S)
    assert receipt_by_answer(store, file_id="id-1") is None
    assert store.row(one)["state"] == "accepted"


def test_a_questioned_id_that_turns_out_to_be_anothers_is_withdrawn(store: Store) -> None:
    """The other entry gets the receipt; the one in question stays on record, and its entry in doubt."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("id-1"))
    store.tried(two, accepted("id-1"))
    receipt = receipt_by_answer(store, file_id="id-1")
    assert receipt is not None
    assert question_receipt(store, receipt, reason="another has it, too", decided_by="x", utc_s=START_S)
    of_one, of_two = sorted(store.open_doubts(), key=lambda doubt: doubt.entry_id)
    assert (of_one.candidate_id, of_two.candidate_id) == ("id-1", "id-1")
    assert store.adopt(of_two, ListedFile(file_id="id-1"), content_hash=None, utc_s=START_S)
    assert (store.row(one)["state"], store.row(one)["receipt_id"]) == ("in_doubt", None)
    (of_one,) = store.open_doubts()
    assert of_one.candidate_withdrawn
    rows = store.connection.execute("SELECT entry_id, withdrawn_reason FROM receipts ORDER BY receipt_id")
    assert rows.fetchall() == [(one, "it is another entry's file"), (two, None)]
    assert not store.adopt(of_one, ListedFile(file_id="id-1"), content_hash=None, utc_s=START_S)


def test_an_answer_with_a_withdrawn_id_names_no_candidate(store: Store) -> None:
    """The id was false once: an answer that has it again proves nothing."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("id-1"))
    receipt = receipt_by_answer(store, file_id="id-1")
    assert receipt is not None
    assert withdraw_receipt(
        store, receipt, state=EntryState.IN_DOUBT, reason="false", decided_by="x", utc_s=START_S
    )
    outcome = store.tried(two, accepted("id-1"))
    assert isinstance(outcome, InDoubt)
    assert outcome.candidate_id is None
