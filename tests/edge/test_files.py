"""Reading files that may change, vanish or never have been files at all."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    SMALL_FILE_BYTES_MAX,
    FileReader,
    fingerprint_of,
)
from bulk_upload.edge.files.reader import part_count_for
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.files_read import BLOCK_BYTES
from tests.edge.reading_trees import Opening, hold_reads, is_open
from tests.waiting import HeldCall, until

SIZES = [0, 1, SMALL_FILE_BYTES_MAX - 1, SMALL_FILE_BYTES_MAX]
LARGE_SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7]


@pytest.mark.parametrize("size", SIZES)
async def test_a_small_file_is_read_and_hashed_whole(tmp_path: Path, reader: FileReader, size: int) -> None:
    """A loaded file has the content, the hash and the fingerprint of one version of the file."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(os.urandom(size))
    (loaded,) = await reader.load(["a.jsonl"])
    assert loaded == LoadedFile(
        content=path.read_bytes(),
        content_hash=hashlib.sha256(path.read_bytes()).hexdigest(),
        fingerprint=fingerprint_of(path.stat()),
    )


async def test_a_batch_keeps_its_order_and_its_errors_in_place(tmp_path: Path, reader: FileReader) -> None:
    """One bad file of a batch is an error in its own place and costs the others nothing."""
    for name in "ac":
        (tmp_path / name).write_text(name)
    first, missing, last = await reader.load(["a", "b", "c"])
    assert isinstance(first, LoadedFile)
    assert first.content == b"a"
    assert isinstance(missing, SourceError)
    assert missing.reason == "cannot read the file: No such file or directory"
    assert isinstance(last, LoadedFile)
    assert last.content == b"c"


async def test_a_file_that_is_no_longer_small_is_not_held_in_memory(
    tmp_path: Path, reader: FileReader
) -> None:
    """Only small files are loaded; a larger one is an error that says so."""
    (tmp_path / "a").write_bytes(bytes(SMALL_FILE_BYTES_MAX + 1))
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, SourceError)
    assert "grew" in loaded.reason


@pytest.mark.parametrize("size", LARGE_SIZES)
async def test_a_stream_reads_every_byte_once(tmp_path: Path, reader: FileReader, size: int) -> None:
    """A stream hands out blocks until the size it had when opened, then nothing, and knows the hash."""
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    async with await reader.open("a") as stream:
        blocks = []
        while block := await stream.read():
            blocks.append(block)
        assert await stream.read() == b""
        assert b"".join(blocks) == content
        assert all(len(block) == BLOCK_BYTES for block in blocks[:-1])
        assert stream.content_hash == hashlib.sha256(content).hexdigest()
        assert stream.fingerprint.size == size
    assert await reader.hash_content("a", HashFunction.SHA256) == (stream.content_hash, stream.fingerprint)


async def test_a_file_is_not_closed_under_a_read(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that is given up keeps its descriptor until it returns, and only then the file is closed."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES))
    held = hold_reads(monkeypatch)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=2)
    async with await reader.open("a") as stream:
        task = asyncio.create_task(stream.read())
        await until(held.begun.is_set)
        task.cancel()
        await asyncio.wait([task])
    # The close has a thread of its own and was asked for: it must find the read under way.
    await asyncio.get_running_loop().run_in_executor(reader._pool, int)
    (descriptor,) = opening.descriptors
    assert is_open(descriptor)
    held.released.set()
    await until(lambda: not is_open(descriptor))
    reader.close()


async def test_a_file_opened_for_nobody_is_closed(tmp_path: Path, tree: SourceTree) -> None:
    """A cancelled open leaves no descriptor behind."""
    (tmp_path / "a").touch()
    held = HeldCall()
    opening = Opening(tree, held)
    reader = FileReader(opening, thread_count=1)
    task = asyncio.create_task(reader.open("a"))
    await until(held.begun.is_set)
    task.cancel()
    await asyncio.wait([task])
    held.released.set()
    (descriptor,) = opening.descriptors
    await until(lambda: not is_open(descriptor))
    reader.close()


async def test_closing_the_reader_still_closes_its_files(tmp_path: Path, tree: SourceTree) -> None:
    """Files that were left or are left after the reader was closed do not stay open."""
    (tmp_path / "a").touch()
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with await reader.open("a"):
        async with await reader.open("a"):
            pass
        reader.close()
    await until(lambda: not any(map(is_open, opening.descriptors)))
    gc.collect()


