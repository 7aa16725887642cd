"""What a ledger keeps for the day it is lost, copied, or its files are: its places, and files that are missing."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.ledger import LedgerReader, note_manifest, open_ledger
from bulk_upload.edge.ledger.file.schema import SCHEMA_VERSION
from bulk_upload.edge.ledger.recovery.missing import record_missing
from bulk_upload.edge.ledger.recovery.places import Place, place_of
from bulk_upload.errors import LedgerLocked
from tests.edge.ledger.keep_version import VERSIONS
from tests.edge.ledger.stage import JOB, START_S, accepted, entry, opened, query, stored


async def test_each_run_records_where_its_ledger_lies(tmp_path: Path) -> None:
    """Host, path and inode; a link to it is the same place, and a moved one is another."""
    path = tmp_path / "a.ledger.db"
    async with opened(path) as ledger:
        assert (ledger.earlier.last_place, ledger.earlier.sent_since_utc_s) == (None, None)
        await ledger.writer.run(lambda store: note_manifest(store, "/m.jsonl"))
    (tmp_path / "link.db").symlink_to(path)
    async with opened(tmp_path / "link.db", utc_s=START_S + 60) as ledger:
        assert ledger.earlier.last_place == place_of(os.fspath(path))
        assert ledger.earlier.sent_since_utc_s == START_S
        assert not ledger.earlier.moved
    os.replace(path, tmp_path / "b.ledger.db")
    async with opened(tmp_path / "b.ledger.db", utc_s=START_S + 120) as ledger:
        assert ledger.earlier.moved
        # The run between them sent nothing, as one of another command.
        assert ledger.earlier.sent_since_utc_s == START_S
    rows = query(tmp_path / "b.ledger.db", "SELECT host, CAST(ledger_path AS TEXT) FROM runs")
    host = socket.gethostname()
    assert rows == [(host, str(path)), (host, str(path)), (host, str(tmp_path / "b.ledger.db"))]


def test_a_copy_under_the_same_path_is_another_file() -> None:
    """On another host, or after a restore; a new host name alone, as of a container, is no copy."""
    place = Place(host="a", path="/x.ledger.db", inode=7)
    assert place.is_same_file(Place(host="b", path="/x.ledger.db", inode=7))
    assert not place.is_same_file(Place(host="a", path="/x.ledger.db", inode=8))


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION))
async def test_a_ledger_of_an_older_version_is_not_new_and_not_moved(tmp_path: Path, version: int) -> None:
    """Its runs have no place, and some no manifest: they may have sent something all the same."""
    path = tmp_path / "a.ledger.db"
    shutil.copy(VERSIONS / f"version-{version}.ledger", path)
    ledger = open_ledger(os.fspath(path), JOB, version="2", moved_root=False, utc_s=START_S + 600)
    await ledger.close()
    assert ledger.earlier.sent_since_utc_s is not None
    assert ledger.earlier.has_receipts
    assert not ledger.earlier.moved


def test_missing_files_are_recorded_and_taken_back(tmp_path: Path) -> None:
    """Only of receipts that are old enough, and until a file is found again; then nothing is written."""
    path = tmp_path / "a.ledger.db"
    with stored(path) as store:
        for number, entry_id in enumerate(store.known(entry("a"), entry("b"), entry("c"))):
            at_s = START_S + (100 if number == 2 else 0)
            store.tried(entry_id, accepted(f"file-{number}"), utc_s=at_s)
        store.end_run(exit_status=0, utc_s=START_S + 100)

    def note(*file_ids: str) -> int:
        return record_missing(os.fspath(path), file_ids, utc_s=START_S + 110, settle_s=30.0)

    missing = "SELECT file_id, missing_utc FROM receipts WHERE missing_utc IS NOT NULL"
    assert note("file-0", "file-2", "file-other") == 1
    assert query(path, missing) == [("file-0", utc_text(START_S + 110))]
    assert note("file-1") == 1
    assert query(path, missing) == [("file-1", utc_text(START_S + 110))]
    assert note() == 0
    assert query(path, missing) == []
    before = path.read_bytes()
    assert note() == 0
    assert path.read_bytes() == before


async def test_a_run_keeps_others_from_recording(tmp_path: Path) -> None:
    """`verify` does not write beside a run."""
    path = tmp_path / "a.ledger.db"
    async with opened(path):
        with pytest.raises(LedgerLocked):
            record_missing(os.fspath(path), ["file-1"], utc_s=START_S, settle_s=30.0)


def test_the_hash_of_a_receipt_is_found_by_its_id(tmp_path: Path) -> None:
    """None for an id without a receipt."""
    path = tmp_path / "a.ledger.db"
    with stored(path) as store:
        (entry_id,) = store.known(entry("a"))
        store.tried(entry_id, accepted("file-1"))
    with LedgerReader(os.fspath(path)) as reader:
        assert (reader.receipt_hash_of("file-1"), reader.receipt_hash_of("file-2")) == ("a" * 64, None)
