"""Kill -9 at any instant, and every single statement failing once: what was acknowledged is there.

Long version, five hundred kills: pytest -m soak tests/edge/ledger/test_crash.py
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.machine.file_systems import Journal
from bulk_upload.core.model import EntryState, ListedFile
from bulk_upload.core.report.export import ExportRow
from bulk_upload.edge.ledger import LedgerReader, LedgerStore
from bulk_upload.edge.ledger.file import opening
from bulk_upload.errors import LedgerUnusable
from tests.edge.ledger.stage import (
    LOST,
    START_S,
    accepted,
    attempt_over,
    entry,
    exported,
    intent,
    opened,
    query,
)

ROOT = Path(__file__).parents[3]


def killed_after(path: Path, line_count: int, seed: int, journal: Journal) -> list[list[str]]:
    """Run a child on the ledger, kill it when it has said `line_count` lines, return all whole ones."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.edge.ledger.child", os.fspath(path), str(seed), journal.value],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        said = b"".join(child.stdout.readline() for _ in range(line_count))
        child.kill()
        said += child.stdout.read()
    assert child.returncode == -9
    return [line.split() for line in said[: said.rfind(b"\n") + 1].decode("ascii").splitlines()]


async def assert_all_is_there(path: Path, said: list[list[str]]) -> None:
    """Open the ledger as the next run does; whatever was said is in it, and nothing is left open."""
    async with opened(path):
        pass
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert query(path, "PRAGMA foreign_key_check") == []
    attempts = {
        str(attempt_id): (os.fsdecode(name), outcome)
        for attempt_id, name, outcome in query(
            path, "SELECT attempt_id, path, outcome FROM attempts JOIN entries USING (entry_id)"
        )
    }
    rows = {row.path: row for row in exported(path)}
    for kind, *words in said:
        if kind == "entry":
            assert words[0] in rows
        elif kind == "intent":
            assert attempts[words[1]][0] == words[0]
        elif kind == "over":
            name, attempt_id, state = words
            assert attempts[attempt_id] == (name, state)
            assert rows[name].status == state
            assert rows[name].file_id == (f"id-{attempt_id}" if state == "accepted" else None)
    assert all(outcome is not None for _, outcome in attempts.values())
    in_doubt = {name for name, outcome in attempts.values() if outcome == "in_doubt"}
    assert in_doubt == {row.path for row in rows.values() if row.status == "in_doubt"}


async def survive(path: Path, *, kills: int, seed: int, journal: Journal = Journal.WAL) -> None:
    chance = random.Random(seed)
    said: list[list[str]] = []
    for number in range(kills):
        # The shortest ones hit the opening of the ledger.
        said += killed_after(path, chance.choice([1, 2, 30, 100, 300]) if number else 1, number, journal)
        await assert_all_is_there(path, said)
    assert len(said) > kills


async def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Ten kills at instants of chance: the ledger opens each time, and all that was said before is in it."""
    await survive(tmp_path / "a", kills=10, seed=20260618)


async def test_a_kill_loses_nothing_with_a_rollback_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same where the file system may be shared: what was under way is rolled back, the rest is there."""
    monkeypatch.setattr(opening, "journal_at", lambda _: Journal.ROLLBACK)
    await survive(tmp_path / "a", kills=10, seed=20261129, journal=Journal.ROLLBACK)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
async def test_many_kills_lose_nothing(tmp_path: Path, seed: int) -> None:
    """As above, fifty times each on ten ledgers."""
    await survive(tmp_path / "a", kills=50, seed=seed)


