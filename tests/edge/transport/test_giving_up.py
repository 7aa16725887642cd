"""Cancelling and ending requests: what is known of each is told truthfully."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from bulk_upload.core.model import Accepted, InDoubt, NotSent, SourceFailed
from bulk_upload.core.run.sender import UploadReport
from bulk_upload.core.run.source import Source
from bulk_upload.edge.transport import Transport
from tests.edge.transport.scripted_server import (
    Exchange,
    ScriptedServer,
    accepts,
    certified,
    first_bytes,
    holds,
)
from tests.edge.transport.shipping import BLOCK, Blocks, ship, transport_to, until_the_answer_begins
from tests.waiting import until

CANCELLED = NotSent(reason="the run was cancelled")


async def cancel(upload: asyncio.Task[UploadReport]) -> None:
    upload.cancel()
    with pytest.raises(asyncio.CancelledError):
        await upload


def start(
    transport: Transport, source: Source | None = None, *, name: str = "a.jsonl"
) -> tuple[asyncio.Task[UploadReport], list[UploadReport]]:
    heard: list[UploadReport] = []
    return asyncio.create_task(ship(transport, source, name=name, cancelled=heard)), heard


async def test_cancelled_while_connecting_nothing_was_sent() -> None:
    """A request that is cancelled before it has a connection is told as not sent, and the cancellation goes on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with transport_to(f"https://127.0.0.1:{listener.getsockname()[1]}") as transport:
            upload, heard = start(transport)
            connection = await first_bytes(listener)
            await cancel(upload)
            connection.close()
    (report,) = heard
    assert report.outcome == CANCELLED
    assert not report.sent.complete


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
async def test_cancelled_while_sending_nothing_is_stored(
    secured: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that is cancelled in mid-body is told as not sent, and its connection is closed at once."""
    gone = asyncio.Event()

    async def ignores(exchange: Exchange) -> None:
        await exchange.released.wait()
        await exchange.wait_gone()
        gone.set()

    tls = certified(tmp_path, monkeypatch) if secured else None
    server = ScriptedServer(ignores, accepts())
    async with server.running(tls=tls, receive_bytes=65536), transport_to(server.url) as transport:
        upload, heard = start(transport, Blocks(16 * BLOCK))
        await until(lambda: server.requests)
        await cancel(upload)
        (report,) = heard
        assert report.outcome == CANCELLED
        assert not report.sent.complete
        server.released.set()
        await until(gone.is_set)
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_cancelled_while_reading_the_file_nothing_is_stored() -> None:
    """A request that is cancelled while it waits for its file is told as not sent."""

    async def hangs(number: int) -> None:
        if number == 3:
            await asyncio.Event().wait()

    server = ScriptedServer(holds(), accepts())
    source = Blocks(before=hangs)
    async with server.running(), transport_to(server.url) as transport:
        upload, heard = start(transport, source)
        await until(lambda: source._reads == 3)
        await cancel(upload)
        (report,) = heard
        assert report.outcome == CANCELLED
        assert isinstance((await ship(transport)).outcome, Accepted)


@pytest.mark.parametrize("cut", [None, 40], ids=["before the answer", "in the answer"])
async def test_cancelled_while_the_answer_is_awaited_the_file_is_in_doubt(cut: int | None) -> None:
    """A request that is cancelled after its last byte was handed over is told as in doubt."""

    async def half_answers(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}" if cut else b"")
        await exchange.wait_gone()

    server = ScriptedServer(half_answers, accepts())
    async with server.running(), transport_to(server.url) as transport:
        upload, heard = start(transport)
        await until(lambda: server.stored)
        if cut:
            await until_the_answer_begins(transport)
        await cancel(upload)
        (report,) = heard
        assert report.outcome == InDoubt(reason="the run was cancelled", answered=False)
        assert report.sent.complete
        assert report.sent.content_hash is not None
        assert isinstance((await ship(transport)).outcome, Accepted)
        assert server.connections == 2


async def test_cancelled_at_any_moment_the_truth_is_told() -> None:
    """Whenever the cancellation comes, the server has the file only if the report does not deny it."""
    server = ScriptedServer(accepts())
    denied: set[str] = set()
    async with server.running():
        async with transport_to(server.url) as transport:
            await _cancel_at_each_turn(transport, denied)
            assert isinstance((await ship(transport, name="last.jsonl")).outcome, Accepted)
        # The client closed its connections: all that it sent is read by then.
        await until(lambda: not server.is_connected)
    stored = {request.file_name for request in server.requests if request.complete}
    assert "last.jsonl" in stored
    assert denied
    assert not denied & stored


async def _cancel_at_each_turn(transport: Transport, denied: set[str]) -> None:
    """Cancel an upload after one turn of the event loop, another after two and so on; note whose report says not sent."""
    for turns in range(1, 40):
        name = f"{turns}.jsonl"
        upload, heard = start(transport, Blocks(2 * BLOCK), name=name)
        for _ in range(turns):
            await asyncio.sleep(0)
        upload.cancel()
        (result,) = await asyncio.gather(upload, return_exceptions=True)
        report = result if isinstance(result, UploadReport) else heard[0]
        if isinstance(report.outcome, NotSent):
            denied.add(name)
        else:
            assert report.sent.complete


async def test_ending_all_returns_an_outcome_for_each() -> None:
    """Requests that are given up return what is known of them, in whatever phase they were."""
    hanging = asyncio.Event()

    async def hangs(number: int) -> None:
        if number == 2:
            hanging.set()
            await asyncio.Event().wait()

    server = ScriptedServer(holds(), holds(), accepts())
    async with server.running(), transport_to(server.url, connection_limit=2) as transport:
        answering, _ = start(transport)
        await until(lambda: server.stored)
        sending, _ = start(transport, Blocks(before=hangs))
        await hanging.wait()
        waiting, _ = start(transport)
        await asyncio.sleep(0)
        transport.end_all("stop at once")
        transport.end_all("again")
        outcomes = [(await upload).outcome for upload in (answering, sending, waiting)]
        assert outcomes == [
            InDoubt(reason="stop at once", answered=False),
            NotSent(reason="stop at once"),
            NotSent(reason="stop at once"),
        ]
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_file_that_failed_stays_the_reason_when_the_request_is_ended() -> None:
    """A moved file is told as such even where the server holds the request open."""

    async def answers_in_part(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
        await exchange.wait_gone()

    async def changes(number: int) -> None:
        if number == 3:
            await until_the_answer_begins(transport)
            source.content = b""

    server = ScriptedServer(answers_in_part)
    source = Blocks(before=changes)
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, source)
    assert report.outcome == SourceFailed(reason="the file changed while it was sent")


async def test_a_transport_is_used_only_while_it_runs() -> None:
    """Sending through a transport that does not run is a mistake of the caller's, said as such."""
    async with transport_to("http://127.0.0.1:9") as transport:
        pass
    with pytest.raises(RuntimeError, match="not running"):
        await ship(transport)


async def test_errors_of_the_caller_pass_through_unchanged() -> None:
    """What is raised while a transport runs is not wrapped into a group."""
    with pytest.raises(ZeroDivisionError):
        async with transport_to("http://127.0.0.1:9"):
            raise ZeroDivisionError
