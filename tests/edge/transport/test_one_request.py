"""One attempt is one request, whatever becomes of its answer."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable
from typing import Any

import pytest

from bulk_upload.core.model import Accepted, InDoubt, NotSent, SourceFailed, Unavailable
from bulk_upload.core.run.source import Source
from tests.edge.transport.scripted_server import Exchange, ScriptedServer, accepts, answer, loses, stores
from tests.edge.transport.shipping import (
    BLOCK,
    Blocks,
    connection_in_use,
    loaded,
    moved,
    ship,
    transport_to,
    until_no_connection_is_idle,
)
from tests.fakes.stream_server import stream_server
from tests.waiting import until

LOST_ANSWERS = {
    "closed": stores(b"", then="close"),
    "reset": stores(b"", then="reset"),
    "head cut": stores(b"HTTP/1.1 200 OK\r\nContent-Le", then="close"),
    "body cut": stores(answer()[:-5], then="close"),
    "body reset": stores(answer()[:-5], then="reset"),
}
SOURCES: dict[str, Callable[[], Source]] = {"small": loaded, "streamed": lambda: Blocks(2 * BLOCK + 1000)}


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("fate", LOST_ANSWERS)
async def test_a_lost_answer_is_one_request_in_doubt(fate: str, source: str, reused: bool) -> None:
    """A file that was stored and whose answer was lost is in doubt and was sent exactly once."""
    server = ScriptedServer(*([accepts("file-0")] if reused else []), LOST_ANSWERS[fate], accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        if reused:
            await ship(transport)
        report = await ship(transport, SOURCES[source]())
        assert isinstance(report.outcome, InDoubt)
        assert not report.outcome.answered
        assert report.sent.complete
        assert server.connections == 1
        assert server.stored == len(server.requests) == (2 if reused else 1)
        following = await ship(transport)
        assert isinstance(following.outcome, Accepted)
        assert following.outcome.file_id == "file-2"


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
async def test_a_connection_lost_in_mid_body_proves_nothing_is_stored(then: str, reused: bool) -> None:
    """A connection that breaks before the last byte was handed over leaves the server without the file."""
    scenes = [*([accepts()] if reused else []), loses(after_bytes=BLOCK, then=then), accepts("file-2")]
    server = ScriptedServer(*scenes)
    async with server.running(receive_bytes=65536), transport_to(server.url) as transport:
        if reused:
            await ship(transport)
        source = Blocks(16 * BLOCK)
        report = await ship(transport, source)
        assert isinstance(report.outcome, Unavailable)
        assert not report.outcome.answered
        assert not report.sent.complete
        assert report.sent.content_hash is None
        assert len(server.requests) == (2 if reused else 1)
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_connection_closed_while_idle_costs_no_doubt() -> None:
    """A connection that the server closed between two uploads is not used for the second."""
    server = ScriptedServer(stores(then="close"), accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        await ship(transport)
        await until_no_connection_is_idle(transport)
        report = await ship(transport)
        assert isinstance(report.outcome, Accepted)
        assert server.connections == 2


@pytest.mark.parametrize("later", [False, True], ids=["with the answer", "later"])
@pytest.mark.parametrize("status", [200, 400, 408])
async def test_an_answer_to_nobody_is_never_the_answer_to_the_next_upload(status: int, later: bool) -> None:
    """Bytes the server sends on an idle connection decide nothing about the upload that comes next."""

    heard = asyncio.Event()

    async def chatty(exchange: Exchange) -> None:
        await exchange.read_body()
        surplus = answer(status, {"id": "file-stale"})
        if later:
            await exchange.send(answer())
            await heard.wait()
            await exchange.send(surplus)
        else:
            await exchange.send(answer() + surplus)

    server = ScriptedServer(chatty, accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        await ship(transport)
        heard.set()
        await until_no_connection_is_idle(transport)
        report = await ship(transport)
        if isinstance(report.outcome, Unavailable):
            assert not report.sent.complete
            report = await ship(transport)
        assert isinstance(report.outcome, Accepted)
        assert report.outcome.file_id == "file-2"
        assert len(server.requests) == 2


async def test_a_refused_connection_is_unavailable() -> None:
    """A server that refuses connections gave no answer and cannot have the file."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with transport_to(f"http://127.0.0.1:{port}") as transport:
        report = await ship(transport)
    assert isinstance(report.outcome, Unavailable)
    assert not report.outcome.answered
    assert "refused" in report.outcome.reason
    assert not report.sent.complete


