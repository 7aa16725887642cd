"""Before a run sends, it says what a lost or copied ledger sent already."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bulk_upload.core.model import Entry
from bulk_upload.errors import LedgerOutdated
from tests.engine.recovery.stage import PURPOSE, Lost
from tests.engine.recovery.test_rebuild import files_of

T0 = 1_780_000_000.0
"""When the first run of a ledger begins."""

COUNT = 40


def job(folder: Path, count: int = COUNT) -> Lost:
    """Return a job with so many files, of which the server has none."""
    lost = Lost(folder)
    lost.write(files_of(count))
    return lost


def send(lost: Lost, *, at_utc_s: float, count: int = COUNT) -> None:
    """Store files at the server as something else would that sends them."""
    for path, content in list(files_of(COUNT).items())[:count]:
        lost.desk.store(os.path.basename(path), content, at_utc_s=at_utc_s)


async def test_an_ordinary_first_run_says_nothing(tmp_path: Path) -> None:
    """One request, and no word about files of other names."""
    lost = job(tmp_path)
    lost.desk.store("other.jsonl", b"{}\n", at_utc_s=T0)
    assert await lost.look(at_utc_s=T0) == []
    assert lost.desk.list_count <= 2


async def test_a_list_that_is_not_read_to_its_end_counts_the_least(tmp_path: Path) -> None:
    """Only its first pages are read: there may be more files of the job behind them."""
    lost = job(tmp_path)
    for number in range(500):
        lost.desk.store(f"other-{number}.jsonl", b"{}\n", at_utc_s=T0 - 90_000.0)
    send(lost, at_utc_s=T0 - 86_400.0, count=20)
    (words,) = await lost.look(at_utc_s=T0)
    assert "purpose of at least 20 of 40 entries to send" in words


async def test_a_new_ledger_says_that_its_files_are_there(tmp_path: Path) -> None:
    """It may be lost, so the words name the rebuild; whoever sent them may be another job, so the run goes on."""
    lost = job(tmp_path)
    send(lost, at_utc_s=T0 - 86_400.0)
    (words,) = await lost.look(at_utc_s=T0)
    assert "40 of 40 entries to send" in words
    assert "ledger rebuild" in words


async def test_a_long_list_is_not_read_to_its_end(tmp_path: Path) -> None:
    """The look is bounded, whatever the account has."""
    lost = job(tmp_path)
    for number in range(2_000):
        lost.desk.store(f"other-{number}", b"x", at_utc_s=T0 + 10.0)
    await lost.look(at_utc_s=T0)
    assert lost.desk.list_count == 3
    await lost.look(at_utc_s=T0 + 5.0)
    assert lost.desk.list_count == 13


async def test_a_list_that_fails_is_no_reason_to_wait_or_fail(tmp_path: Path) -> None:
    """The run goes on, and says itself what is wrong with the server."""
    lost = job(tmp_path)
    lost.desk.fails = True
    assert await lost.look(at_utc_s=T0) == []
    assert lost.desk.list_count == 1


async def test_a_copy_that_went_on_stops_the_second_run(tmp_path: Path) -> None:
    """The copy, whose original sent the rest since, names both places, sends nothing, and stops again the next time."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    original = lost.ledger
    lost.ledger = tmp_path / "copy.ledger.db"
    shutil.copy(original, lost.ledger)
    send(lost, at_utc_s=T0 + 60.0)
    for at_s in (100.0, 200.0):
        with pytest.raises(LedgerOutdated) as caught:
            await lost.look(at_utc_s=T0 + at_s)
        assert "40 of 40 entries to send" in str(caught.value)
        assert f"from {socket.gethostname()}:{original} to" in str(caught.value)
        assert "ledger rebuild" in str(caught.value.hint)
    await lost.rebuild()
    assert lost.send_count() == 0