class Fuse:
    """Lets one statement fail: the one with that number, before or after it did its work."""

    def __init__(self, number: int, *, after: bool) -> None:
        self._left = number
        self._after = after
        self.blown = ""

    def guard(self, sql: str, act: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        self._left -= 1
        if self._left:
            return act()
        self.blown = sql
        if self._after:
            act()
        raise sqlite3.OperationalError("disk I/O error")


def fused(fuse: Fuse) -> type[sqlite3.Connection]:
    """The connections of a program whose disk fails once."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return fuse.guard(sql, partial(super().execute, sql, *values))

        def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
            return fuse.guard(sql, partial(super().executemany, sql, *values))

        def executescript(self, sql: str) -> sqlite3.Cursor:
            return fuse.guard(sql, partial(super().executescript, sql))

    return Connection


def adopted(store: LedgerStore) -> bool:
    (doubt,) = store.doubts(settle_answered_s=2, settle_lost_s=30)
    return store.adopt(doubt, ListedFile(file_id="id-2"), content_hash=None, utc_s=START_S)


def released(store: LedgerStore) -> None:
    (doubt,) = store.doubts(settle_answered_s=2, settle_lost_s=30)
    store.release(doubt, "absent", utc_s=START_S)


def accepted_together(store: LedgerStore, attempt_ids: tuple[int, int]) -> None:
    """Two entries are sent, for the first or for a second time."""
    assert store.intend([intent(4), intent(5)]) == list(attempt_ids)
    overs = [
        attempt_over(one, number, accepted(f"id-{one}"))
        for one, number in zip(attempt_ids, (4, 5), strict=True)
    ]
    store.conclude_all(overs)


STORY: list[tuple[Callable[[LedgerStore], object], str, list[tuple[object, ...]]]] = [
    (
        lambda store: store.register([entry("a"), entry("b"), entry("c")], utc_s=START_S),
        "SELECT count(*) FROM entries WHERE entry_id <= 3",
        [(3,)],
    ),
    (
        lambda store: store.intend([intent(1), intent(2), intent(3)]),
        "SELECT count(*) FROM attempts WHERE attempt_id <= 3",
        [(3,)],
    ),
    (
        lambda store: store.conclude(attempt_over(1, 1, accepted("id-1"))),
        "SELECT file_id FROM receipts WHERE entry_id = 1",
        [("id-1",)],
    ),
    (
        lambda store: store.conclude(attempt_over(2, 2, LOST)),
        "SELECT outcome FROM attempts WHERE attempt_id = 2",
        [("in_doubt",)],
    ),
    (
        lambda store: store.mark_not_sent([3], reason="drained", utc_s=START_S),
        "SELECT outcome FROM attempts WHERE attempt_id = 3",
        [("not_sent",)],
    ),
    (adopted, "SELECT file_id FROM receipts WHERE entry_id = 2", [("id-2",)]),
    (
        lambda store: store.intend([intent(3)]),
        "SELECT entry_id FROM attempts WHERE attempt_id = 4",
        [(3,)],
    ),
    (
        lambda store: store.conclude(attempt_over(4, 3, LOST)),
        "SELECT outcome FROM attempts WHERE attempt_id = 4",
        [("in_doubt",)],
    ),
    (released, "SELECT resolution FROM attempts WHERE attempt_id = 4", [("absent",)]),
    (
        lambda store: store.settle(3, EntryState.INVALID, reason="x", utc_s=START_S),
        "SELECT state FROM entries WHERE entry_id = 3",
        [("invalid",)],
    ),
    (
        lambda store: store.register([entry("d"), entry("e")], utc_s=START_S),
        "SELECT count(*) FROM entries WHERE entry_id > 3",
        [(2,)],
    ),
    (
        partial(accepted_together, attempt_ids=(5, 6)),
        "SELECT file_id FROM receipts WHERE attempt_id IN (5, 6) ORDER BY receipt_id",
        [("id-5",), ("id-6",)],
    ),
    (
        partial(accepted_together, attempt_ids=(7, 8)),
        "SELECT file_id FROM receipts WHERE entry_id > 3 AND superseded_utc IS NULL ORDER BY receipt_id",
        [("id-7",), ("id-8",)],
    ),
    (
        lambda store: store.end_run(exit_status=3, utc_s=START_S),
        "SELECT exit_status FROM runs ORDER BY run_id LIMIT 1",
        [(3,)],
    ),
]


async def tell_the_story(path: Path) -> list[tuple[str, list[tuple[object, ...]]]]:
    """Record the story; return what is then to be found in the ledger. The first failure is final."""
    acknowledged: list[tuple[str, list[tuple[object, ...]]]] = []
    failures: list[str] = []
    try:
        async with opened(path) as ledger:
            for act, sql, result in STORY:
                try:
                    await ledger.writer.run(act)
                except LedgerUnusable as error:
                    failures.append(str(error))
                    continue
                acknowledged.append((sql, result))
    except LedgerUnusable as error:
        failures.append(str(error))
    assert len(failures) in (0, 1, len(STORY) - len(acknowledged))
    assert all("disk I/O error" in one for one in failures)
    return acknowledged


@pytest.mark.parametrize("after", [False, True])
async def test_every_statement_may_fail_once(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Whichever statement fails, the writer says so, nothing acknowledged is missing, and the next run opens."""
    connect = sqlite3.connect
    number = 0
    while True:
        number += 1
        path = quick_path / str(number)
        fuse = Fuse(number, after=after)
        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", partial(connect, factory=fused(fuse)))
            acknowledged = await tell_the_story(path)
        async with opened(path):
            pass
        for sql, result in acknowledged:
            assert query(path, sql) == result, (fuse.blown, sql)
        assert query(path, "SELECT count(*) FROM attempts WHERE outcome IS NULL") == [(0,)]
        if not fuse.blown:
            break
    assert len(acknowledged) == len(STORY)
    assert number > 50
    rows: list[ExportRow] = exported(path)
    assert [(row.status, row.file_id) for row in rows] == [
        ("accepted", "id-1"),
        ("accepted", "id-2"),
        ("invalid", None),
        ("accepted", "id-7"),
        ("accepted", "id-8"),
    ]


@pytest.mark.parametrize("number", range(1, 7))
def test_a_read_that_fails_is_an_unusable_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A disk that fails under a reader ends it with LedgerUnusable, whichever statement it hits."""
    path = tmp_path / "a"
    opening.open_for_writing(os.fspath(path)).close()
    fuse = Fuse(number, after=False)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=fused(fuse)))

    def read() -> None:
        with LedgerReader(os.fspath(path)) as reader:
            reader.states()
            list(reader.rows())

    with pytest.raises(LedgerUnusable, match="disk I/O error"):
        read()
    assert fuse.blown
