"""A manifest beside its ledger: pages, plans, totals and twins, for many entries and for odd ones."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bulk_upload.core.model import EntryState, Fingerprint, Rejected
from bulk_upload.core.run.plan import UNCHANGED, KnownEntry, Step
from bulk_upload.core.run.planned import PlannedEntry, PlanRow, StepTotal
from bulk_upload.edge.ledger import Recalled, Staging
from bulk_upload.edge.ledger.staging import PAGE_ENTRIES
from bulk_upload.errors import LedgerUnusable
from tests.edge.ledger.stage import (
    LOST,
    PRINT,
    START_S,
    accepted,
    entry,
    intent,
    opened,
    planned,
    stage,
    stored,
)

MANY = 10_000


@pytest.fixture
def staging() -> Iterator[Staging]:
    """A staging with no ledger yet."""
    made = Staging(None)
    yield made
    made.close()


def all_staged(staging: Staging, *steps: Step) -> list[PlannedEntry]:
    return [one for page in staging.pages(steps or None) for one in page]


def test_ten_thousand_entries_in_pages(staging: Staging) -> None:
    """Entries come back in manifest order, a page at a time, as they went in."""
    entries = [entry(f"folder-{number % 7}/f{number}", line_no=number + 1) for number in range(MANY)]
    assert stage(staging, *entries) == {}
    pages = list(staging.pages())
    assert {len(page) for page in pages[:-1]} == {PAGE_ENTRIES}
    found = [one for page in pages for one in page]
    assert [one.entry for one in found] == entries
    assert [one.sent_name for one in found] == [f"f{number}" for number in range(MANY)]
    assert {(one.fingerprint, one.known, one.step) for one in found} == {(PRINT, None, Step.SEND)}
    (rest,) = staging.pages(after_seq=found[-3].seq)
    assert [one.entry for one in rest] == entries[-2:]


def test_ten_thousand_plans_and_their_totals(staging: Staging) -> None:
    """What was decided is kept, counted, and read back by step while it is being written."""
    steps = (Step.SEND, Step.SETTLED, Step.BLOCKED, Step.COMPARE)
    assert staging.totals() == {}
    for start in range(1, MANY + 1, 1000):
        staging.add(
            [
                planned(
                    entry(f"f{number}", line_no=number),
                    fingerprint=Fingerprint(size=number, mtime_ns=1, inode=1),
                    step=steps[number % 4],
                    reason="n",
                )
                for number in range(start, start + 1000)
            ]
        )
    sums = {step: sum(range(number or 4, MANY + 1, 4)) for number, step in enumerate(steps)}
    assert staging.totals() == {
        step: StepTotal(entry_count=MANY // 4, file_bytes=sums[step]) for step in steps
    }
    sent = all_staged(staging, Step.SEND, Step.COMPARE)
    assert [one.seq for one in sent] == [number for number in range(1, MANY + 1) if number % 4 in (0, 3)]
    assert {one.note for one in sent} == {"n"}
    assert all(one.fingerprint == Fingerprint(size=one.seq, mtime_ns=1, inode=1) for one in sent)
    assert all_staged(staging, Step.MISSING) == []


def test_an_entry_is_staged_once(staging: Staging) -> None:
    """The second of two equal lines is told the line of the first; another purpose or field is another entry."""
    assert stage(staging, entry("a", line_no=3)) == {}
    assert stage(staging, entry("a", line_no=9)) == {9: 3}
    assert stage(staging, entry("b", line_no=9), entry("a", line_no=10, remote_name="other")) == {10: 3}
    assert stage(staging, *(entry("c", line_no=number) for number in (11, 12, 13))) == {12: 11, 13: 11}
    for number, other in enumerate(
        (
            entry("a", purpose="x"),
            entry("a", vector_database_id="v"),
            entry("a", fields=(("k", "v"),)),
            entry("a", fields=(("k", "w"),)),
        )
    ):
        assert stage(staging, replace(other, line_no=20 + number)) == {}
    assert len(all_staged(staging)) == 7


def test_twins_are_counted(staging: Staging) -> None:
    """Entries to be sent that share sent name, size and purpose are twins; settled ones are not."""
    plans = [
        ("a/x", "p", 1, Step.SEND),
        ("b/x", "p", 1, Step.COMPARE),
        ("c/x", "p", 2, Step.SEND),
        ("d/x", "q", 1, Step.SEND),
        ("e/x", "p", 1, Step.SETTLED),
        ("a/y", "p", 1, Step.SEND),
        ("b/z", "p", 1, Step.SEND),
    ]
    staging.add(
        [
            planned(
                entry(path, purpose=purpose, remote_name="y" if path == "b/z" else None),
                fingerprint=replace(PRINT, size=size),
                step=step,
            )
            for path, purpose, size, step in plans
        ]
    )
    assert staging.twin_count() == 4


def test_entries_stand_beside_what_the_ledger_knows(tmp_path: Path, staging: Staging) -> None:
    """State, fingerprint, reason and the receipt's hash come along; states count the manifest's entries only."""
    with stored(tmp_path / "a") as store:
        ids = store.known(*(entry(name) for name in ("new", "done", "bad", "doubtful", "other")))
        store.tried(ids[1], accepted("id-1"))
        store.tried(ids[2], Rejected(http_status=400, reason="bad"))
        store.tried(ids[3], LOST)
        store.tried(ids[4], accepted("id-2"))
    for name in ("done", "new", "unknown", "bad", "doubtful"):
        stage(staging, entry(name))
    assert staging.states() == {EntryState.PENDING: 5}
    staging.attach(os.fspath(tmp_path / "a"))
    known = {one.entry.path: one.known for one in all_staged(staging)}
    assert known == {
        "done": KnownEntry(entry_id=2, state=EntryState.ACCEPTED, fingerprint=PRINT, content_hash="a" * 64),
        "new": KnownEntry(entry_id=1, state=EntryState.PENDING),
        "unknown": None,
        "bad": KnownEntry(entry_id=3, state=EntryState.REJECTED, fingerprint=PRINT, reason="bad"),
        "doubtful": KnownEntry(
            entry_id=4, state=EntryState.IN_DOUBT, fingerprint=PRINT, reason="connection lost"
        ),
    }
    assert staging.states() == {
        EntryState.PENDING: 2,
        EntryState.ACCEPTED: 1,
        EntryState.REJECTED: 1,
        EntryState.IN_DOUBT: 1,
    }
    found = staging.find_by_entry_id(2)
    assert found is not None
    assert found.entry == entry("done")
    assert found.known == known["done"]
    assert staging.find_by_entry_id(5) is None
    assert staging.find_by_entry_id(77) is None
    staging.attach(None)
    assert staging.states() == {EntryState.PENDING: 5}
    assert staging.find_by_entry_id(2) is None


def test_what_the_ledger_recorded_last_is_recalled_by_key(tmp_path: Path) -> None:
    """Of many entries, those the ledger knows come back with state and fingerprint; each can be had in full."""
    with stored(tmp_path / "a") as store:
        ids = store.known(*(entry(name) for name in ("new", "done", "open")))
        store.tried(ids[1], accepted("id-1"))
        store.intended(ids[2])
    staging = Staging(os.fspath(tmp_path / "a"))
    keys = {name: entry(name).key for name in ("new", "done", "open", "unknown")}
    recalled = staging.recall(list(keys.values()))
    assert recalled == {
        keys["new"]: Recalled(1, "pending", None, None, None, None, None, None, None),
        keys["done"]: Recalled(
            2, "accepted", PRINT.size, PRINT.mtime_ns, PRINT.inode, None, None, None, "name"
        ),
        keys["open"]: Recalled(
            3, "in_doubt", PRINT.size, PRINT.mtime_ns, PRINT.inode, None, None, None, None
        ),
    }
    assert [name for name, key in keys.items() if key in recalled and recalled[key].is_accepted(PRINT)] == [
        "done"
    ]
    assert not any(
        recalled[keys["done"]].is_accepted(replace(PRINT, **{part: 3}))
        for part in ("size", "mtime_ns", "inode")
    )
    assert staging.known(keys["done"]) == KnownEntry(
        entry_id=2, state=EntryState.ACCEPTED, fingerprint=PRINT, content_hash="a" * 64
    )
    assert staging.known(keys["unknown"]) is None
    staging.close()


def test_unchanged_entries_come_back_from_the_ledger(tmp_path: Path) -> None:
    """An unchanged entry, odd names included, takes its place among the others; staged twice, it is named."""
    odd = entry(
        "f\udcff",
        line_no=2,
        remote_name="n\udcfe",
        vector_database_id="v",
        fields=(("a", "\U0001f600"), ("b", "")),
    )
    with stored(tmp_path / "a") as store:
        (entry_id,) = store.known(odd)
        store.tried(entry_id, accepted("id-1"))
    staging = Staging(os.fspath(tmp_path / "a"))
    unchanged = PlanRow(odd, odd.key, PRINT, UNCHANGED, entry_id)
    first, third = planned(entry("a", line_no=1)), planned(entry("b", line_no=3))
    assert staging.add([first, unchanged, third]) == {}
    assert staging.add([planned(replace(odd, line_no=4), entry_id=entry_id)]) == {4: 2}
    assert staging.add([unchanged._replace(entry=replace(odd, line_no=5))]) == {5: 2}
    found = all_staged(staging)
    assert [one.entry for one in found] == [first.entry, odd, third.entry]
    assert (found[1].fingerprint, found[1].step, found[1].note) == (PRINT, Step.SETTLED, "accepted")
    assert staging.find_by_entry_id(entry_id) == found[1]
    assert staging.totals()[Step.SETTLED] == StepTotal(entry_count=1, file_bytes=PRINT.size)
    assert staging.states() == {EntryState.PENDING: 2, EntryState.ACCEPTED: 1}
    staging.close()


async def test_a_staging_sees_what_a_run_writes(tmp_path: Path, staging: Staging) -> None:
    """Attached to a ledger that is being written, it shows each commit, and keeps no write waiting."""
    path = os.fspath(tmp_path / "a")
    stage(staging, entry("a"))
    async with opened(path) as ledger:
        staging.attach(path)
        assert all_staged(staging)[0].known is None
        staging.rows("BEGIN")
        assert staging.states() == {EntryState.PENDING: 1}
        await ledger.writer.run(lambda store: store.register([entry("a")], utc_s=START_S))
        staging.rows("COMMIT")
        assert all_staged(staging)[0].known == KnownEntry(entry_id=1, state=EntryState.PENDING)
        await ledger.writer.run(lambda store: store.settle(1, EntryState.INVALID, reason="x", utc_s=START_S))
        assert staging.states() == {EntryState.INVALID: 1}


async def test_a_plan_sees_what_a_dead_run_left_open(tmp_path: Path, staging: Staging) -> None:
    """Planned without a run, an open attempt of a dead one is in doubt; one of a run at work is not."""
    path = os.fspath(tmp_path / "a")
    stage(staging, entry("a"))
    in_doubt = KnownEntry(
        entry_id=1,
        state=EntryState.IN_DOUBT,
        fingerprint=PRINT,
        reason="the run ended before the answer was recorded",
    )
    async with opened(path) as ledger:
        await ledger.writer.run(lambda store: store.register([entry("a")], utc_s=START_S))
        await ledger.writer.run(lambda store: store.intend([intent(1)]))
        staging.attach(path)
        assert all_staged(staging)[0].known == KnownEntry(entry_id=1, state=EntryState.PENDING)
    for _ in range(2):
        staging.attach(path)
        assert all_staged(staging)[0].known == in_doubt
        assert staging.states() == {EntryState.IN_DOUBT: 1}
        with stored(path):
            pass


def test_a_staging_cannot_write_the_ledger(tmp_path: Path) -> None:
    """A plan touches nothing: neither the file nor its folder changes."""
    path = tmp_path / "a"
    with stored(path) as store:
        store.known(entry("a"))
    before = path.read_bytes()
    staging = Staging(os.fspath(path))
    stage(staging, entry("a"))
    assert staging.states() == {EntryState.PENDING: 1}
    staging.close()
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a"]


ODD_TEXTS = ["\ud800", "\udcff", "\ud83d tail", "a\0b", "ü\u202e\n", "\U0001f600"]


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_any_entry_comes_back_with_the_key_it_had(staging: Staging, text: str) -> None:
    """What a manifest names, text or not, is the same entry before and after."""
    odd = entry(
        f"f{text}",
        purpose=f"p{text}",
        remote_name=f"r{text}",
        vector_database_id=f"v{text}",
        fields=(("a", text), ("a", "twice"), (text, "")),
    )
    stage(staging, odd)
    (found,) = all_staged(staging)
    assert found.entry == odd
    assert found.entry.key == odd.key


@pytest.mark.parametrize("number", [0, -1, 2**63 - 1, 2**63, 2**64 - 1, -(2**70)])
def test_any_fingerprint_comes_back(staging: Staging, number: int) -> None:
    """No inode and no time is too large to be planned with."""
    fingerprint = Fingerprint(size=1, mtime_ns=number, inode=abs(number))
    staging.add([planned(entry("a"), fingerprint=fingerprint)])
    assert [one.fingerprint for one in all_staged(staging)] == [fingerprint]


def test_no_room_for_temporary_files_is_said_so(staging: Staging) -> None:
    """A full temporary folder is named with its remedy, and is no error of SQLite's."""
    staging.rows("PRAGMA max_page_count = 20")
    entries = (entry(f"f{number}" * 10) for number in range(10_000))
    with pytest.raises(LedgerUnusable, match="full") as caught:
        all(stage(staging, one) == {} for one in entries)
    assert "TMPDIR" in str(caught.value.hint)
    assert not isinstance(caught.value.__cause__, sqlite3.Error)


def test_objects_keep_their_versions(tmp_path: Path) -> None:
    """An object is recalled with its tag and version, and is settled by them whatever its time is by then."""
    there = Fingerprint(size=5, mtime_ns=1, inode=0, etag="e", version="v")
    with stored(tmp_path / "a") as store:
        done, open_one = store.known(entry("s3://b/done"), entry("s3://b/open"))
        store.tried(done, accepted("id-1"), there)
        store.intended(open_one, there)
    staging = Staging(str(tmp_path / "a"))
    recalled = staging.recall([entry("s3://b/done").key])[entry("s3://b/done").key]
    known = staging.known(entry("s3://b/open").key)
    assert recalled.is_accepted(there)
    assert recalled.is_accepted(replace(there, mtime_ns=2, version=None))
    assert not recalled.is_accepted(replace(there, etag="f", version=None))
    assert not recalled.is_accepted(replace(there, etag=None, version=None))
    assert known is not None
    assert known.fingerprint == there
    staging.close()
