"""Reading a ledger: rows that balance, one moment of it, and not a trace left behind."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from bulk_upload.core.model import EntryState, Fingerprint, InDoubt, NotSent, Outcome, Rejected, SourceFailed
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import JobFacts, LedgerReader, note_clock_step
from bulk_upload.edge.ledger.file.opening import open_for_writing
from tests.edge.ledger.stage import (
    JOB,
    LOST,
    START_S,
    accepted,
    attempt_over,
    entry,
    exported,
    files,
    intent,
    opened,
    stored,
)

NEWER = Fingerprint(size=250, mtime_ns=2, inode=8)


def one_of_each(path: Path) -> None:
    """A ledger with an entry in every state, and with receipts that are not current any more."""
    with stored(path) as store:
        ids = store.known(*(entry(name) for name in "abcdefgh"))
        outcomes: tuple[Outcome, ...] = (
            accepted("id-a"),
            accepted("id-b"),
            Rejected(http_status=422, reason="bad line"),
            SourceFailed(reason="changed while it was sent"),
            InDoubt(reason="lost", answered=True, http_status=502),
            accepted("id-f"),
            NotSent(reason="drained"),
        )
        for one, outcome in zip(ids, outcomes, strict=False):
            store.tried(one, outcome)
        store.tried(ids[1], accepted("id-b2"), NEWER)
        store.tried(ids[5], LOST, NEWER)
        store.settle(ids[7], EntryState.INVALID, reason="3 findings", utc_s=START_S)


def test_every_entry_has_one_row(tmp_path: Path) -> None:
    """The rows of an export are the entries, in the order they became known, each with its current receipt."""
    one_of_each(tmp_path / "a")
    rows = exported(tmp_path / "a")
    assert [(row.path, row.status, row.file_id) for row in rows] == [
        ("a", "accepted", "id-a"),
        ("b", "accepted", "id-b2"),
        ("c", "rejected", None),
        ("d", "failed_local", None),
        ("e", "in_doubt", None),
        ("f", "in_doubt", None),
        ("g", "pending", None),
        ("h", "invalid", None),
    ]
    assert rows[1] == ExportRow(
        path="b",
        purpose="fine-tune",
        status="accepted",
        file_id="id-b2",
        bytes=250,
        sha256="a" * 64,
        sent_name="name",
        attempts=2,
        http_status=200,
        reason=None,
        first_seen_utc=utc_text(START_S),
        settled_utc=utc_text(START_S),
    )
    assert rows[2].reason == "bad line"
    assert (rows[4].settled_utc, rows[4].http_status, rows[4].bytes) == (None, 502, 100)


def test_all_receipts_are_all_ids(tmp_path: Path) -> None:
    """Each id the server ever gave is in exactly one row, also those of entries that are not accepted now."""
    one_of_each(tmp_path / "a")
    rows = exported(tmp_path / "a", all_receipts=True)
    assert rows[:8] == exported(tmp_path / "a")
    assert [(row.path, row.status, row.file_id, row.bytes) for row in rows[8:]] == [
        ("b", "superseded", "id-b", 100),
        ("f", "superseded", "id-f", 100),
    ]
    ids = [row.file_id for row in rows if row.file_id is not None]
    assert sorted(ids) == ["id-a", "id-b", "id-b2", "id-f"]


def test_counts_balance_with_the_rows(tmp_path: Path) -> None:
    """States, bytes and rows tell the same story."""
    one_of_each(tmp_path / "a")
    with LedgerReader(os.fspath(tmp_path / "a")) as reader:
        states = reader.states()
        assert sum(states.values()) == len(list(reader.rows())) == 8
        for state in EntryState:
            rows = list(reader.rows(states=frozenset({state})))
            assert len(rows) == states.get(state, 0)
            assert {row.status for row in rows} <= {state.value}
        assert list(reader.rows(states=frozenset())) == []
        assert reader.accepted_bytes() == 100 + 250


def test_what_a_dead_run_left_open_is_in_doubt(tmp_path: Path) -> None:
    """Before the next run has recorded it, readers see what it will record; none of it is called pending."""
    path = tmp_path / "a"
    with stored(path) as store:
        ids = store.known(entry("sent"), entry("sent again"), entry("not sent"))
        store.tried(ids[1], accepted("id-1"))
        store.intended(ids[0])
        store.intended(ids[1], NEWER)
    before = exported(path, all_receipts=True)
    assert [(row.path, row.status, row.bytes, row.attempts) for row in before] == [
        ("sent", "in_doubt", 100, 1),
        ("sent again", "in_doubt", 250, 2),
        ("not sent", "pending", None, 0),
        ("sent again", "superseded", 100, 0),
    ]
    with LedgerReader(os.fspath(path)) as reader:
        assert reader.states() == {EntryState.IN_DOUBT: 2, EntryState.PENDING: 1}
        assert [row.path for row in reader.rows(states=frozenset({EntryState.PENDING}))] == ["not sent"]
        assert reader.accepted_bytes() == 0
    with stored(path):
        pass
    assert exported(path, all_receipts=True) == before


async def test_what_a_run_has_in_flight_is_not_in_doubt(tmp_path: Path) -> None:
    """While a run is at work its open attempts have their answers before them."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.register([entry("a")], utc_s=START_S))
        await ledger.writer.run(lambda store: store.intend([intent(1)]))
        assert [row.status for row in exported(path)] == ["pending"]
    assert [row.status for row in exported(path)] == ["in_doubt"]


