"""Reading files that may change, vanish or never have been files at all."""

from __future__ import annotations

import asyncio
import errno
import gc
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.doubt.content import ByteRange
from bulk_upload.core.run.source import LoadedFile, SourceError
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
from bulk_upload.edge.files.reader import part_count_for
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.reading_trees import ATTRIBUTE_CHANGES, CHANGES, Opening, hold_reads, is_open
from tests.waiting import HeldCall, until, until_the_clock_ticks

BLOCK_BYTES = block_bytes_for(1)
SIZES = [0, 1, SMALL_FILE_BYTES_MAX - 1, SMALL_FILE_BYTES_MAX]
LARGE_SIZES = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES + 7]


async def _error(reader: FileReader, path: str) -> SourceError:
    (loaded,) = await reader.load([path])
    assert isinstance(loaded, SourceError)
    with pytest.raises(SourceError) as opened:
        async with await reader.open(path):
            pass
    assert opened.value.reason == loaded.reason
    assert opened.value.local_limit == loaded.local_limit
    return loaded


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


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_changes_while_it_is_loaded_is_refused(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """What was read is believed only if the file is the same before and after."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    read = whole.read_exactly

    def changes_first(descriptor: int, byte_count: int) -> bytes:
        until_the_clock_ticks(tmp_path)
        CHANGES[change](path)
        return read(descriptor, byte_count)

    monkeypatch.setattr(whole, "read_exactly", changes_first)
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


async def _sent_while(
    reader: FileReader, path: Path, change: Callable[[Path], object], *, hashing: bool = True
) -> StreamedFile:
    """Stream a file that something happens to before its last block is read."""
    async with await reader.open(path.name, hashing=hashing) as file:
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
    file = await _sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES[change])
    assert file.sha256 == hashlib.sha256(content).hexdigest()
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
        await _sent_while(reader, tmp_path / "a", rewrite)
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
        await _sent_while(reader, tmp_path / "a", rewrite_and_link)
    assert not caught.value.transient


async def test_a_stream_without_a_hash_whose_attributes_change_is_sent_again(
    tmp_path: Path, reader: FileReader
) -> None:
    """There is nothing to compare another read with: the attempt ends, and the entry is tried again."""
    (tmp_path / "a").write_bytes(os.urandom(3 * BLOCK_BYTES + 7))
    with pytest.raises(SourceError, match="cannot be compared") as caught:
        await _sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES["link"], hashing=False)
    assert caught.value.transient


async def test_attributes_that_never_stop_changing_leave_a_file_for_later(
    tmp_path: Path, reader: FileReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read finds another change time: the file is not read for ever, and not given up for good."""
    path = tmp_path / "a"
    path.write_bytes(b"x" * 1000)
    read = whole.read_exactly

    def changes_first(descriptor: int, byte_count: int) -> bytes:
        until_the_clock_ticks(tmp_path)
        ATTRIBUTE_CHANGES["chmod"](path)
        return read(descriptor, byte_count)

    monkeypatch.setattr(whole, "read_exactly", changes_first)
    (loaded,) = await reader.load(["a"])
    assert isinstance(loaded, SourceError)
    assert loaded.transient


async def test_change_times_are_left_out_where_that_is_asked_for(tmp_path: Path) -> None:
    """On a file system whose change times mean nothing, no file is read twice, and the ledger gets none of them."""
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=1, ignore_ctime=True)
    content = os.urandom(3 * BLOCK_BYTES + 7)
    (tmp_path / "a").write_bytes(content)
    (tmp_path / "small").write_bytes(b"x")
    file = await _sent_while(reader, tmp_path / "a", ATTRIBUTE_CHANGES["link"], hashing=False)
    (small,) = await reader.load(["small"])
    assert isinstance(small, LoadedFile)
    assert (file.fingerprint.ctime_ns, small.fingerprint.ctime_ns) == (None, None)
    assert (await reader.sha256("a"))[0] == hashlib.sha256(content).hexdigest()
    reader.close()


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
        (errno.EAGAIN, False),
        (errno.ENOENT, False),
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
    assert error.transient is (number in (errno.EIO, errno.ESTALE, errno.EAGAIN))
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


def test_a_file_system_that_is_busy_makes_no_file_shorter() -> None:
    """EAGAIN is an error that passes, and not the end of the file."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with HashedFile(ours, "a") as file, pytest.raises(BlockingIOError) as caught:
        file._read_exactly(1)
    os.close(theirs)
    assert source_error(caught.value).transient


@pytest.mark.parametrize(
    ("number", "words", "is_transient"),
    [
        (errno.ENOENT, "the file was removed while it was sent", False),
        (errno.ESTALE, f"cannot read the file: {os.strerror(errno.ESTALE)}", True),
    ],
)
async def test_a_mount_that_fails_at_the_last_look_removes_no_file(
    tmp_path: Path,
    reader: FileReader,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    words: str,
    is_transient: bool,
) -> None:
    """Only a name that leads nowhere says that the file was removed."""
    (tmp_path / "a").write_bytes(b"x" * 10)
    real_stat = os.stat

    def fails(path: object, *args: object, **options: object) -> os.stat_result:
        if str(path).endswith("/a"):
            raise OSError(number, os.strerror(number))
        return real_stat(path, *args, **options)  # type: ignore[arg-type]

    async with await reader.open("a") as stream:
        monkeypatch.setattr(os, "stat", fails)
        with pytest.raises(SourceError) as streamed:
            await stream.read()
        (loaded,) = await reader.load(["a"])
        monkeypatch.undo()
    assert isinstance(loaded, SourceError)
    for error in (streamed.value, loaded):
        assert (error.reason, error.transient) == (words, is_transient)


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
    await reader.sha256("a")


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


async def test_ranges_are_hashed_of_one_version(tmp_path: Path, reader: FileReader) -> None:
    """The bytes of the ranges one after another, if the file is the one that is expected."""
    content = os.urandom(5_000_000)
    path = tmp_path / "a"
    path.write_bytes(content)
    fingerprint = fingerprint_of(path.stat())
    ranges = [ByteRange(0, 10), ByteRange(1_000_000, 2_500_000), ByteRange(4_999_999, 1)]
    parts = content[:10] + content[1_000_000:3_500_000] + content[-1:]
    expected = hashlib.sha256(parts).hexdigest(), fingerprint
    assert await reader.sha256("a", expected=fingerprint, ranges=ranges) == expected
    with pytest.raises(SourceError, match="became shorter"):
        await reader.sha256("a", ranges=[ByteRange(4_999_999, 2)])
    with pytest.raises(SourceError, match="has changed"):
        await reader.sha256("a", expected=replace(fingerprint, mtime_ns=1), ranges=ranges)
    path.unlink()
    with pytest.raises(SourceError, match="No such file"):
        await reader.sha256("a", expected=fingerprint, ranges=ranges)


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
