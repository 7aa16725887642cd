"""Many records at once: the same rows as one after another, whatever is among them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.model import (
    Accepted,
    Fingerprint,
    InDoubt,
    ListedFile,
    NotSent,
    Outcome,
    Rejected,
    Unavailable,
)
from bulk_upload.core.run.records import AttemptEnd
from bulk_upload.edge.ledger import LedgerReader, grouped_writes, note_strays, staging
from tests.edge.ledger.stage import LOST, PRINT, START_S, Store, accepted, attempt_over, entry, intent, stored

TABLES = ("entries", "attempts", "receipts", "decisions", "job")
ENTRIES = 150
"""More than two groups."""

IDS = st.integers(0, 8).map(lambda number: f"file-{number}")
OUTCOMES: st.SearchStrategy[Outcome] = st.one_of(
    IDS.map(accepted),
    IDS.map(lambda file_id: accepted(file_id, warnings=("odd \ud800",), created_at="now", request_id="r")),
    st.builds(lambda one: InDoubt(reason="lost", answered=False, candidate_id=one), IDS),
    st.sampled_from([Rejected(http_status=400, reason="bad"), Unavailable(reason="away"), NotSent(reason="x"), LOST]),
)  # fmt: skip


def rows(store: Store) -> dict[str, list[tuple[object, ...]]]:
    """Everything that a ledger holds."""
    return {table: store.connection.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES}


def begun(store: Store, entry_ids: Sequence[int], utc_s: float = START_S) -> list[int]:
    """Intend one attempt for each entry, each with a file of its own."""
    return store.intend(
        [
            intent(one, Fingerprint(size=one, mtime_ns=one, inode=one, ctime_ns=one), utc_s=utc_s)
            for one in entry_ids
        ]
    )


def overs(
    attempt_ids: Sequence[int], entry_ids: Sequence[int], outcomes: Sequence[Outcome]
) -> list[AttemptEnd]:
    """The ends of attempts, a millisecond apart."""
    return [
        attempt_over(
            attempt_id, entry_id, outcome, replace(PRINT, ctime_ns=index), utc_s=START_S + 5 + index / 1000
        )
        for index, (attempt_id, entry_id, outcome) in enumerate(
            zip(attempt_ids, entry_ids, outcomes, strict=True)
        )
    ]


def one_by_one(store: Store, group: Sequence[AttemptEnd]) -> list[Outcome]:
    """Conclude without any short cut."""
    return [store.conclude(one) for one in group]


Rounds = list[list[tuple[int, Outcome]]]


def history(path: Path, rounds: Rounds, conclude: Callable[[Store, Sequence[AttemptEnd]], object]) -> object:
    """Play rounds of attempts, and return what the ledger said and what it holds."""
    said = []
    with stored(path) as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(6)))
        for attempts in rounds:
            chosen = [entry_ids[number] for number, _ in attempts]
            attempt_ids = begun(store, chosen)
            said.append(conclude(store, overs(attempt_ids, chosen, [outcome for _, outcome in attempts])))
        return said, rows(store)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rounds=st.lists(
        st.lists(st.tuples(st.integers(0, 5), OUTCOMES), max_size=6, unique_by=lambda one: one[0]),
        max_size=4,
    )
)
def test_a_group_is_recorded_as_its_members_would_be(quick_path: Path, rounds: Rounds) -> None:
    """Ids that come twice, that were candidates elsewhere or have a receipt, receipts that are superseded, failures:
    the same answers and the same rows as one after another."""
    with TemporaryDirectory(dir=quick_path) as folder:
        together = history(Path(folder, "a"), rounds, Store.conclude_all)
        assert together == history(Path(folder, "b"), rounds, one_by_one)


Ends = list[tuple[int, int, Outcome]]


def attempted(path: Path, ends: Ends, conclude: Callable[[Store, Sequence[AttemptEnd]], object]) -> object:
    """Conclude attempts that need not be open, or of another entry, as one commit; return what came of it."""
    with stored(path) as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(4)))
        attempt_ids = [*begun(store, entry_ids), 99]
        group = overs(
            [attempt_ids[attempt] for attempt, _, _ in ends],
            [entry_ids[number] for _, number, _ in ends],
            [outcome for _, _, outcome in ends],
        )
        store.connection.execute("BEGIN")
        try:
            said = conclude(store, group)
        except LookupError:
            store.connection.execute("ROLLBACK")
            said = None
        else:
            store.connection.execute("COMMIT")
        return said, rows(store)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    own=st.lists(st.tuples(st.integers(0, 3), OUTCOMES), max_size=4, unique_by=lambda one: one[0]),
    strange=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), OUTCOMES), max_size=2),
    data=st.data(),
)
def test_a_group_is_refused_where_one_of_its_members_would_be(
    quick_path: Path,
    own: list[tuple[int, Outcome]],
    strange: Ends,
    data: st.DataObject,
) -> None:
    """Attempts that nobody intended, that are another entry's or come twice: a LookupError in both ways, and after it
    the ledger is what it was."""
    ends = data.draw(st.permutations([*((number, number, outcome) for number, outcome in own), *strange]))
    with TemporaryDirectory(dir=quick_path) as folder:
        together = attempted(Path(folder, "a"), ends, Store.conclude_all)
        assert together == attempted(Path(folder, "b"), ends, one_by_one)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65])
def test_every_size_of_a_group_is_recorded(tmp_path: Path, count: int) -> None:
    """Groups that fill a statement, or leave some of it empty, leave one receipt for each of them and no more."""
    with stored(tmp_path / "a") as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(count)))
        attempt_ids = begun(store, entry_ids)
        assert attempt_ids == list(range(1, count + 1))
        store.conclude_all(overs(attempt_ids, entry_ids, [accepted(f"file-{one}") for one in entry_ids]))
        found = store.connection.execute(
            "SELECT r.entry_id, r.attempt_id, r.file_id, r.bytes, e.state FROM receipts r JOIN entries e USING (receipt_id)"
            " ORDER BY r.receipt_id"
        ).fetchall()
    assert found == [
        (one, attempt_id, f"file-{one}", one, "accepted")
        for one, attempt_id in zip(entry_ids, attempt_ids, strict=True)
    ]


def test_large_groups_are_recorded_as_their_members_would_be(tmp_path: Path) -> None:
    """More than one statement's worth of accepted uploads, then the same entries with new files."""

    def play(path: Path, conclude: Callable[[Store, Sequence[AttemptEnd]], object]) -> object:
        with stored(path) as store:
            entry_ids = store.known(*(entry(f"e{number}") for number in range(ENTRIES)))
            for turn in ("first", "second"):
                ids = begun(store, entry_ids)
                outcomes = [accepted(f"{turn}-{number}") for number in range(ENTRIES)]
                conclude(store, overs(ids, entry_ids, outcomes))
            return rows(store)

    together = play(tmp_path / "a", Store.conclude_all)
    assert together == play(tmp_path / "b", one_by_one)


