"""The emulated power cut itself: it takes what was not synced, and never what was.

Without this the power cut tests could pass because nothing was ever lost.
"""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.disk import LEDGER, LOG, MAKING, Note, notes_in, put_ledger_files, watched
from tests.e2e.power import PowerCut

PROGRAM = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("PRAGMA synchronous = FULL")
connection.execute("CREATE TABLE told (number)")
connection.execute("PRAGMA synchronous = " + sys.argv[2])
for number in range(20):
    connection.execute("INSERT INTO told VALUES (?)", (number,))
os.kill(os.getpid(), signal.SIGKILL)
"""
CUTS = 40


def numbers_after_cuts(folder: Path, synchronous: str) -> list[int]:
    """Commit twenty rows and die; return how many of them each of many power cuts at that instant leaves."""
    ledger, trace = folder / "a.ledger.db", folder / "trace"
    env = watched(ledger, trace)
    ended = subprocess.run([sys.executable, "-c", PROGRAM, str(ledger), synchronous], env=env, check=False)
    assert ended.returncode == -9
    found = []
    for seed in range(CUTS):
        cut = PowerCut({}, random.Random(seed))
        cut.follow(notes_in(trace))
        put_ledger_files(ledger, cut.contents())
        connection = sqlite3.connect(ledger)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ((count,),) = connection.execute("SELECT count(*) FROM told")
        connection.close()
        found.append(count)
    return found


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_unsynced_commits_are_lost(tmp_path: Path, synchronous: str) -> None:
    """A database that does not sync its commits loses some, and not always the same."""
    found = numbers_after_cuts(tmp_path, synchronous)
    assert min(found) == 0
    assert len(set(found)) > 3


def test_synced_commits_are_kept(tmp_path: Path) -> None:
    """With synchronous FULL no power cut takes a commit."""
    assert numbers_after_cuts(tmp_path, "FULL") == [20] * CUTS


def note(kind: str, name: int = LOG, *, offset: int = 0, data: bytes = b"") -> Note:
    return Note(kind, name, name + 1, offset, len(data), data)


def outcomes(*notes: Note, before: dict[int, bytes] | None = None) -> set[tuple[tuple[int, bytes], ...]]:
    """Return everything that may be on the disk after these changes."""
    found = set()
    for seed in range(300):
        cut = PowerCut(before or {}, random.Random(seed))
        cut.follow(notes)
        found.add(tuple(sorted(cut.contents().items())))
    return found


def test_a_write_is_kept_dropped_or_torn_at_sectors() -> None:
    """Each sector of an unsynced write is the old one or the new one."""
    found = outcomes(note("o"), note("w", data=b"n" * 1024), before={LOG: b"o" * 1024})
    halves = (b"o" * 512, b"n" * 512)
    assert found == {((LOG, left + right),) for left in halves for right in halves}


def test_a_new_file_may_be_gone_until_its_folder_is_synced() -> None:
    """A sync of the file keeps its content, a sync of the folder its name."""
    made = (note("c"), note("w", data=b"n"), note("s"))
    assert outcomes(*made) == {(), ((LOG, b"n"),)}
    assert outcomes(*made, note("d")) == {((LOG, b"n"),)}


def test_a_linked_file_may_lack_its_name_and_what_was_not_synced() -> None:
    """A file that gets its name when it is made has what was synced of it, once its folder was synced too."""
    making = Note("c", MAKING, 9, 0, 0, b""), Note("w", MAKING, 9, 0, 1, b"n")
    synced, linked = Note("s", MAKING, 9, 0, 0, b""), Note("l", LEDGER, 9, 0, 0, b"")
    ledgers = [
        {dict(one).get(LEDGER) for one in outcomes(*made)}
        for made in ((*making, linked), (*making, synced, linked), (*making, synced, linked, note("d")))
    ]
    assert ledgers == [{None, b"", b"n"}, {None, b"n"}, {b"n"}]


def test_a_removed_file_may_be_back_until_its_folder_is_synced() -> None:
    """A removal that did not reach the disk leaves the file as it was last synced."""
    before = {LEDGER: b"l", LOG: b"o"}
    assert outcomes(note("u"), before=before) == {((LEDGER, b"l"),), ((LEDGER, b"l"), (LOG, b"o"))}
    assert outcomes(note("u"), note("d"), before=before) == {((LEDGER, b"l"),)}


def test_what_met_a_failed_sync_may_be_gone_after_the_next_one() -> None:
    """The system forgets writes it could not make durable, and the next sync succeeds without them."""
    found = outcomes(note("o"), note("w", data=b"n"), note("x"), note("s"), before={LOG: b"o"})
    assert found == {((LOG, b"o"),), ((LOG, b"n"),)}
