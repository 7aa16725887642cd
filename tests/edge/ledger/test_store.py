"""The steps of the ledger, one by one: what each records, and what it refuses to record."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from bulk_upload.core.limits.caps import CapChange
from bulk_upload.core.limits.change_log import ControllerState
from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.model import (
    EntryState,
    Fingerprint,
    InDoubt,
    ListedFile,
    Misdirected,
    NotSent,
    Outcome,
    ReceiptOrigin,
    Refused,
    Rejected,
    SourceFailed,
    Throttled,
    Unavailable,
)
from bulk_upload.core.run.records import state_after
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import note_changes, note_states, refresh, remember, remembered
from bulk_upload.edge.ledger.reading.receipts import receipt_of
from tests.edge.ledger.stage import (
    JOB,
    LOST,
    NEWER,
    PRINT,
    START_S,
    Store,
    accepted,
    attempt,
    attempt_over,
    doubt,
    entry,
    intent,
    listed,
    query,
    stored,
)


def test_register_makes_entries_pending_and_keeps_known_ones(store: Store) -> None:
    """A new entry is pending; one that is known stays what it is, and so does when it was first seen."""
    one, two = (
        entry("a", fields=(("b", "1"), ("c", "ü"))),
        entry("b", remote_name="r", vector_database_id="v"),
    )
    ids = store.known(one, two)
    store.tried(ids[0], accepted("id-1"))
    store.register([one, two, entry("c")], utc_s=START_S + 9)
    assert store.row(ids[0]) | {"key": b""} == {
        "entry_id": 1,
        "key": b"",
        "path": b"a",
        "purpose": "fine-tune",
        "remote_name": None,
        "vector_database_id": None,
        "fields": '{"b": "1", "c": "\\u00fc"}',
        "state": "accepted",
        "size": 100,
        "mtime_ns": PRINT.mtime_ns,
        "inode": 7,
        "ctime_ns": None,
        "receipt_id": 1,
        "attempt_count": 1,
        "http_status": 200,
        "reason": None,
        "first_seen_utc": utc_text(START_S),
        "settled_utc": utc_text(START_S),
        "dropped_utc": None,
        "etag": None,
        "version": None,
    }
    assert store.row(ids[0])["key"] == one.key
    assert store.row(ids[1])["remote_name"] == b"r"
    assert store.row(ids[1])["vector_database_id"] == "v"
    assert [store.row(number)["state"] for number in (1, 2, 3)] == ["accepted", "pending", "pending"]


def test_intents_come_back_in_order_and_leave_the_entry_alone(store: Store) -> None:
    """An intent is an open attempt with the file's fingerprint; the entry is untouched until it ends."""
    ids = store.known(entry("a"), entry("b"), entry("c"))
    attempt_ids = store.intend([intent(one) for one in reversed(ids)])
    assert [attempt(store, one)["entry_id"] for one in attempt_ids] == ids[::-1]
    assert attempt(store)["outcome"] is None
    assert (attempt(store)["size"], attempt(store)["inode"], attempt(store)["intent_utc"]) == (
        100,
        7,
        utc_text(START_S),
    )
    assert {store.row(one)["state"] for one in ids} == {"pending"}
    assert store.intend([]) == []


def test_an_entry_has_at_most_one_open_attempt(store: Store) -> None:
    """Two requests for one entry at once cannot be recorded."""
    (one,) = store.known(entry("a"))
    store.intended(one)
    with pytest.raises(sqlite3.IntegrityError):
        store.intended(one)


def test_an_attempt_needs_an_entry(store: Store) -> None:
    """An intent for an entry that is not there is refused."""
    with pytest.raises(sqlite3.IntegrityError):
        store.intended(77)


OUTCOMES: list[tuple[Outcome, str, EntryState]] = [
    (accepted("id-1", request_id="r"), "accepted", EntryState.ACCEPTED),
    (Rejected(http_status=422, reason="bad"), "rejected", EntryState.REJECTED),
    (Refused(http_status=401, reason="key"), "refused", EntryState.PENDING),
    (Misdirected(http_status=307, location_host="evil"), "misdirected", EntryState.PENDING),
    (Throttled(http_status=429, retry_after_s=1.0, reason="slow"), "throttled", EntryState.PENDING),
    (Unavailable(reason="refused"), "unavailable", EntryState.PENDING),
    (
        InDoubt(reason="lost", answered=True, http_status=500, candidate_id="c"),
        "in_doubt",
        EntryState.IN_DOUBT,
    ),
    (SourceFailed(reason="changed"), "source_failed", EntryState.FAILED_LOCAL),
    (NotSent(reason="drained"), "not_sent", EntryState.PENDING),
]


