"""How much of a file is read at once: whole, block by block, or a block ahead."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import os
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    FileReader,
    HashedFile,
    StreamedFile,
    block_bytes_for,
    fingerprint_of,
    whole,
)
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.reading_trees import CHANGES, Opening, before_each, is_open
from tests.waiting import HeldCall, until

BLOCK_BYTES = block_bytes_for(1)


@pytest.mark.parametrize(
    ("open_count", "mib"), [(0, 2), (4, 2), (5, 1), (16, 1), (32, 0.5), (64, 0.25), (500, 0.25)]
)
def test_the_more_files_the_smaller_their_blocks(open_count: int, mib: float) -> None:
    """Together they stay within a budget, each within sensible bounds."""
    assert block_bytes_for(open_count) == mib * 2**20


async def test_blocks_shrink_while_other_files_are_open(tmp_path: Path, reader: FileReader) -> None:
    """The size is decided anew as each read begins, and with many files none is read ahead."""
    (tmp_path / "a").write_bytes(bytes(12 * 2**20))
    async with await reader.open("a") as first:
        sizes = [len(await first.read())]
        async with AsyncExitStack() as others:
            for _ in range(31):
                await others.enter_async_context(await reader.open("a"))
            # This one was begun before they were opened.
            sizes += [len(await first.read()), len(await first.read())]
        sizes += [len(await first.read()), len(await first.read())]
    assert sizes == [2**21, 2**21, 2**19, 2**21, 2**21]


async def test_the_next_block_is_read_while_this_one_is_sent(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the last: that one is asked for as late as can be, for with it comes the proof that nothing moved."""
    (tmp_path / "a").write_bytes(os.urandom(4 * BLOCK_BYTES))
    begun: list[int] = []
    read = HashedFile._read_exactly

    def noted(file: HashedFile, wanted: int) -> bytes:
        begun.append(wanted)
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", noted)
    reader = FileReader(tree, thread_count=1)
    async with await reader.open("a") as stream:
        for blocks_begun in (2, 3, 3, 4):
            await stream.read()
            await until(lambda: len(begun) >= blocks_begun)  # noqa: B023 - called at once
            await asyncio.get_running_loop().run_in_executor(reader._pool, int)
            assert len(begun) == blocks_begun
        assert await stream.read() == b""
    assert reader._blocks.count == 0
    reader.close()


async def test_a_block_read_ahead_for_nobody_is_dropped(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is left early closes once the read that is under way returns, and its error is nobody's."""
    (tmp_path / "a").write_bytes(os.urandom(4 * BLOCK_BYTES))
    held, read = HeldCall(), HashedFile._read_exactly

    def fails_later(file: HashedFile, wanted: int) -> bytes:
        if file.tell() == BLOCK_BYTES:
            held()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", fails_later)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with await reader.open("a") as stream:
        await stream.read()
        await until(held.begun.is_set)
    (descriptor,) = opening.descriptors
    assert is_open(descriptor)
    # The thread under way counts no more: another file does not wait for it.
    (tmp_path / "b").write_bytes(b"x")
    assert (await reader.hash_content("b", HashFunction.SHA256))[0] == hashlib.sha256(b"x").hexdigest()
    held.released.set()
    await until(lambda: not is_open(descriptor))
    del stream
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    assert reader._blocks.count == 0
    reader.close()


@pytest.mark.parametrize("size", [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES])
async def test_what_fits_in_one_block_is_read_in_the_hop_that_opens_it(
    tmp_path: Path, tree: SourceTree, size: int
) -> None:
    """Such a file is held whole, with its hash and fingerprint, and its descriptor is closed by then."""
    content = os.urandom(size)
    (tmp_path / "a").write_bytes(content)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with reader.source("a") as source:
        assert source == LoadedFile(
            content=content,
            content_hash=hashlib.sha256(content).hexdigest(),
            fingerprint=fingerprint_of((tmp_path / "a").stat()),
        )
        assert not any(map(is_open, opening.descriptors))
    reader.close()


async def test_what_fits_in_no_blockis_opened_to_be_streamed(tmp_path: Path, tree: SourceTree) -> None:
    """A larger file is open as long as it is held, and every byte of it comes in blocks."""
    content = os.urandom(2 * BLOCK_BYTES + 1)
    (tmp_path / "a").write_bytes(content)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with reader.source("a") as source:
        assert isinstance(source, StreamedFile)
        blocks = [await source.read() for _ in range(3)]
        assert b"".join(blocks) == content
        assert source.content_hash == hashlib.sha256(content).hexdigest()
    await until(lambda: not any(map(is_open, opening.descriptors)))
    reader.close()


async def test_files_held_whole_count_among_those_that_share_the_budget(
    tmp_path: Path, reader: FileReader
) -> None:
    """With many in hand a file that one block held before is streamed in smaller ones."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES))
    async with AsyncExitStack() as others:
        held = [await others.enter_async_context(reader.source("a")) for _ in range(31)]
        assert isinstance(held[0], LoadedFile)
        assert isinstance(held[-1], StreamedFile)
        async with reader.source("a") as source:
            assert isinstance(source, StreamedFile)
            assert len(await source.read()) == 2**19
    async with reader.source("a") as source:
        assert isinstance(source, LoadedFile)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_taken_whole_is_refused(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What the opening hop read is believed only if the file is the same before and after."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    changes_first = before_each(whole.read_exactly, CHANGES[change], path)
    monkeypatch.setattr(whole, "read_exactly", changes_first)
    with pytest.raises(SourceError, match="while it was sent"):
        async with reader.source("a"):
            raise AssertionError("a file that moved is no source")


async def test_an_error_at_the_close_of_a_file_taken_whole_is_a_source_error(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may tell only then; it is this file's failure and not the run's."""
    (tmp_path / "a").write_bytes(b"x")
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    close = os.close

    def fails(descriptor: int) -> None:
        close(descriptor)
        if descriptor in opening.descriptors:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", fails)
    with pytest.raises(SourceError, match="cannot read the file: Input/output error"):
        async with reader.source("a"):
            raise AssertionError("what may not have been read is no source")
    monkeypatch.undo()
    reader.close()


async def test_a_file_taken_for_nobody_leaves_no_descriptor(tmp_path: Path, tree: SourceTree) -> None:
    """Whoever waits may be cancelled: a file that was to be streamed is closed all the same."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES + 1))
    held = HeldCall()
    opening = Opening(tree, held)
    reader = FileReader(opening, thread_count=1)
    task = asyncio.create_task(reader.source("a").__aenter__())
    await until(held.begun.is_set)
    task.cancel()
    await asyncio.wait([task])
    held.released.set()
    (descriptor,) = opening.descriptors
    await until(lambda: not is_open(descriptor))
    reader.close()
