"""File systems that do not answer."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from concurrent import futures
from pathlib import Path
from types import SimpleNamespace

import pytest

from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import (
    FileReader,
    HashedFile,
)
from bulk_upload.edge.files.pool import FileCalls, ReadingPool
from bulk_upload.edge.files.reader import AT_ONCE_S, TRIED_EVERY
from bulk_upload.edge.source_tree import SourceTree
from tests.edge.reading_trees import DeadMount
from tests.waiting import HeldCall, until


async def test_reads_that_hang_are_given_up_and_starve_nobody(tmp_path: Path, tree: SourceTree) -> None:
    """Twice as many dead files as there are threads: each ends with its reason, and the living are read."""
    mount = DeadMount(tree)
    reader = FileReader(mount, thread_count=2, stuck_s=0.05)
    (tmp_path / "alive").write_bytes(b"x")
    for number in range(4):
        (tmp_path / f"dead-{number}").touch()
        with pytest.raises(SourceError, match="did not answer") as caught:
            await reader.open(f"dead-{number}")
        assert caught.value.transient
        (loaded,) = await reader.load(["alive"])
        assert isinstance(loaded, LoadedFile)
        async with await reader.open("alive") as stream:
            assert await stream.read() == b"x"
    # Four threads hang, and no more than two others live.
    assert reader._pool._started_count <= 6
    mount.released.set()
    await until(lambda: reader._pool._started_count <= 2)
    reader.close()
    await until(lambda: reader._pool._started_count == 0)


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
        with pytest.raises(SourceError, match="cannot read the file: Connection timed out") as caught:
            await stream.read()
    assert caught.value.transient


async def test_a_call_that_never_began_is_not_its_files_fault(tree: SourceTree) -> None:
    """Where every thread hangs, the next file is tried again and not settled as failed."""
    pool = ReadingPool(1)
    hangs = HeldCall()
    pool.submit(hangs)
    await until(hangs.begun.is_set)
    calls = FileCalls(pool, 0.05)
    waiting = calls.submit(int)
    with pytest.raises(SourceError) as caught:
        await calls.result_of(asyncio.wrap_future(waiting))
    assert caught.value.local_limit
    hangs.released.set()
    pool.shutdown()


async def test_an_event_loop_waits_only_for_what_is_read_at_once(
    tmp_path: Path, tree: SourceTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a batch that hangs the loop does not stand still for the next ones, until it tries again."""
    mount = DeadMount(tree)
    reader = FileReader(mount, thread_count=2, stuck_s=0.05)
    (tmp_path / "alive").write_bytes(b"x")
    (tmp_path / "dead").touch()
    waited: list[float | None] = []

    def wait(calls: Sequence[futures.Future[object]], timeout: float | None = None) -> object:
        waited.append(timeout)
        # Only the first batch is not read at once, however busy the machine is.
        return futures.wait(calls, timeout if len(waited) == 1 else 60.0)

    monkeypatch.setattr("bulk_upload.edge.files.reader.futures", SimpleNamespace(wait=wait))
    assert isinstance((await reader.load(["dead"]))[0], SourceError)
    for _ in range(TRIED_EVERY - 1):
        assert isinstance((await reader.load(["alive"]))[0], LoadedFile)
    assert waited == [AT_ONCE_S]
    for count in (2, 3):
        assert isinstance((await reader.load(["alive"]))[0], LoadedFile)
        assert len(waited) == count
    mount.released.set()
    reader.close()
