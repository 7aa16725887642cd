"""Reading files that may change, vanish, hang or never have been files at all."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    SMALL_FILE_BYTES_MAX,
    FileReader,
    HashedFile,
    StreamedFile,
    block_bytes_for,
    fingerprint_of,
    source_error,
    whole,
)
from bulk_upload.edge.files.pool import Lane, ReadingPool
from bulk_upload.edge.files.reader import part_count_for
from bulk_upload.edge.source_tree import SourceTree

BLOCK_BYTES = block_bytes_for(1)
SIZES = [0, 1, SMALL_FILE_BYTES_MAX - 1, SMALL_FILE_BYTES_MAX]
LARGE_SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7]


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    return SourceTree(str(tmp_path))


@pytest.fixture
def reader(tree: SourceTree) -> Iterator[FileReader]:
    reader = FileReader(tree, thread_count=2)
    yield reader
    reader.close()


class Opening:
    """A tree whose files something happens to right after they were opened."""

    def __init__(self, tree: SourceTree, then: Callable[[int], None]) -> None:
        self._tree = tree
        self._then = then
        self.descriptors: list[int] = []

    def absolute(self, relative_path: str) -> str:
        return self._tree.absolute(relative_path)

    def open_regular(self, relative_path: str) -> int:
        descriptor = self._tree.open_regular(relative_path)
        self.descriptors.append(descriptor)
        self._then(descriptor)
        return descriptor


async def _error(reader: FileReader, path: str) -> SourceError:
    (loaded,) = await reader.load([path])
    assert isinstance(loaded, SourceError)
    with pytest.raises(SourceError) as opened:
        async with await reader.open(path):
            pass
    assert opened.value.reason == loaded.reason
    assert opened.value.local_limit == loaded.local_limit
    return loaded


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("size", SIZES)
async def test_a_small_file_is_read_and_hashed_whole(tmp_path: Path, reader: FileReader, size: int) -> None:
    """A loaded file has the content, the hash and the fingerprint of one version of the file."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(os.urandom(size))
    (loaded,) = await reader.load(["a.jsonl"])
    assert loaded == LoadedFile(
        content=path.read_bytes(),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
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
        assert stream.sha256 == hashlib.sha256(content).hexdigest()
        assert stream.fingerprint.size == size
    assert await reader.sha256("a") == (stream.sha256, stream.fingerprint)


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite", "touch", "replace", "remove"])
async def test_a_file_that_changes_while_it_is_loaded_is_refused(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What was read is believed only if the file is the same before and after."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    acts: dict[str, Callable[[], Any]] = {
        "grow": lambda: os.truncate(path, 2000),
        "shrink": lambda: os.truncate(path, 10),
        "rewrite": lambda: path.write_bytes(b"y" * 1000),
        "touch": lambda: os.utime(path),
        "replace": lambda: (tmp_path / "b").write_bytes(b"x" * 1000) and (tmp_path / "b").rename(path),
        "remove": path.unlink,
    }
    read = whole.read_exactly

    def changes_first(descriptor: int, byte_count: int) -> bytes:
        time.sleep(0.012)  # longer than the clock tick of file systems
        acts[change]()
        return read(descriptor, byte_count)

    monkeypatch.setattr(whole, "read_exactly", changes_first)
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, SourceError)
    assert "while it was sent" in loaded.reason
    assert not loaded.local_limit


async def test_a_file_swapped_for_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    """A name that leads out of the root by the time it is opened gives nothing away."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").write_text("{}")
    reader = FileReader(SourceTree(str(root)), thread_count=1)
    assert isinstance((await reader.load(["a"]))[0], LoadedFile)
    (root / "a").unlink()
    (root / "a").symlink_to(tmp_path / "secret")
    assert "outside the root" in (await _error(reader, "a")).reason
    reader.close()


async def test_what_is_no_regular_file_fails_at_once(tmp_path: Path, reader: FileReader) -> None:
    """A named pipe nobody writes to and a folder are refused without waiting."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    async with asyncio.timeout(20):
        assert "a named pipe" in (await _error(reader, "pipe")).reason
        assert "a folder" in (await _error(reader, "folder")).reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_says_so(tmp_path: Path, reader: FileReader) -> None:
    """A file without read permission is named with the system's reason."""
    (tmp_path / "a").touch(mode=0o000)
    assert (await _error(reader, "a")).reason == "cannot read the file: Permission denied"