async def test_reading_never_uses_the_default_executor(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All reads run on the reader's own threads, which a slow disk may block without harm to others."""
    (tmp_path / "a").write_bytes(b"x")
    loop = asyncio.get_running_loop()
    run = loop.run_in_executor

    def watched(executor: Any, function: Any, *args: Any) -> Any:
        assert executor._pool is reader._pool
        return run(executor, function, *args)

    monkeypatch.setattr(loop, "run_in_executor", watched)
    assert isinstance((await reader.load(["a"]))[0], LoadedFile)
    async with await reader.open("a") as stream:
        assert await stream.read() == b"x"
    await reader.hash_content("a", HashFunction.SHA256)


async def test_a_reader_told_so_hashes_nothing_on_the_way(tmp_path: Path, tree: SourceTree) -> None:
    """Bytes and fingerprint are the same, the hash is None; asked for a hash, it still makes one."""
    reader = FileReader(tree, thread_count=2, hashing=None)
    (tmp_path / "a").write_bytes(b"x")
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, LoadedFile)
    assert (loaded.content, loaded.content_hash) == (b"x", None)
    async with await reader.open("a") as stream:
        assert await stream.read() == b"x"
        assert stream.content_hash is None
        fingerprint = stream.fingerprint
    assert await reader.hash_content("a", HashFunction.SHA256) == (
        hashlib.sha256(b"x").hexdigest(),
        fingerprint,
    )
    reader.close()


async def test_ranges_are_hashed_of_one_version(tmp_path: Path, reader: FileReader) -> None:
    """The bytes of the ranges one after another, if the file is the one that is expected."""
    content = os.urandom(5_000_000)
    path = tmp_path / "a"
    path.write_bytes(content)
    fingerprint = fingerprint_of(path.stat())
    ranges = [ByteRange(0, 10), ByteRange(1_000_000, 2_500_000), ByteRange(4_999_999, 1)]
    parts = content[:10] + content[1_000_000:3_500_000] + content[-1:]
    expected = hashlib.sha256(parts).hexdigest(), fingerprint
    assert (
        await reader.hash_content("a", HashFunction.SHA256, expected=fingerprint, ranges=ranges) == expected
    )
    with pytest.raises(SourceError, match="became shorter"):
        await reader.hash_content("a", HashFunction.SHA256, ranges=[ByteRange(4_999_999, 2)])
    with pytest.raises(SourceError, match="has changed"):
        await reader.hash_content(
            "a", HashFunction.SHA256, expected=replace(fingerprint, mtime_ns=1), ranges=ranges
        )
    path.unlink()
    with pytest.raises(SourceError, match="No such file"):
        await reader.hash_content("a", HashFunction.SHA256, expected=fingerprint, ranges=ranges)


async def test_a_file_is_closed_though_its_last_read_is_given_up_later(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task that reads may be cancelled after the file was left: that takes back the read, never the close."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES))
    held = hold_reads(monkeypatch)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with await reader.open("a") as stream:
        task = asyncio.create_task(stream.read())
        await until(held.begun.is_set)
    # The one thread is busy with the read: the close waits for its turn while the read is given up.
    task.cancel()
    await asyncio.wait([task])
    held.released.set()
    (descriptor,) = opening.descriptors
    await until(lambda: not is_open(descriptor))
    reader.close()


@given(file_count=st.integers(1, 64), waited_s=st.floats(0, 10), thread_count=st.integers(1, 16))
def test_small_files_are_read_at_once_only_where_the_disk_is_slow(
    file_count: int, waited_s: float, thread_count: int
) -> None:
    """From a warm cache one thread reads all; from a slow disk some do, never all there are, and never for a file or two."""
    part_count = part_count_for(file_count, waited_s, thread_count=thread_count)
    assert 1 <= part_count <= max(1, thread_count // 2)
    assert part_count == 1 or file_count // part_count >= 4
    assert (part_count == 1) or waited_s >= 0.002


async def test_a_slow_disk_is_asked_for_several_files_at_once(tmp_path: Path, tree: SourceTree) -> None:
    """Once files were waited for, the next batch is read by several threads, and comes back in order."""
    for number in range(32):
        (tmp_path / f"{number:02d}").write_bytes(b"%d" % number)
    paths = [f"{number:02d}" for number in range(32)]
    waiting: set[int] = set()
    together = threading.Event()
    slow = False

    def wait(_: int) -> None:
        if slow:
            waiting.add(threading.get_ident())
            if len(waiting) > 1:
                together.set()
            assert together.wait(20)

    reader = FileReader(Opening(tree, wait), thread_count=8)
    try:
        assert len(await reader.load(paths)) == 32
        reader._waited_s_per_file = 1.0
        slow = True
        loaded = await reader.load(paths)
    finally:
        reader.close()
    assert [one.content for one in loaded if isinstance(one, LoadedFile)] == [b"%d" % n for n in range(32)]


async def test_no_files_are_read_at_no_cost(reader: FileReader) -> None:
    """An empty batch needs no thread."""
    assert await reader.load([]) == []
