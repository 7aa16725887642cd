"""Where several files are open, the thread that reads a block writes it to the connection, too."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, Rejected, SourceFailed
from bulk_upload.core.run.sender import UploadReport
from bulk_upload.edge.files import FileReader, HashedFile, StreamedFile
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport.outlet import Outlet
from tests.edge.reading_trees import CHANGES, before_each
from tests.edge.transport.scripted_server import (
    Exchange,
    ScriptedServer,
    accepts,
    answer,
    certified,
    holds,
    loses,
)
from tests.edge.transport.shipping import BLOCK, ship, transport_to
from tests.edge.transport.test_bandwidth import HandPace
from tests.edge.transport.test_fence import Gate
from tests.waiting import HeldCall, until

NAME = "data.jsonl"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / NAME


@pytest.fixture(params=["plain", "tls"])
def tls(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ssl.SSLContext | None:
    """Return how the server of a test encrypts, None where it does not."""
    return certified(tmp_path, monkeypatch) if request.param == "tls" else None


@asynccontextmanager
async def one_of_two(path: Path) -> AsyncIterator[StreamedFile]:
    """Open a file while another one is open."""
    (path.parent / "other").write_bytes(b"x")
    reader = FileReader(SourceTree(str(path.parent)), thread_count=2)
    try:
        async with await reader.open("other"), await reader.open(path.name) as file:
            yield file
    finally:
        reader.close()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what left each call of a thread, in bytes."""
    counts: list[int] = []
    pass_on = HashedFile.pass_on

    def counted(file: HashedFile, block_bytes: int, send: Callable[[bytes], int]) -> bytes:
        def sent(block: bytes) -> int:
            count = send(block)
            counts.append(count)
            return count

        return pass_on(file, block_bytes, sent)

    monkeypatch.setattr(HashedFile, "pass_on", counted)
    return counts


@pytest.mark.parametrize("size", [BLOCK + 1, 3 * BLOCK, 8 * BLOCK + 1000])
async def test_all_of_a_file_arrives_in_order(path: Path, passes: list[int], size: int) -> None:
    """Its thread writes all but the last block, and every byte is counted."""
    content = os.urandom(size)
    path.write_bytes(content)
    handed: list[int] = []
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file, on_handed=handed.append)
    assert isinstance(report.outcome, Accepted)
    assert report.sent.content_hash == hashlib.sha256(content).hexdigest()
    assert server.requests[0].parts[-1][1] == content
    assert server.surplus == b""
    assert sum(handed) == report.sent.handed_bytes == server.requests[0].content_length
    assert 0 < sum(passes) <= size - 1


async def test_what_finds_no_room_is_written_by_the_event_loop(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may take a part of a block, or nothing: the rest follows in its place."""
    content = os.urandom(12 * BLOCK + 1)
    path.write_bytes(content)
    send = Outlet.send
    parts = iter([0, 1, BLOCK // 2] * 100)
    monkeypatch.setattr(Outlet, "send", lambda outlet, data: send(outlet, data[: next(parts)]))
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
    assert isinstance(report.outcome, Accepted)
    assert server.requests[0].parts[-1][1] == content


@pytest.mark.parametrize("change", ["grow", "shrink", "rewrite", "replace"])
async def test_a_change_while_blocks_are_passed_on_stores_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The last block, which no thread writes, is never sent of a file that changed."""
    path.write_bytes(os.urandom(3 * BLOCK))
    monkeypatch.setattr(HashedFile, "pass_on", before_each(HashedFile.pass_on, CHANGES[change], path))
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
        assert isinstance(report.outcome, SourceFailed)
        assert not report.sent.complete
        await until(lambda: not server.is_connected)
        assert server.stored == 0


async def test_under_a_bandwidth_cap_no_thread_writes(path: Path, passes: list[int]) -> None:
    """Every piece is asked for."""
    path.write_bytes(bytes(3 * BLOCK))
    pace = HandPace(BLOCK)
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file, pace=pace)
    assert isinstance(report.outcome, Accepted)
    assert sum(pace.asked) == report.sent.handed_bytes
    assert passes == []