@pytest.mark.parametrize("name", ["\0", "a\0b", "\ud800", "../a", "/etc/passwd", "x" * 300, "a/b/c"])
async def test_a_name_no_file_has_is_an_error_and_no_crash(reader: FileReader, name: str) -> None:
    """Whatever stands in a manifest, opening it ends in a file or in a reason."""
    assert (await _error(reader, name)).reason.startswith("cannot read the file: ")


@pytest.mark.parametrize(
    ("number", "is_local"),
    [
        (errno.EMFILE, True),
        (errno.ENFILE, True),
        (errno.ENOMEM, True),
        (errno.EACCES, False),
        (errno.EIO, False),
        (errno.ESTALE, False),
    ],
)
async def test_only_shortages_of_this_machine_are_local_limits(
    tree: SourceTree, tmp_path: Path, number: int, is_local: bool
) -> None:
    """Too many descriptors or too little memory is not held against the file."""
    (tmp_path / "a").touch()

    def fails(descriptor: int) -> None:
        os.close(descriptor)
        raise OSError(number, os.strerror(number))

    reader = FileReader(Opening(tree, fails), thread_count=1)
    error = await _error(reader, "a")
    assert error.local_limit is is_local
    assert error.reason == source_error(OSError(number, os.strerror(number))).reason
    reader.close()


