"""Files that change while they are read: what is sent is one version of a file, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    FileReader,
    StreamedFile,
    fingerprint_of,
    whole,
)
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.files_read import BLOCK_BYTES
from tests.edge.reading_trees import ATTRIBUTE_CHANGES, CHANGES, before_each
from tests.waiting import until_the_clock_ticks


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_loaded_is_refused(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What was read is believed only if the file is the same before and after."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    monkeypatch.setattr(whole, "read_exactly", before_each(whole.read_exactly, CHANGES[change], path))
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, SourceError)
    assert "while it was sent" in loaded.reason
    assert not loaded.local_limit


@pytest.mark.parametrize("change", ATTRIBUTE_CHANGES)
async def test_a_small_file_whose_attributes_change_while_it_is_loaded_is_read_again(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A hard link or chmod meanwhile is no change of the content: the file is loaded, as the version it is by then."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    read, reads = whole.read_exactly, []

    def changes_first(descriptor: int, byte_count: int) -> bytes:
        reads.append(byte_count)
        if len(reads) == 1:
            until_the_clock_ticks(tmp_path)
            ATTRIBUTE_CHANGES[change](path)
        return read(descriptor, byte_count)

    monkeypatch.setattr(whole, "read_exactly", changes_first)
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, LoadedFile)
    assert (loaded.content, len(reads)) == (b"x" * 1000, 2)
    assert loaded.fingerprint == fingerprint_of(path.stat())


async def sent_while(reader: FileReader, path: Path, change: Callable[[Path], object]) -> StreamedFile:
    """Stream a file that something happens to before its last block is read."""
    async with await reader.open(path.name) as file:
        left_bytes = path.stat().st_size
        while left_bytes:
            if left_bytes <= BLOCK_BYTES:
                until_the_clock_ticks(path.parent)
                change(path)
            left_bytes -= len(await file.read())
        return file


@pytest.mark.parametrize("change", ATTRIBUTE_CHANGES)
async def test_a_stream_whose_attributes_change_has_the_content_it_was_opened_with(
    tmp_path: Path, reader: FileReader, change: str
) -> None:
    """Read once more before the last block, it proves to be the same: the stream is as good as any."""
    content = os.urandom(3 * BLOCK_BYTES + 7)
    (tmp_path / "a").write_bytes(content)
    file = await sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES[change])
    assert file.content_hash == hashlib.sha256(content).hexdigest()
    assert file.fingerprint == fingerprint_of((tmp_path / "a").stat())


async def test_a_stream_that_was_rewritten_with_its_time_set_back_is_refused(
    tmp_path: Path, reader: FileReader
) -> None:
    """Bytes that were read already are others now: only the change time tells; another attempt sends the new ones."""

    def rewrite(path: Path) -> None:
        before = path.stat()
        with path.open("r+b") as file:
            file.write(b"another first line")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    (tmp_path / "a").write_bytes(os.urandom(3 * BLOCK_BYTES + 7))
    with pytest.raises(SourceError, match="may have changed while it was sent") as caught:
        await sent_while(reader, tmp_path / "a", rewrite)
    assert caught.value.transient


async def test_an_edit_does_not_hide_behind_a_hard_link(tmp_path: Path, reader: FileReader) -> None:
    """New attributes explain the change time, and not the new bytes: the second read finds those."""

    def rewrite_and_link(path: Path) -> None:
        before = path.stat()
        with path.open("r+b") as file:
            file.write(b"another first line")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.link(path, path.with_name("link"))

    (tmp_path / "a").write_bytes(os.urandom(3 * BLOCK_BYTES + 7))
    with pytest.raises(SourceError, match="the file changed while it was sent") as caught:
        await sent_while(reader, tmp_path / "a", rewrite_and_link)
    assert not caught.value.transient


async def test_a_stream_without_a_hash_whose_attributes_change_is_sent_again(tmp_path: Path) -> None:
    """There is nothing to compare another read with: the attempt ends, and the entry is tried again."""
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=1, hashing=None)
    (tmp_path / "a").write_bytes(os.urandom(3 * BLOCK_BYTES + 7))
    with pytest.raises(SourceError, match="cannot be compared") as caught:
        await sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES["link"])
    assert caught.value.transient
    reader.close()


async def test_attributes_that_never_stop_changing_leave_a_file_for_later(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read finds another change time: the file is not read for ever, and not given up for good."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    changes_first = before_each(whole.read_exactly, ATTRIBUTE_CHANGES["chmod"], path)
    monkeypatch.setattr(whole, "read_exactly", changes_first)
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, SourceError)
    assert loaded.transient


async def test_change_times_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    """On a file system whose change times mean nothing, no file is read twice, and the ledger gets none of them."""
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=1, hashing=None, ignore_ctime=True)
    content = os.urandom(3 * BLOCK_BYTES + 7)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "small").write_bytes(b"x")
    file = await sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES["link"])
    (small,) = await reader.load(["small"])
    assert isinstance(small, LoadedFile)
    assert (file.fingerprint.ctime_ns, small.fingerprint.ctime_ns) == (None, None)
    assert (await reader.hash_content("a", HashFunction.SHA256))[0] == hashlib.sha256(content).hexdigest()
    reader.close()