async def test_an_unknown_host_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that cannot be resolved is named with the reason."""

    async def unknown(*args: Any, **options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    async with transport_to("http://flow.invalid") as transport:
        report = await ship(transport)
    assert isinstance(report.outcome, Unavailable)
    assert not report.outcome.answered
    assert report.outcome.reason == "cannot connect to flow.invalid:80: Name or service not known"


async def test_a_failed_handshake_is_unavailable() -> None:
    """A port that does not speak TLS is named as what it is, and no byte of the request leaves."""

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        await reader.read()

    async with stream_server(plain) as port, transport_to(f"https://127.0.0.1:{port}") as transport:
        report = await ship(transport)
    assert isinstance(report.outcome, Unavailable)
    assert "SSL" in report.outcome.reason
    assert not report.sent.complete


async def test_running_out_of_descriptors_is_this_machines_fault() -> None:
    """A connection that cannot be made for want of a descriptor is a local limit, not a dead server."""
    server = ScriptedServer(accepts())
    async with server.running(), transport_to(server.url) as transport:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with socket.socket() as lowest_free:
            descriptor = lowest_free.fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptor, hard))
        try:
            report = await ship(transport)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert isinstance(report.outcome, NotSent)
        assert report.outcome.local_limit
        assert isinstance((await ship(transport)).outcome, Accepted)


@pytest.mark.parametrize("complete", [False, True])
async def test_a_shortage_after_the_last_byte_proves_nothing(complete: bool) -> None:
    """A local limit excuses an attempt only while the body is incomplete; afterwards the server may have it."""

    class Starved(Blocks):
        async def read(self) -> bytes:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    async def starved(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.wait_gone()

    server = ScriptedServer(starved)
    async with server.running(), transport_to(server.url) as transport:
        if not complete:
            report = await ship(transport, Starved(2 * BLOCK))
            assert report.outcome == NotSent(
                reason="this machine is short of resources: the connection was lost: Cannot allocate memory",
                local_limit=True,
            )
            return
        upload = asyncio.create_task(ship(transport))
        await until(lambda: server.stored)
        connection_in_use(transport).set_exception(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)))
        assert isinstance((await upload).outcome, InDoubt)


@pytest.mark.parametrize("reads", [1, 2, 3])
async def test_a_file_that_moved_never_becomes_a_whole_request(reads: int) -> None:
    """A source that fails at any read ends the request incomplete, and its connection is not used again."""
    server = ScriptedServer(stores(), accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, Blocks(2 * BLOCK + 1000, before=moved(reads)))
        assert isinstance(report.outcome, SourceFailed)
        assert not report.sent.complete
        following = await ship(transport)
        assert isinstance(following.outcome, Accepted)
        assert server.stored == 1
        assert {request.connection for request in server.requests if request.complete} == {2}


@pytest.mark.parametrize("size_told", [BLOCK + 1, BLOCK - 1], ids=["too little", "too much"])
async def test_a_source_that_breaks_its_word_never_breaks_the_framing(size_told: int) -> None:
    """A source with fewer or more bytes than it announced fails; Content-Length is never overrun."""
    server = ScriptedServer(stores(), accepts("file-2"))
    source = Blocks(BLOCK)
    source.fingerprint = Blocks(size_told).fingerprint
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, source)
        assert isinstance(report.outcome, SourceFailed)
        assert isinstance((await ship(transport)).outcome, Accepted)
        assert server.stored == 1
        assert server.surplus == b""