async def test_a_read_error_in_mid_file_is_a_source_error(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error while reading is told in the words of the person who must mend it."""
    (tmp_path / "a").write_bytes(b"x" * 10)

    def fails(*_: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(HashedFile, "_read_exactly", fails)
    monkeypatch.setattr(whole, "read_exactly", fails)
    async with await reader.open("a") as stream:
        with pytest.raises(SourceError, match="Input/output error"):
            await stream.read()
    assert isinstance((await reader.load(["a"]))[0], SourceError)


async def test_a_file_is_not_closed_under_a_read(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read that is given up keeps its descriptor until it returns, and only then the file is closed."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES))
    reading, go_on = threading.Event(), threading.Event()
    read = HashedFile._read_exactly

    def waits(file: HashedFile, wanted: int) -> bytes:
        reading.set()
        go_on.wait(20)
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", waits)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=2)
    async with await reader.open("a") as stream:
        task = asyncio.create_task(stream.read())
        await _until(reading.is_set)
        task.cancel()
        await asyncio.wait([task])
    # The close has a thread of its own and was asked for: it must find the read under way.
    await asyncio.get_running_loop().run_in_executor(reader._pool, time.sleep, 0)
    (descriptor,) = opening.descriptors
    assert _is_open(descriptor)
    go_on.set()
    await _until(lambda: not _is_open(descriptor))
    reader.close()


async def test_a_file_opened_for_nobody_is_closed(tmp_path: Path, tree: SourceTree) -> None:
    """A cancelled open leaves no descriptor behind."""
    (tmp_path / "a").touch()
    opened, go_on = threading.Event(), threading.Event()

    def waits(descriptor: int) -> None:
        opened.set()
        go_on.wait(20)

    opening = Opening(tree, waits)
    reader = FileReader(opening, thread_count=1)
    task = asyncio.create_task(reader.open("a"))
    await _until(opened.is_set)
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    (descriptor,) = opening.descriptors
    await _until(lambda: not _is_open(descriptor))
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
    await _until(lambda: not any(map(_is_open, opening.descriptors)))
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
    await reader.sha256("a")


# --- file systems that do not answer


class DeadMount:
    """A tree in which some files hang when they are opened, until the test lets them go."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self.released = threading.Event()

    def absolute(self, relative_path: str) -> str:
        return self._tree.absolute(relative_path)

    def open_regular(self, relative_path: str) -> int:
        if relative_path.startswith("dead"):
            self.released.wait(60)
        return self._tree.open_regular(relative_path)


async def test_reads_that_hang_are_given_up_and_starve_nobody(tmp_path: Path, tree: SourceTree) -> None:
    """Twice as many dead files as there are threads: each ends with its reason, and the living are read."""
    mount = DeadMount(tree)
    reader = FileReader(mount, thread_count=2, stuck_s=0.05)
    (tmp_path / "alive").write_bytes(b"x")
    for number in range(4):
        (tmp_path / f"dead-{number}").touch()
        with pytest.raises(SourceError, match="did not answer"):
            await reader.open(f"dead-{number}")
        (loaded,) = await reader.load(["alive"])
        assert isinstance(loaded, LoadedFile)
        async with await reader.open("alive") as stream:
            assert await stream.read() == b"x"
    # Four threads hang, and no more than two others live.
    assert reader._pool._started_count <= 6
    mount.released.set()
    await _until(lambda: reader._pool._started_count <= 2)
    reader.close()
    await _until(lambda: reader._pool._started_count == 0)


async def test_a_batch_that_hangs_blames_nobody_for_good(tmp_path: Path, tree: SourceTree) -> None:
    """One dead file among small ones: the batch is given up, and read one by one only the dead one fails."""
    mount = DeadMount(tree)
    reader = FileReader(mount, thread_count=2, stuck_s=0.05)
    (tmp_path / "alive").write_bytes(b"x")
    (tmp_path / "dead").touch()
    assert all(isinstance(one, SourceError) for one in await reader.load(["alive", "dead"]))
    (alive,) = await reader.load(["alive"])
    assert isinstance(alive, LoadedFile)
    mount.released.set()
    reader.close()


async def test_a_time_out_of_the_file_system_is_told_as_its_own(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system that gives up says ETIMEDOUT: that is a read error, and not a call that hangs."""
    (tmp_path / "a").write_bytes(b"x")

    def fails(*_: object) -> bytes:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    monkeypatch.setattr(HashedFile, "_read_exactly", fails)
    async with await reader.open("a") as stream:
        with pytest.raises(SourceError, match="cannot read the file: Connection timed out"):
            await stream.read()


async def test_a_call_that_never_began_is_not_its_files_fault(tree: SourceTree) -> None:
    """Where every thread hangs, the next file is tried again and not settled as failed."""
    pool = ReadingPool(1)
    begun, released = threading.Event(), threading.Event()

    def hangs() -> None:
        begun.set()
        released.wait(60)

    pool.submit(hangs)
    await _until(begun.is_set)
    lane = Lane(pool, 0.05)
    waiting = lane.submit(int)
    with pytest.raises(SourceError) as caught:
        await lane.result_of(asyncio.wrap_future(waiting))
    assert caught.value.local_limit
    released.set()
    pool.shutdown()


# --- blocks


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
            await _until(lambda: len(begun) >= blocks_begun)  # noqa: B023 - called at once
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
    reading, go_on = threading.Event(), threading.Event()
    read = HashedFile._read_exactly

    def fails_later(file: HashedFile, wanted: int) -> bytes:
        if file.tell() == BLOCK_BYTES:
            reading.set()
            go_on.wait(20)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", fails_later)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with await reader.open("a") as stream:
        await stream.read()
        await _until(reading.is_set)
    (descriptor,) = opening.descriptors
    assert _is_open(descriptor)
    # The thread under way counts no more: another file does not wait for it.
    (tmp_path / "b").write_bytes(b"x")
    assert (await reader.sha256("b"))[0] == hashlib.sha256(b"x").hexdigest()
    go_on.set()
    await _until(lambda: not _is_open(descriptor))
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
            sha256=hashlib.sha256(content).hexdigest(),
            fingerprint=fingerprint_of((tmp_path / "a").stat()),
        )
        assert not any(map(_is_open, opening.descriptors))
    reader.close()


async def test_what_fits_in_no_block_is_opened_to_be_streamed(tmp_path: Path, tree: SourceTree) -> None:
    """A larger file is open as long as it is held, and every byte of it comes in blocks."""
    content = os.urandom(2 * BLOCK_BYTES + 1)
    (tmp_path / "a").write_bytes(content)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with reader.source("a") as source:
        assert isinstance(source, StreamedFile)
        blocks = [await source.read() for _ in range(3)]
        assert b"".join(blocks) == content
        assert source.sha256 == hashlib.sha256(content).hexdigest()
    await _until(lambda: not any(map(_is_open, opening.descriptors)))
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


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "remove"])
async def test_a_file_that_changes_while_it_is_taken_whole_is_refused(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What the opening hop read is believed only if the file is the same before and after."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    acts: dict[str, Callable[[], object]] = {
        "grow": lambda: os.truncate(path, 2000),
        "shrink": lambda: os.truncate(path, 10),
        "touch": lambda: os.utime(path),
        "remove": path.unlink,
    }
    read = HashedFile._read_exactly

    def changes_first(file: HashedFile, wanted: int) -> bytes:
        time.sleep(0.012)  # longer than the clock tick of file systems
        acts[change]()
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", changes_first)
    with pytest.raises(SourceError, match="while it was sent"):
        async with reader.source("a"):
            raise AssertionError("a file that moved is no source")


async def test_an_error_at_the_close_of_a_file_taken_whole_is_a_source_error(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may tell only then; it is this file's failure and not the run's."""
    (tmp_path / "a").write_bytes(b"x")
    close = HashedFile.close

    def fails(file: HashedFile) -> None:
        was_open = not file.closed
        close(file)
        if was_open:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(HashedFile, "close", fails)
    with pytest.raises(SourceError, match="cannot read the file: Input/output error"):
        async with reader.source("a"):
            raise AssertionError("what may not have been read is no source")


async def test_a_file_taken_for_nobody_leaves_no_descriptor(tmp_path: Path, tree: SourceTree) -> None:
    """Whoever waits may be cancelled: a file that was to be streamed is closed all the same."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES + 1))
    opened, go_on = threading.Event(), threading.Event()

    def waits(descriptor: int) -> None:
        opened.set()
        go_on.wait(20)

    opening = Opening(tree, waits)
    reader = FileReader(opening, thread_count=1)
    task = asyncio.create_task(reader.source("a").__aenter__())
    await _until(opened.is_set)
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    (descriptor,) = opening.descriptors
    await _until(lambda: not _is_open(descriptor))
    reader.close()


async def test_a_reader_told_so_hashes_nothing_on_the_way(tmp_path: Path, tree: SourceTree) -> None:
    """Bytes and fingerprint are the same, the hash is None; asked for a hash, it still makes one."""
    reader = FileReader(tree, thread_count=2, hashing=False)
    (tmp_path / "a").write_bytes(b"x")
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, LoadedFile)
    assert (loaded.content, loaded.sha256) == (b"x", None)
    async with await reader.open("a") as stream:
        assert await stream.read() == b"x"
        assert stream.sha256 is None
        fingerprint = stream.fingerprint
    assert await reader.sha256("a") == (hashlib.sha256(b"x").hexdigest(), fingerprint)
    reader.close()


async def test_a_file_is_closed_though_its_last_read_is_given_up_later(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task that reads may be cancelled after the file was left: that takes back the read, never the close."""
    (tmp_path / "a").write_bytes(bytes(BLOCK_BYTES))
    reading, go_on = threading.Event(), threading.Event()
    read = HashedFile._read_exactly

    def waits(file: HashedFile, wanted: int) -> bytes:
        reading.set()
        go_on.wait(20)
        return read(file, wanted)

    monkeypatch.setattr(HashedFile, "_read_exactly", waits)
    opening = Opening(tree, lambda descriptor: None)
    reader = FileReader(opening, thread_count=1)
    async with await reader.open("a") as stream:
        task = asyncio.create_task(stream.read())
        await _until(reading.is_set)
    # The one thread is busy with the read: the close waits for its turn while the read is given up.
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    (descriptor,) = opening.descriptors
    await _until(lambda: not _is_open(descriptor))
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