async def test_the_original_stops_where_its_copy_went_on(tmp_path: Path) -> None:
    """Where the original lies says nothing then; that its files came since its last run, from elsewhere, does."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    send(lost, at_utc_s=T0 + 60.0)
    with pytest.raises(LedgerOutdated, match="a copy of this ledger may have gone on elsewhere"):
        await lost.look(at_utc_s=T0 + 100.0)


async def test_without_contents_many_names_stop_a_run(tmp_path: Path) -> None:
    """A server that returns no content leaves names, sizes and purposes as evidence; a few of them are only said."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    lost.desk.returns = False
    send(lost, at_utc_s=T0 + 60.0, count=9)
    (words,) = await lost.look(at_utc_s=T0 + 100.0, passes=False)
    assert "9 of 40 entries" in words
    send(lost, at_utc_s=T0 + 70.0)
    with pytest.raises(LedgerOutdated):
        await lost.look(at_utc_s=T0 + 200.0)


async def test_another_jobs_files_of_the_same_names_do_not_stop_a_run(tmp_path: Path) -> None:
    """Neither those with other content nor those from before the last run are what this ledger would send."""
    lost = job(tmp_path)
    send(lost, at_utc_s=T0 - 60.0)
    await lost.look(at_utc_s=T0)
    for path, content in files_of(COUNT).items():
        lost.desk.store(os.path.basename(path), content.replace(b"text", b"TEXT"), at_utc_s=T0 + 60.0)
    assert await lost.look(at_utc_s=T0 + 100.0) == []


async def test_what_our_own_lost_answers_left_is_not_anothers(tmp_path: Path) -> None:
    """An entry that was in doubt once may have left a file; a run that resolved it goes on."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    with closing(sqlite3.connect(lost.ledger)) as ledger, ledger:
        for number, path in enumerate(files_of(COUNT), start=1):
            ledger.execute(
                "INSERT INTO entries (entry_id, key, path, purpose, fields, state, first_seen_utc)"
                " VALUES (?, ?, ?, ?, '{}', 'pending', '2026')",
                (number, Entry(path=path, purpose=PURPOSE).key, path.encode(), PURPOSE),
            )
            ledger.execute(
                "INSERT INTO attempts (entry_id, run_id, attempt_no, sent_name, size, mtime_ns, inode, intent_utc,"
                " outcome, resolution) VALUES (?, 1, 1, 'x', 1, 1, 1, '2026', 'in_doubt', 'absent')",
                (number,),
            )
    send(lost, at_utc_s=T0 + 60.0)
    assert await lost.look(at_utc_s=T0 + 100.0, passes=False) == []


async def test_a_moved_ledger_says_where_it_was_if_the_list_shows_nothing(tmp_path: Path) -> None:
    """Without a list, or without times in it, nothing can show whether a copy goes on: the person is told of both places."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    original = lost.ledger
    lost.ledger = tmp_path / "moved.ledger.db"
    os.replace(original, lost.ledger)
    assert await lost.look(at_utc_s=T0 + 50.0, passes=False) == []
    lost.desk.fails = True
    (words,) = await lost.look(at_utc_s=T0 + 100.0)
    assert str(original) in words
    assert str(lost.ledger) in words
    assert await lost.look(at_utc_s=T0 + 200.0) == []


async def test_what_a_twin_in_doubt_left_is_not_anothers(tmp_path: Path) -> None:
    """After a kill the file of an attempt in doubt looks like that of a pending entry of the same name and size."""
    lost = job(tmp_path)
    await lost.look(at_utc_s=T0)
    with closing(sqlite3.connect(lost.ledger)) as ledger, ledger:
        for number, (path, content) in enumerate(files_of(COUNT).items(), start=1):
            name = os.path.basename(path)
            twin = f"twins/{name}"
            ledger.execute(
                "INSERT INTO entries (entry_id, key, path, purpose, fields, state, first_seen_utc)"
                " VALUES (?, ?, ?, ?, '{}', 'in_doubt', '2026')",
                (number, Entry(path=twin, purpose=PURPOSE).key, twin.encode(), PURPOSE),
            )
            ledger.execute(
                "INSERT INTO attempts (entry_id, run_id, attempt_no, sent_name, size, mtime_ns, inode, intent_utc, outcome)"
                " VALUES (?, 1, 1, ?, ?, 1, 1, '2026', 'in_doubt')",
                (number, name, len(content)),
            )
    send(lost, at_utc_s=T0 + 60.0)
    assert await lost.look(at_utc_s=T0 + 100.0) == []