def test_an_intent_that_was_taken_back_leaves_its_number_unused(tmp_path: Path) -> None:
    """After a rollback, and for the next run, a number is given to one attempt only."""
    with stored(tmp_path / "a") as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(70)))
        store.connection.execute("BEGIN")
        begun(store, entry_ids[:2])
        store.connection.execute("ROLLBACK")
        kept = begun(store, entry_ids)
        assert kept == list(range(3, 73))
        said = store.conclude_all(overs(kept, entry_ids, [accepted(f"file-{one}") for one in kept]))
        assert {type(one) for one in said} == {Accepted}
    with stored(tmp_path / "a") as store:
        assert begun(store, entry_ids[:3]) == [73, 74, 75]


def test_an_attempt_that_is_not_open_is_no_record(tmp_path: Path) -> None:
    """A group with an attempt that was concluded before is refused as a whole: what it says is not what is known."""
    with stored(tmp_path / "a") as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(5)))
        attempt_ids = begun(store, entry_ids)
        group = overs(attempt_ids, entry_ids, [accepted(f"file-{number}") for number in range(5)])
        store.conclude(group[3])
        store.connection.execute("BEGIN")
        again = [*group[:3], attempt_over(attempt_ids[3], entry_ids[3], accepted("another")), group[4]]
        with pytest.raises(LookupError, match="5 rows were to change, 4 did"):
            store.conclude_all(again)
        store.connection.execute("ROLLBACK")


@pytest.mark.parametrize("known", ["receipt", "candidate"])
def test_a_group_with_an_id_that_is_known_keeps_what_is_certain(tmp_path: Path, known: str) -> None:
    """One id that may be another upload's makes its own attempt doubtful, and no other."""
    with stored(tmp_path / "a") as store:
        entry_ids = store.known(*(entry(f"e{number}") for number in range(4)))
        before = accepted("file-1") if known == "receipt" else InDoubt(
            reason="odd", answered=False, candidate_id="file-1"
        )  # fmt: skip
        store.tried(entry_ids[3], before)
        attempt_ids = begun(store, entry_ids[:3])
        group = overs(attempt_ids, entry_ids[:3], [accepted(f"file-{number}") for number in range(3)])
        said = store.conclude_all(group)
    assert [type(one) for one in said] == [Accepted, InDoubt, Accepted]


