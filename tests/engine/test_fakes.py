"""The fakes behave as what they stand for: each rule here is checked on the fake and on the real thing."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import asynccontextmanager, suppress
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING

import pytest

from bulk_upload.core.content_hash import HashFunction
from bulk_upload.core.model import Entry, EntryState
from bulk_upload.core.run.source import LoadedFile, SourceError
from bulk_upload.edge.files import SMALL_FILE_BYTES_MAX, FileReader
from bulk_upload.edge.ledger import open_ledger
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport import Transport
from bulk_upload.errors import LedgerUnusable
from tests.fakes.fates import Fate, Faults
from tests.fakes.files import FakeReader, MemoryFiles
from tests.fakes.ledger import JOB, LedgerFile, MemoryLedger
from tests.fakes.transport import FakeTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from bulk_upload.edge.ledger import LedgerStore, LedgerWriter

    Opens = Callable[[Path], AbstractAsyncContextManager[MemoryLedger | LedgerWriter]]

UTC_S = 1_780_000_000.0
CONTENT = b"x" * (SMALL_FILE_BYTES_MAX + 5)


# --- readers


class Disk:
    """Files a test can write, and a reader of them."""

    def __init__(self, reader: FileReader | FakeReader, write: Callable[[str, bytes], object]) -> None:
        self.reader = reader
        self.write = write


@pytest.fixture(params=["fake", "real"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Yield a fake disk, then a real one."""
    if request.param == "fake":
        files = MemoryFiles()
        yield Disk(FakeReader(files, read_s=0), files.write)
        return
    reader = FileReader(SourceTree(str(tmp_path), follow_symlinks=False, allow_outside=False), thread_count=2)
    yield Disk(reader, lambda path, content: _replace(tmp_path / path, content))
    reader.close()


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


async def test_a_small_file_is_loaded_whole(disk: Disk) -> None:
    """A loaded file has its content, its hash and its size; neighbours that cannot be read have an error."""
    disk.write("a", b"hello")
    loaded, missing = await disk.reader.load(["a", "b"])
    assert isinstance(loaded, LoadedFile)
    assert (loaded.content, loaded.fingerprint.size) == (b"hello", 5)
    assert loaded.content_hash == hashlib.sha256(b"hello").hexdigest()
    assert isinstance(missing, SourceError)
    assert (missing.reason, missing.local_limit) == ("cannot read the file: No such file or directory", False)


async def test_a_large_file_is_not_loaded(disk: Disk) -> None:
    """A file that is no longer small has an error in its place."""
    disk.write("a", CONTENT)
    (error,) = await disk.reader.load(["a"])
    assert isinstance(error, SourceError)
    assert error.reason == "the file grew since it was planned"


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["empty", "tiny", "large"])
async def test_a_stream_reads_a_file_once(disk: Disk, content: bytes) -> None:
    """The blocks are the file, the hash is theirs, and hashing alone gives the same."""
    disk.write("a", content)
    pieces = []
    async with await disk.reader.open("a") as stream:
        while block := await stream.read():
            pieces.append(block)
        assert stream.fingerprint.size == len(content)
        expected = (stream.content_hash, stream.fingerprint)
    assert b"".join(pieces) == content
    assert await disk.reader.hash_content("a", HashFunction.SHA256) == expected


async def test_a_file_that_fits_is_held_whole(disk: Disk) -> None:
    """What was read is one version of the file, whatever becomes of the file meanwhile."""
    disk.write("a", CONTENT[:1000])
    async with disk.reader.source("a") as source:
        disk.write("a", CONTENT)
        assert isinstance(source, LoadedFile)
        assert source.content == CONTENT[:1000]
        assert source.content_hash == hashlib.sha256(CONTENT[:1000]).hexdigest()
        assert source.fingerprint.size == 1000


async def test_a_file_that_does_not_fit_is_held_open(disk: Disk) -> None:
    """It is read block by block, and nothing of it is open afterwards."""
    content = CONTENT * 10
    disk.write("a", content)
    async with disk.reader.source("a") as source:
        assert not isinstance(source, LoadedFile)
        pieces = []
        while block := await source.read():
            pieces.append(block)
        assert b"".join(pieces) == content
        assert source.fingerprint.size == len(content)