@pytest.mark.parametrize(("outcome", "name", "state"), OUTCOMES)
def test_every_outcome_is_recorded(store: Store, outcome: Outcome, name: str, state: EntryState) -> None:
    """An outcome closes its attempt and puts the entry where the outcome says, with status and reason."""
    (one,) = store.known(entry("a"))
    assert store.tried(one, outcome, utc_s=START_S + 1) == outcome
    assert state_after(outcome) is state
    row, made = store.row(one), attempt(store)
    assert (row["state"], row["attempt_count"]) == (state.value, 1)
    assert (row["size"], row["mtime_ns"], row["inode"]) == (PRINT.size, PRINT.mtime_ns, PRINT.inode)
    assert row["settled_utc"] == (utc_text(START_S + 1) if state.settled else None)
    assert row["http_status"] == made["http_status"] == getattr(outcome, "http_status", None)
    assert row["reason"] == made["reason"]
    assert (row["reason"] is None) == (name == "accepted")
    assert (made["outcome"], made["ended_utc"]) == (name, utc_text(START_S + 1))
    assert made["sha256"] == "a" * 64
    assert made["candidate_id"] == getattr(outcome, "candidate_id", None)
    assert made["answered"] == (1 if name == "in_doubt" else None)
    assert made["request_id"] == getattr(outcome, "request_id", None)
    assert {one.candidate_id for one in store.open_doubts()} == ({"c"} if name == "in_doubt" else set())


def test_an_accepted_attempt_has_a_receipt(store: Store) -> None:
    """The receipt binds path, content and purpose to the id, and says how it was obtained."""
    (one,) = store.known(entry("a\udcff"))
    store.tried(one, accepted("id-1", created_at="then"), utc_s=START_S + 2)
    receipt = receipt_of(store, one)
    assert (receipt.path, receipt.purpose, receipt.file_id) == ("a\udcff", "fine-tune", "id-1")
    assert (receipt.file_bytes, receipt.content_hash, receipt.sent_name) == (100, "a" * 64, "name")
    assert (receipt.obtained, receipt.size_confirmed) == (ReceiptOrigin.ANSWERED, True)
    assert receipt.settled_utc == utc_text(START_S + 2)
    found = store.connection.execute("SELECT server_created_at, superseded_utc FROM receipts").fetchall()
    assert found == [("then", None)]


def test_a_warning_is_the_reason_of_an_accepted_entry(store: Store) -> None:
    """What the server changed about a file is kept with it."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("id-1", warnings=("renamed", "retyped")))
    assert store.row(one)["reason"] == "renamed; retyped"


def test_an_id_that_is_taken_makes_the_attempt_doubtful(store: Store) -> None:
    """One id is never given to two entries, nor to an entry twice: the second answer is not believed."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("id-1"))
    for who in (two, one):
        outcome = store.tried(who, accepted("id-1", request_id="r"), NEWER)
        assert isinstance(outcome, InDoubt)
        assert "id-1" in outcome.reason
        assert (outcome.candidate_id, outcome.request_id) == ("id-1", "r")
        assert store.row(who)["state"] == "in_doubt"
    assert store.connection.execute("SELECT count(*) FROM receipts").fetchone() == (1,)


def test_a_superseded_receipt_stays_and_keeps_its_id(store: Store) -> None:
    """A newer version's receipt takes the old one's place; the old id is still known, and still taken."""
    one, two = store.known(entry("a"), entry("b"))
    store.tried(one, accepted("id-1"))
    store.tried(one, accepted("id-2"), NEWER, utc_s=START_S + 7)
    assert receipt_of(store, one).file_id == "id-2"
    assert receipt_of(store, one).file_bytes == NEWER.size
    found = store.connection.execute("SELECT file_id, superseded_utc FROM receipts ORDER BY receipt_id")
    assert found.fetchall() == [("id-1", utc_text(START_S + 7)), ("id-2", None)]
    assert store.claimed(["id-1", "id-2", "id-3"]) == {"id-1", "id-2"}
    assert isinstance(store.tried(two, accepted("id-1")), InDoubt)