async def test_what_is_encrypted_no_thread_writes(
    path: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop's connection encrypts; its descriptor would let bytes out as they are."""
    path.write_bytes(bytes(3 * BLOCK))
    tls = certified(path.parent, monkeypatch)
    async with (
        ScriptedServer(accepts()).running(tls=tls) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
    assert isinstance(report.outcome, Accepted)
    assert passes == []


async def test_a_closed_fence_ends_a_body_that_a_thread_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread looks at it, too: what is not written by then never is."""
    path.write_bytes(bytes(8 * BLOCK))
    gate = Gate()
    pass_on = HashedFile.pass_on
    late: list[int] = []

    def closing(file: HashedFile, block_bytes: int, send: Callable[[bytes], int]) -> bytes:
        gate.open = False
        late.append(send(b"late"))
        return pass_on(file, block_bytes, send)

    monkeypatch.setattr(HashedFile, "pass_on", closing)
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url, fence=gate) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
        assert not report.sent.complete
        await until(lambda: not server.is_connected)
        assert server.stored == 0
    assert late == [0]


@pytest.mark.parametrize("reset", [True, False], ids=["cut off", "merely ended"])
async def test_a_thread_that_hangs_does_not_keep_the_connection(
    path: Path, monkeypatch: pytest.MonkeyPatch, reset: bool
) -> None:
    """Its request ends at once when it is to end, and what the thread reads later goes nowhere."""
    path.write_bytes(bytes(8 * BLOCK))
    held = HeldCall()
    late: list[int] = []
    pass_on = HashedFile.pass_on

    def hangs(file: HashedFile, block_bytes: int, send: Callable[[bytes], int]) -> bytes:
        held()
        late.append(send(b"late"))
        return pass_on(file, block_bytes, send)

    monkeypatch.setattr(HashedFile, "pass_on", hangs)
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        shipping = asyncio.create_task(ship(transport, file))
        await until(held.begun.is_set)
        (transport.cut_off if reset else transport.end_all)("the run ends")
        report = await shipping
        assert not report.sent.complete
        await until(lambda: not server.is_connected)
        held.released.set()
        await until(lambda: late != [])
    assert late == [0]


def test_an_outlet_sends_what_there_is_room_for() -> None:
    """It waits only for a moment, and what a broken or closed connection does not take is no error here."""
    ours, theirs = socket.socketpair()
    outlet = Outlet(ours)
    ours.setblocking(False)
    data = bytes(64 * 2**20)
    with theirs:
        count = outlet.send(data)
        assert 0 < count < len(data)
        assert outlet.send(data) == 0
        received = 0
        while received < count:
            received += len(theirs.recv(2**20))
        assert outlet.send(b"more") == 4
        assert theirs.recv(10) == b"more"
    assert outlet.send(b"lost") == 0
    outlet.close()
    outlet.close()
    assert outlet.send(b"late") == 0
    assert outlet.sent_bytes == count + 4


def test_without_a_descriptor_there_is_no_outlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop writes then, as it does for one file alone."""

    def fails(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    class Transport(asyncio.WriteTransport):
        def get_extra_info(self, name: str, default: object = None) -> object:
            return ours

    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(os, "dup", fails)
        assert Outlet.of(Transport()) is None


async def test_one_connection_carries_one_file_after_another(path: Path, tls: ssl.SSLContext | None) -> None:
    """What a thread wrote of it is followed by what the event loop writes, and by the next request."""
    content = os.urandom(5 * BLOCK + 3)
    path.write_bytes(content)
    async with (
        ScriptedServer(accepts()).running(tls=tls) as server,
        transport_to(server.url) as transport,
    ):
        for _ in range(3):
            async with one_of_two(path) as file:
                report = await ship(transport, file)
            assert isinstance(report.outcome, Accepted)
    assert server.connections == 1
    assert [one.parts[-1][1] for one in server.requests] == [content] * 3


async def test_what_arrives_during_a_body_is_read(path: Path, tls: ssl.SSLContext | None) -> None:
    """A thread may write while the event loop reads."""
    content = os.urandom(24 * BLOCK)
    path.write_bytes(content)

    async def talks(exchange: Exchange) -> None:
        for limit in range(0, exchange.request.content_length, 50_000):
            await exchange.send(b"HTTP/1.1 102 Processing\r\n\r\n")
            await exchange.read_body(limit)
        await accepts()(exchange)

    async with (
        ScriptedServer(talks).running(tls=tls) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
    assert isinstance(report.outcome, Accepted)
    assert server.requests[0].parts[-1][1] == content


async def test_an_early_refusal_is_seen_while_a_large_file_is_written(
    path: Path, tls: ssl.SSLContext | None
) -> None:
    """The rest of the body is not sent."""
    path.write_bytes(bytes(64 * BLOCK))

    async def refuses(exchange: Exchange) -> None:
        await exchange.read_body(3 * BLOCK)
        await exchange.send(answer(413, {"error": {"message": "too large"}}))
        await exchange.wait_gone()

    async with (
        ScriptedServer(refuses).running(tls=tls) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
        assert isinstance(report.outcome, Rejected)
        assert report.outcome.http_status == 413
        assert not report.sent.complete
        await until(lambda: not server.is_connected)
        assert server.stored == 0


@pytest.mark.parametrize("then", ["reset", "close"])
async def test_a_connection_lost_while_a_large_file_is_written_stores_nothing(
    path: Path, tls: ssl.SSLContext | None, then: str
) -> None:
    """The body is incomplete, which proves that."""
    path.write_bytes(bytes(64 * BLOCK))
    async with (
        ScriptedServer(loses(after_bytes=3 * BLOCK, then=then)).running(tls=tls) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
        assert not isinstance(report.outcome, Accepted)
        assert not report.sent.complete
        await until(lambda: not server.is_connected)
        assert server.stored == 0


async def test_a_large_file_that_is_cancelled_is_incomplete(path: Path, tls: ssl.SSLContext | None) -> None:
    """The connection is gone with it."""
    path.write_bytes(bytes(64 * BLOCK))
    cancelled: list[UploadReport] = []
    async with (
        ScriptedServer(holds(limit=3 * BLOCK)).running(tls=tls) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        shipping = asyncio.create_task(ship(transport, file, cancelled=cancelled))
        await until(lambda: server.requests and len(server.requests[0].body) >= 2 * BLOCK)
        shipping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await shipping
        assert not cancelled[0].sent.complete
        server.released.set()
        await until(lambda: not server.is_connected)
        assert server.stored == 0


async def test_a_slow_reader_gets_all_of_it(path: Path, tls: ssl.SSLContext | None) -> None:
    """A thread that finds no room leaves the rest to the event loop."""
    content = os.urandom(6 * BLOCK + 17)
    path.write_bytes(content)

    async def reads_slowly(exchange: Exchange) -> None:
        for limit in range(0, exchange.request.content_length, 64 * 1024):
            await exchange.read_body(limit)
            await asyncio.sleep(0)
        await accepts()(exchange)

    async with (
        ScriptedServer(reads_slowly).running(tls=tls, receive_bytes=8192) as server,
        transport_to(server.url) as transport,
        one_of_two(path) as file,
    ):
        report = await ship(transport, file)
    assert isinstance(report.outcome, Accepted)
    assert server.requests[0].parts[-1][1] == content