async def test_a_file_that_was_replaced_has_no_last_block(disk: Disk) -> None:
    """What is complete is the file that was opened: its last block is refused when it moved."""
    disk.write("a", CONTENT)
    blocks = []
    async with await disk.reader.open("a") as stream:
        disk.write("a", CONTENT)
        with suppress(SourceError):
            while True:
                blocks.append(await stream.read())
    assert sum(len(one) for one in blocks) < len(CONTENT)


async def test_a_missing_file_cannot_be_opened(disk: Disk) -> None:
    """Opening, holding and hashing name the reason."""
    for act in (
        disk.reader.open,
        lambda path: disk.reader.source(path).__aenter__(),
        partial(disk.reader.hash_content, function=HashFunction.SHA256),
    ):
        with pytest.raises(SourceError, match="No such file or directory"):
            await act("b")


# --- ledgers


@asynccontextmanager
async def _fake_ledger(_: Path) -> AsyncIterator[MemoryLedger]:
    file = LedgerFile()
    ledger = MemoryLedger(file, file.begin_run(utc_s=UTC_S), commit_s=0)
    yield ledger
    await ledger.close()


@asynccontextmanager
async def _real_ledger(folder: Path) -> AsyncIterator[LedgerWriter]:
    ledger = open_ledger(str(folder / "l.db"), JOB, version="test", moved_root=False, utc_s=UTC_S)
    yield ledger.writer
    await ledger.close()


@pytest.fixture(params=[_fake_ledger, _real_ledger], ids=["fake", "real"])
def opens(request: pytest.FixtureRequest) -> Opens:
    """Return how to open a fake ledger, then a real one."""
    opening: Opens = request.param
    return opening


def _register(path: str) -> Callable[[LedgerStore], None]:
    return lambda store: store.register([Entry(path=path, purpose="fine-tune")], utc_s=UTC_S)


def _states(store: LedgerStore) -> list[EntryState]:
    return [EntryState(state) for (state,) in store.connection.execute("SELECT state FROM entries")]


async def test_steps_are_done_in_order(opens: Opens, tmp_path: Path) -> None:
    """Each caller gets its own result, and sees what was submitted before it."""
    async with opens(tmp_path) as ledger, asyncio.TaskGroup() as tasks:
        seen = []
        for number in range(5):
            tasks.create_task(ledger.run(_register(f"{number}.jsonl")))
            seen.append(tasks.create_task(ledger.run(lambda store: len(_states(store)))))
    assert [one.result() for one in seen] == [1, 2, 3, 4, 5]


async def test_a_step_is_done_though_its_caller_is_gone(opens: Opens, tmp_path: Path) -> None:
    """A caller that is cancelled does not take its step back."""
    async with opens(tmp_path) as ledger:
        step = asyncio.ensure_future(ledger.run(_register("a.jsonl")))
        await asyncio.sleep(0)
        step.cancel()
        assert await ledger.run(_states) == [EntryState.PENDING]


async def test_the_first_failure_is_final(opens: Opens, tmp_path: Path) -> None:
    """After a step that fails every later one fails too, and the failed group left nothing behind."""

    def fail(store: LedgerStore) -> None:
        _register("b.jsonl")(store)
        store.connection.execute("INSERT INTO nowhere VALUES (1)")

    async with opens(tmp_path) as ledger:
        await ledger.run(_register("a.jsonl"))
        assert ledger.failure is None
        for act in (fail, _register("c.jsonl")):
            with pytest.raises(LedgerUnusable, match="nowhere"):
                await ledger.run(act)
        assert ledger.failure is not None


# --- the server


def test_every_fate_has_a_probability() -> None:
    """Chance can draw every fate, and each as often as its probability says."""
    for fate in Fate:
        if fate is not Fate.ACCEPT:
            faults = Faults(**{fate.value: 0.25})
            drawn = [faults.draw(number / 100) for number in range(100)]
            assert (drawn.count(fate), drawn.count(Fate.ACCEPT)) == (25, 75)


def test_a_transport_has_what_the_engine_uses() -> None:
    """The fake has the names and the parameters of the real transport that the engine calls."""
    for name in ("send", "list_page", "look_up", "end_all"):
        assert list(signature(getattr(FakeTransport, name)).parameters) == list(
            signature(getattr(Transport, name)).parameters
        )
