"""A lost ledger is made anew from what the server has: by content, or by names where these are trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from bulk_upload.core.api.profile import FLOW
from bulk_upload.edge.ledger import LedgerReader
from tests.edge.ledger.stage import query
from tests.engine.recovery.stage import Lost

COUNT = 2_000


def files_of(count: int) -> dict[str, bytes]:
    """Return so many files, all of one size, by their paths."""
    return {f"d/f-{number:05}.jsonl": b'{"text": "%05d"}\n' % number for number in range(count)}


def uploaded(folder: Path, files: dict[str, bytes]) -> Lost:
    """Return a job whose files are at the server, and whose ledger is gone."""
    lost = Lost(folder)
    lost.write(files)
    for path, content in files.items():
        lost.desk.store(os.path.basename(path), content)
    return lost


async def test_after_a_rebuild_nothing_is_sent_again(tmp_path: Path) -> None:
    """Of 2,000 entries each gets the receipt of its own file, marked as found, with the hash of its content."""
    lost = uploaded(tmp_path, files_of(COUNT))
    assert lost.send_count() == COUNT
    rebuilt = await lost.rebuild()
    assert (rebuilt.found_count, rebuilt.entry_count, rebuilt.undecided_count) == (COUNT, COUNT, 0)
    assert lost.send_count() == 0
    assert query(
        lost.ledger,
        "SELECT count(*), count(DISTINCT file_id), min(obtained), max(obtained) FROM receipts WHERE sha256 IS NOT NULL",
    ) == [(COUNT, COUNT, "found", "found")]
    names = {file.file_id: file.filename for file, _ in lost.desk.files}
    with LedgerReader(os.fspath(lost.ledger)) as reader:
        assert all(names[str(row.file_id)] == os.path.basename(row.path) for row in reader.rows())


async def test_changed_files_are_not_taken_for_those_at_the_server(tmp_path: Path) -> None:
    """Three of another size, two of the same one, all changed after the upload: these five are sent, and no other."""
    files = files_of(COUNT)
    lost = uploaded(tmp_path, files)
    changed = dict(list(files.items())[::400])
    for number, (path, content) in enumerate(changed.items()):
        other = content.replace(b"text", b"TEXT") if number < 2 else content + content
        (tmp_path / path).write_bytes(other)
    rebuilt = await lost.rebuild()
    assert (rebuilt.found_count, rebuilt.differing_count, rebuilt.absent_count) == (COUNT - 5, 2, 3)
    assert lost.send_count() == 5


async def test_trusted_names_spare_the_comparison(tmp_path: Path) -> None:
    """Nothing is read back; a file of the same name and size then counts whatever is in it, and has no hash."""
    lost = uploaded(tmp_path, files_of(5))
    (tmp_path / "d/f-00001.jsonl").write_bytes(b'{"text": "other"}\n')
    lost.desk.returns = False
    rebuilt = await lost.rebuild(trust_names=True)
    assert (rebuilt.found_count, lost.desk.read_count, lost.send_count()) == (5, 0, 0)
    assert query(lost.ledger, "SELECT count(*) FROM receipts WHERE sha256 IS NULL") == [(5,)]
    details = query(lost.ledger, "SELECT DISTINCT decided_by, detail FROM decisions")
    assert details == [("me@here", "content not compared: name, size and purpose were trusted")]


async def test_entries_that_share_a_name_get_their_own_files(tmp_path: Path) -> None:
    """Where name, size and purpose name two entries their contents decide, also if names are trusted."""
    lost = uploaded(tmp_path, {"a/x.jsonl": b'{"text": "a"}\n', "b/x.jsonl": b'{"text": "b"}\n'})
    rebuilt = await lost.rebuild(trust_names=True)
    assert rebuilt.found_count == 2
    with LedgerReader(os.fspath(lost.ledger)) as reader:
        assert {row.path: row.file_id for row in reader.rows()} == {
            "a/x.jsonl": "file-0",
            "b/x.jsonl": "file-1",
        }


async def test_equal_files_get_one_file_each(tmp_path: Path) -> None:
    """Two entries with one content share no id; with one file at the server, one of them is sent."""
    lost = uploaded(tmp_path, {"a/x.jsonl": b"{}\n", "b/x.jsonl": b"{}\n"})
    lost.desk.files.pop()
    rebuilt = await lost.rebuild()
    assert (rebuilt.found_count, rebuilt.absent_count, lost.send_count()) == (1, 1, 1)


async def test_the_newest_copy_with_the_content_is_taken(tmp_path: Path) -> None:
    """Of several uploads of a file the newest with its content counts, not a newer one with another."""
    lost = uploaded(tmp_path, {"x.jsonl": b'{"text": "a"}\n'})
    lost.desk.store("x.jsonl", b'{"text": "a"}\n')
    lost.desk.store("x.jsonl", b'{"text": "b"}\n')
    await lost.rebuild()
    assert query(lost.ledger, "SELECT file_id FROM receipts") == [("file-1",)]


async def test_a_content_that_is_not_returned_decides_nothing(tmp_path: Path) -> None:
    """Such entries are named, get no receipt, and the next run is told that there may be files."""
    lost = uploaded(tmp_path, files_of(3))
    lost.desk.returns = False
    rebuilt = await lost.rebuild()
    assert (rebuilt.found_count, rebuilt.undecided_count) == (0, 3)
    assert "HTTP 404" in rebuilt.undecided[0].reason
    assert lost.send_count() == 3


async def test_large_files_are_compared_by_ranges(tmp_path: Path) -> None:
    """Only ranges are read back, the receipt then has no hash of the whole; a change within one of them shows."""
    content = bytes(range(256)) * 8192
    lost = uploaded(tmp_path, {"big.bin": content, "changed.bin": content})
    (tmp_path / "changed.bin").write_bytes(content[:-1] + b"x")
    rebuilt = await lost.rebuild(compare_max_bytes=1 << 10)
    assert (rebuilt.found_count, rebuilt.differing_count) == (1, 1)
    assert query(lost.ledger, "SELECT file_id, sha256 FROM receipts") == [("file-0", None)]
    assert rebuilt.compared_bytes < 2 * len(content)


async def test_a_rebuild_again_finds_only_what_is_new(tmp_path: Path) -> None:
    """What has a receipt is not read back again; files that came since are added to the same ledger."""
    files = files_of(6)
    lost = Lost(tmp_path)
    lost.write(files)
    for path in list(files)[:4]:
        lost.desk.store(os.path.basename(path), files[path])
    assert (await lost.rebuild()).found_count == 4
    for path in list(files)[4:]:
        lost.desk.store(os.path.basename(path), files[path])
    rebuilt = await lost.rebuild()
    assert (rebuilt.entry_count, rebuilt.found_count) == (2, 2)
    assert (lost.desk.read_count, lost.send_count()) == (6, 0)


@pytest.mark.parametrize("can_read_back", [True, False])
async def test_a_profile_says_what_can_decide(tmp_path: Path, can_read_back: bool) -> None:
    """Where the server returns no contents names decide, and where it changes names contents do."""
    profile = replace(FLOW, can_read_back=can_read_back, keeps_names=not can_read_back)
    lost = Lost(tmp_path, profile=profile)
    lost.write(files_of(3))
    for path, content in files_of(3).items():
        name = os.path.basename(path)
        lost.desk.store(name.upper() if can_read_back else name, content)
    assert (await lost.rebuild()).found_count == 3
    assert bool(lost.desk.read_count) is can_read_back