def test_claimed_takes_any_number_of_ids(store: Store) -> None:
    """A long listing is no reason to fail."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("id-7"))
    assert store.claimed([f"id-{number}" for number in range(40_000)]) == {"id-7"}
    assert store.claimed([]) == set()


def test_an_attempt_that_fails_keeps_the_receipt_of_the_version_before(store: Store) -> None:
    """The entry is pending again, and the id of the older version is not forgotten."""
    (one,) = store.known(entry("a"))
    store.tried(one, accepted("id-1"))
    store.tried(one, Unavailable(reason="refused"), NEWER)
    assert (store.row(one)["state"], store.row(one)["receipt_id"]) == ("pending", 1)
    assert store.row(one)["settled_utc"] is None
    assert store.claimed(["id-1"]) == {"id-1"}


def test_reopening_puts_rejected_entries_back(store: Store) -> None:
    """Entries that were rejected before the key was known to be at fault are pending again."""
    one, two, three = store.known(entry("a"), entry("b"), entry("c"))
    for who in (one, two):
        store.tried(who, Rejected(http_status=403, reason="no"))
    store.tried(three, Refused(http_status=403, reason="the key"), reopen=(one, two))
    assert [store.row(who)["state"] for who in (one, two, three)] == ["pending"] * 3
    assert store.row(one)["reason"] == "the key"
    assert store.row(one)["settled_utc"] is None


def test_intents_are_marked_as_not_sent(store: Store) -> None:
    """An intent that was not acted on is closed as such and costs the entry no attempt."""
    one, two = store.known(entry("a"), entry("b"))
    attempt_ids = store.intend([intent(one), intent(two)])
    store.mark_not_sent(attempt_ids, reason="drained", utc_s=START_S + 1)
    store.mark_not_sent([], reason="drained", utc_s=START_S + 1)
    assert (attempt(store)["outcome"], attempt(store)["reason"]) == ("not_sent", "drained")
    assert (store.row(one)["state"], store.row(one)["attempt_count"]) == ("pending", 0)
    store.begin_run(version="2", utc_s=START_S + 2)
    assert store.open_doubts() == []
    store.intended(one)


def test_settle_explain_and_refresh_change_one_thing_each(store: Store) -> None:
    """A state without an attempt, a reason, a fingerprint: nothing else moves."""
    (one,) = store.known(entry("a"))
    store.settle(one, EntryState.FAILED_LOCAL, reason="gone", utc_s=START_S + 3)
    row = store.row(one)
    assert (row["state"], row["reason"], row["settled_utc"]) == (
        "failed_local",
        "gone",
        utc_text(START_S + 3),
    )
    store.explain(one, "still gone")
    assert store.row(one) == row | {"reason": "still gone"}
    refresh(store, one, NEWER, content_hash="a" * 64)
    assert store.row(one) == row | {"reason": "still gone", "size": 200, "mtime_ns": 2, "inode": 8}
    store.settle(one, EntryState.PENDING, reason=None, utc_s=START_S + 4)
    assert store.row(one)["settled_utc"] is None


def test_no_entry_is_accepted_without_a_receipt(store: Store) -> None:
    """The file refuses what would be a lie, whoever tells it."""
    (one,) = store.known(entry("a"))
    with pytest.raises(sqlite3.IntegrityError):
        store.settle(one, EntryState.ACCEPTED, reason=None, utc_s=START_S)


def test_what_is_not_there_cannot_be_changed(store: Store) -> None:
    """A step about an unknown entry, or about an attempt that ended already, fails instead of being lost."""
    (one,) = store.known(entry("a"))
    store.tried(one, LOST)
    known = doubt(store)
    store.release(known, "sent again", utc_s=START_S)
    for step in (
        lambda: store.settle(77, EntryState.PENDING, reason=None, utc_s=START_S),
        lambda: store.explain(77, "why"),
        lambda: refresh(store, 77, PRINT, content_hash="a" * 64),
        lambda: store.mark_not_sent([1], reason="late", utc_s=START_S),
        lambda: store.conclude(attempt_over(1, one, accepted("id-1"))),
        lambda: store.conclude(attempt_over(77, one, accepted("id-1"))),
        lambda: store.release(known, "again", utc_s=START_S),
        lambda: store.adopt(known, listed("id-9"), content_hash=None, utc_s=START_S),
        lambda: store.attempt_fingerprint(77),
    ):
        store.connection.execute("BEGIN")
        with pytest.raises(LookupError):
            step()
        store.connection.execute("ROLLBACK")
    assert attempt(store)["outcome"] == "in_doubt"


def test_changes_of_the_limit_are_on_record(store: Store) -> None:
    """Why a run was as fast as it was can be read afterwards."""
    state = ControllerState(limit=8, rate_per_s=2.5, pause_s=1.0, reason="429")
    note_states(store, [(START_S, state)])
    found = store.connection.execute(
        "SELECT run_id, at_utc, in_flight_limit, reason, starts_per_s, pause_s FROM controller_events"
    ).fetchall()
    assert found == [(1, utc_text(START_S), 8, "429", 2.5, 1.0)]


def test_what_a_person_changes_is_on_record(store: Store) -> None:
    """Who changed a cap of a run at work, when, to what and from what."""
    change = CapChange(what="--rate", before="off", after="5/s")
    note_changes(store, [change], decided_by="kim (uid 7)", utc_s=START_S + 1)
    found = store.connection.execute(
        "SELECT entry_id, run_id, decided_utc, decided_by, decision, detail FROM decisions"
    ).fetchall()
    assert found == [(None, 1, utc_text(START_S + 1), "kim (uid 7)", "--rate 5/s", "was off")]


def test_what_was_learned_is_there_for_the_next_run(store: Store) -> None:
    """The last good values of the endpoint, and only the last ones."""
    assert remembered(store) is None
    remember(store, LearnedLimits(limit=8), utc_s=START_S)
    remember(store, LearnedLimits(limit=12, rate_per_s=3.5), utc_s=START_S + 1)
    assert remembered(store) == LearnedLimits(limit=12, rate_per_s=3.5)
    assert store.connection.execute("SELECT endpoint, noted_utc FROM warm_starts").fetchall() == [
        (JOB.endpoint, utc_text(START_S + 1))
    ]


ODD_PRINTS = [
    Fingerprint(size=0, mtime_ns=0, inode=0),
    Fingerprint(size=2**32 + 1, mtime_ns=-1, inode=2**63 - 1),
    Fingerprint(size=2**40, mtime_ns=-(2**63), inode=2**63),
    Fingerprint(size=1, mtime_ns=2**63, inode=2**64 - 1),
    Fingerprint(size=1, mtime_ns=-(2**70), inode=2**127),
]


@pytest.mark.parametrize("fingerprint", ODD_PRINTS)
def test_any_fingerprint_comes_back(store: Store, fingerprint: Fingerprint) -> None:
    """Inodes of network drives, times before 1970 and after 2262, empty and huge files: nothing is cut off."""
    (one,) = store.known(entry("a"))
    store.tried(one, LOST, fingerprint)
    assert store.attempt_fingerprint(1) == fingerprint
    assert store.adopt(doubt(store), listed("id-1"), content_hash=None, utc_s=START_S)
    assert receipt_of(store, one).file_bytes == fingerprint.size
    refresh(store, one, PRINT, content_hash="a" * 64)
    refresh(store, one, fingerprint, content_hash="a" * 64)


ODD_TEXTS = ["\ud800", "\udcff", "\udfff a \ud83d", "a\0b", "ü\u202e\n", "x" * 100_000, ""]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_any_text_can_be_recorded(store: Store, text: str) -> None:
    """What a manifest or a server says may be odd; it never stops the ledger."""
    (one, *_) = store.known(
        entry(text, purpose=text, remote_name=text, vector_database_id=text, fields=((text, text),)),
        entry("plain"),
    )
    store.tried(one, InDoubt(reason=text, answered=False, candidate_id=text, request_id=text))
    assert len(doubt(store).purpose) >= len(text)
    store.explain(one, text)
    file = ListedFile(file_id="id-1", filename=text, bytes=100, purpose=text, created_at=text)
    assert store.adopt(doubt(store), file, content_hash=None, utc_s=START_S)
    assert receipt_of(store, one).file_id == "id-1"
    store.tried(one, Rejected(http_status=400, reason=text, request_id=text))
    store.tried(one, LOST)
    store.release(doubt(store), text, utc_s=START_S)
    store.settle(one, EntryState.INVALID, reason=text, utc_s=START_S)


def test_bytes_of_a_path_are_the_disks(tmp_path: Path) -> None:
    """A reader with other tools finds the file's own bytes, decodable or not."""
    with stored(tmp_path / "a") as store:
        store.known(entry("\udcff/ü"))
    assert query(tmp_path / "a", "SELECT path FROM entries") == [(b"\xff/\xc3\xbc",)]
