"""A file that changes while it is sent: refused before its last block leaves, or sent as one consistent version."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, Fingerprint, NotSent, Outcome, SourceFailed
from bulk_upload.core.run.source import FileStream, LoadedFile
from bulk_upload.edge.files import FileReader, block_bytes_for
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport import Transport
from bulk_upload.sandbox import Sandbox
from tests.edge.transport.scripted_server import ScriptedServer, accepts
from tests.edge.transport.shipping import ship, transport_to
from tests.waiting import until_the_clock_ticks

BLOCK = block_bytes_for(1)
SIZES = [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1000]
NEXT = b'{"the": "next"}\n'


def _grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"PUT /v1/flow/files HTTP/1.1\r\n\r\n")


def _shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def _rewrite(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\xff" * size)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"\xff" * path.stat().st_size)
    other.rename(path)


def _touch(path: Path) -> None:
    os.utime(path)


def _rewrite_and_hide(path: Path) -> None:
    before = path.stat()
    _rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, Callable[[Path], None]] = {
    "grow": _grow,
    "shrink": _shrink,
    "rewrite": _rewrite,
    "rewrite and restore the time": _rewrite_and_hide,
    "empty": _empty,
    "delete": Path.unlink,
    "replace": _replace,
    "touch": _touch,
}
NEEDS_CONTENT = {"shrink", "empty", "rewrite"}
CASES = [(change, size) for change in CHANGES for size in SIZES if size or change not in NEEDS_CONTENT]


class Changing:
    """An open file that something changes just before the read with number `at`, counted from 1."""

    def __init__(self, file: FileStream, change: Callable[[], None], *, at: int) -> None:
        self._file = file
        self._change = change
        self._until = at

    @property
    def fingerprint(self) -> Fingerprint:
        return self._file.fingerprint

    @property
    def content_hash(self) -> str | None:
        return self._file.content_hash

    async def read(self) -> bytes:
        self._until -= 1
        if self._until == 0:
            self._change()
        return await self._file.read()


def _change(path: Path, change: str) -> None:
    # Within one tick of the file system's clock two changes have the same time.
    until_the_clock_ticks(path.parent)
    CHANGES[change](path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "data.jsonl"
    (tmp_path / "next.jsonl").write_bytes(NEXT)
    return file


@asynccontextmanager
async def reading(folder: Path) -> AsyncIterator[FileReader]:
    reader = FileReader(SourceTree(str(folder)), thread_count=2)
    try:
        yield reader
    finally:
        reader.close()


async def _next_upload_is_unharmed(transport: Transport, reader: FileReader, sandbox: Sandbox) -> None:
    (source,) = await reader.load(["next.jsonl"])
    assert isinstance(source, LoadedFile)
    report = await ship(transport, source, name="next.jsonl")
    assert isinstance(report.outcome, Accepted)
    own = [file for file in sandbox.files if file.filename == "next.jsonl"]
    assert [file.file_id for file in own] == [report.outcome.file_id]
    assert own[0].sha256 == source.content_hash
    assert sandbox.unexpected == ()


def _assert_refused(outcome: Outcome, change: str) -> None:
    """Only the change time gives the hidden edit away, and chmod has one too: another attempt finds out."""
    if change == "rewrite and restore the time":
        assert isinstance(outcome, NotSent)
        assert outcome.transient
    else:
        assert isinstance(outcome, SourceFailed)


@pytest.mark.parametrize(("change", "size"), CASES)
async def test_a_change_before_the_last_block_stores_nothing(path: Path, change: str, size: int) -> None:
    """A file that changed while it was read fails as such, the server has nothing, and the next upload is sound."""
    path.write_bytes(os.urandom(size))
    reads = max(1, -(-size // BLOCK))
    async with Sandbox() as sandbox, transport_to(sandbox.url) as transport, reading(path.parent) as reader:
        async with await reader.open(path.name) as file:
            report = await ship(transport, Changing(file, lambda: _change(path, change), at=reads))
        _assert_refused(report.outcome, change)
        assert not report.sent.complete
        assert report.sent.content_hash is None
        assert sandbox.files == ()
        await _next_upload_is_unharmed(transport, reader, sandbox)


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_at_the_first_block_of_many_stores_nothing(path: Path, change: str) -> None:
    """A change is noticed wherever in the file it happens."""
    path.write_bytes(os.urandom(2 * BLOCK + 1000))
    async with Sandbox() as sandbox, transport_to(sandbox.url) as transport, reading(path.parent) as reader:
        async with await reader.open(path.name) as file:
            report = await ship(transport, Changing(file, lambda: _change(path, change), at=1))
        _assert_refused(report.outcome, change)
        assert sandbox.files == ()
        await _next_upload_is_unharmed(transport, reader, sandbox)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("size", [1000, BLOCK + 1])
async def test_a_change_after_the_last_check_leaves_the_old_version_accepted(
    path: Path, change: str, size: int
) -> None:
    """What was read before the change is sent whole, as the version it was, and nothing after it."""
    content = os.urandom(size)
    path.write_bytes(content)
    server = ScriptedServer(accepts())
    async with server.running(), transport_to(server.url) as transport, reading(path.parent) as reader:
        if size < BLOCK:
            (source,) = await reader.load([path.name])
            assert isinstance(source, LoadedFile)
            CHANGES[change](path)
            report = await ship(transport, source)
        else:
            async with await reader.open(path.name) as file:
                report = await ship(
                    transport,
                    file,
                    # The last block is a single byte, and by the time it leaves all was read.
                    on_handed=lambda count: CHANGES[change](path) if count == 1 else None,
                )
    assert isinstance(report.outcome, Accepted)
    assert report.sent.content_hash == hashlib.sha256(content).hexdigest()
    assert server.requests[0].parts[-1][1] == content
    assert server.surplus == b""


async def test_no_byte_of_a_growing_file_follows_the_announced_length(path: Path) -> None:
    """A file that grows all the time ends its request early; the server never reads past Content-Length."""
    path.write_bytes(os.urandom(2 * BLOCK))
    server = ScriptedServer(accepts())

    async with server.running(), transport_to(server.url) as transport, reading(path.parent) as reader:
        async with await reader.open(path.name) as file:
            report = await ship(transport, file, on_handed=lambda count: _grow(path))
        assert isinstance(report.outcome, SourceFailed)
        assert isinstance((await ship(transport)).outcome, Accepted)
    assert server.stored == 1
    assert len(server.requests) == 2
    assert server.surplus == b""