def test_an_older_sqlite_records_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where SQLite has no `UPDATE … FROM` nothing is recorded together."""
    monkeypatch.setattr(grouped_writes, "CAN_CONCLUDE", False)
    monkeypatch.setattr(grouped_writes, "conclude", lambda *_: pytest.fail("one statement for many"))
    with stored(tmp_path / "a") as store:
        entry_ids = store.known(entry("a"), entry("b"))
        ids = begun(store, entry_ids)
        said = store.conclude_all(overs(ids, entry_ids, [accepted("1"), accepted("2")]))
        assert [type(one) for one in said] == [Accepted, Accepted]


def test_statements_find_their_rows_by_number(tmp_path: Path) -> None:
    """No statement for many records reads a whole table, however large the ledger is."""
    size = 16
    with stored(tmp_path / "a") as store:
        # The look for rows that a broken reference left waiting is in every plan; without one it is never taken.
        store.connection.execute("PRAGMA foreign_keys = OFF")
        statements = {grouped_writes._look_at(size): 3}
        for statement in (
            grouped_writes._CLOSE,
            grouped_writes._SUPERSEDE,
            grouped_writes._FILE,
            grouped_writes._SETTLE,
        ):
            width = len(statement.columns)
            statements[grouped_writes._with_rows(statement, size, (True,) * width)] = width
            # As where the rows have nothing but their ids.
            statements[grouped_writes._with_rows(statement, size, (True, *[False] * (width - 1)))] = 1
        for query, width in statements.items():
            steps = store.connection.execute(
                f"EXPLAIN QUERY PLAN {query}", [None] * (size * width)
            ).fetchall()
            scans = [step[-1] for step in steps if step[-1].startswith("SCAN")]
            assert all("CONSTANT" in scan or "subquery" in scan or "given" in scan for scan in scans), scans


def test_as_many_rows_as_an_old_sqlite_takes_parameters() -> None:
    """The widest statement fits the parameters that this SQLite takes: 999 before 3.32."""
    parameters_max = 32766 if sqlite3.sqlite_version_info >= (3, 32) else 999
    assert grouped_writes.GROUP_MAX * len(grouped_writes._INTEND.columns) <= parameters_max
    staged_width = staging._STAGED.count(",") + 1
    assert grouped_writes.GROUP_MAX * staged_width <= parameters_max


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 130])
@pytest.mark.parametrize("noted_every", [1, 50, 1000])
def test_rows_are_inserted_once(count: int, noted_every: int) -> None:
    """Whatever their number, and whichever columns are empty: in order, as they are, without those that are there."""
    rows = [
        (f"key-{number}", f"note {number}" if number % noted_every == 1 else None) for number in range(count)
    ]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, key TEXT UNIQUE, note TEXT)")

        def insert(some: list[tuple[str, str | None]]) -> int:
            return grouped_writes.insert(
                connection, "kept (key, note)", some, on_conflict="ON CONFLICT (key) DO NOTHING"
            )

        assert insert(rows[:40]) == len(rows[:40])
        assert insert(rows) == len(rows[40:])
        assert connection.execute("SELECT key, note FROM kept ORDER BY id").fetchall() == rows


async def test_the_attempts_of_a_bundle_are_joined(tmp_path: Path) -> None:
    """Each file of a request has an attempt and a receipt of its own, joined by the first one's id; others are alone."""
    path = tmp_path / "a.ledger.db"
    with stored(path) as store:
        one, *bundled = store.known(*(entry(str(number)) for number in range(4)))
        (alone,) = begun(store, [one])
        ids = store.intend([intent(number, PRINT) for number in bundled], as_bundle=True)
        rejected = Rejected(http_status=400, reason="bad")
        outcomes: list[Outcome] = [accepted("file-0"), accepted("file-1"), LOST, rejected]
        store.conclude_all(overs([alone, *ids], [one, *bundled], outcomes))
        joined = store.connection.execute("SELECT attempt_id, bundle_id FROM attempts").fetchall()
        note_strays(
            store.connection,
            store.run_id,
            [ListedFile(file_id="file-9", filename="x")],
            bundle_id=ids[0],
            utc_s=START_S,
        )
        decided = store.connection.execute("SELECT entry_id, decided_by, decision FROM decisions").fetchall()
    assert joined == [(alone, None), *((number, ids[0]) for number in ids)]
    assert decided == [(None, "answer", "no receipt for file-9")]
    with LedgerReader(path) as reader:
        assert reader.upload_counts() == (2, 4)