def test_the_facts_of_a_job(tmp_path: Path) -> None:
    """Whose ledger it is can be read; a ledger that no run claimed has no job."""
    path = os.fspath(tmp_path / "a")
    open_for_writing(path).close()
    with LedgerReader(path) as reader:
        assert reader.job() is None
    with stored(path) as store:
        store.stay_alive(utc_s=START_S + 1)
    with LedgerReader(path) as reader:
        assert reader.job() == JobFacts(
            profile="flow",
            endpoint=JOB.endpoint,
            team="team-1",
            root="/data",
            created_utc=utc_text(START_S),
            last_alive_utc=utc_text(START_S + 1),
        )


async def test_a_reader_sees_one_moment(tmp_path: Path) -> None:
    """While a run writes, all that one reader tells belongs together; the next reader sees what came since."""
    path = tmp_path / "a"
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.register([entry("a")], utc_s=START_S))
        with LedgerReader(os.fspath(path)) as reader:
            assert reader.states() == {EntryState.PENDING: 1}
            await ledger.writer.run(lambda store: store.register([entry("b")], utc_s=START_S))
            await ledger.writer.run(
                lambda store: store.settle(1, EntryState.INVALID, reason="x", utc_s=START_S)
            )
            assert reader.states() == {EntryState.PENDING: 1}
            assert [row.status for row in reader.rows()] == ["pending"]
        assert [row.status for row in exported(path)] == ["invalid", "pending"]


async def test_reading_leaves_no_trace(tmp_path: Path) -> None:
    """Neither a closed ledger nor one that a dead run left is changed by being read."""
    path, dead = tmp_path / "a", tmp_path / "dead"
    dead.mkdir()
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.register([entry("a")], utc_s=START_S))
        for suffix in ("", "-wal", "-shm"):
            (dead / f"a{suffix}").write_bytes(Path(f"{path}{suffix}").read_bytes())
    before, left = files(tmp_path), files(dead)
    for one in (path, dead / "a"):
        assert [row.path for row in exported(one)] == ["a"]
    assert files(tmp_path) == before
    left.pop("a-shm")
    assert {name: content for name, content in files(dead).items() if name != "a-shm"} == left


def test_attempts_and_runs_are_told_as_they_were(tmp_path: Path) -> None:
    """Each attempt with when its request began, and each run with its first beginning and its last end."""
    path = tmp_path / "a.ledger.db"
    with stored(path) as store:
        first, second = store.known(entry("a"), entry("b"))
        attempt_id = store.intended(first, utc_s=START_S)
        over = attempt_over(attempt_id, first, accepted("id-a"), utc_s=START_S + 9)
        store.conclude(replace(over, began_utc_s=START_S + 7))
        store.intended(second, utc_s=START_S + 8)
        note_clock_step(store, step_s=-20.0, utc_s=START_S + 8)
    with LedgerReader(str(path)) as reader:
        assert list(reader.clock_steps()) == [(1, utc_text(START_S + 8), -20.0)]
        began, open_one = reader.attempts()
        (run,) = reader.runs()
        assert list(reader.limit_changes()) == []
    assert (began.outcome, began.size, began.intent_utc) == ("accepted", 100, utc_text(START_S))
    assert (began.began_utc, began.ended_utc) == (utc_text(START_S + 7), utc_text(START_S + 9))
    assert (open_one.outcome, open_one.began_utc, open_one.ended_utc) == (None, None, None)
    assert (run.began_utc, run.over_utc) == (utc_text(START_S + 7), utc_text(START_S + 9))
    assert run.exit_status is None
