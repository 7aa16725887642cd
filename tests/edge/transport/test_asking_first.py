"""A request that asks before it sends its body: what is heard, and what a server that does not know that costs."""

from __future__ import annotations

import pytest

from bulk_upload.core.model import Accepted, Outcome, Rejected, Throttled, Unavailable
from tests.edge.transport.scripted_server import (
    Exchange,
    Scene,
    ScriptedServer,
    accepts,
    answer,
    refuses_early,
)
from tests.edge.transport.shipping import Blocks, ship, transport_to

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def welcomes(exchange: Exchange) -> None:
    """Ask for the body, store it and say so."""
    await exchange.send(CONTINUE)
    await exchange.read_body()
    await exchange.send(answer())


async def wants_no_expectation(exchange: Exchange) -> None:
    """Refuse `Expect` itself, as RFC 9110 allows."""
    if exchange.request.header("Expect"):
        await exchange.send(answer(417, b"no"))
        exchange.close()
        return
    await exchange.read_body()
    await exchange.send(answer())


async def knows_no_expectation(exchange: Exchange) -> None:
    """Wait for the body without a word, whatever the head says."""
    await exchange.read_body()
    await exchange.send(answer())


async def test_a_body_is_sent_without_asking_unless_told() -> None:
    """No upload waits for `100 Continue` by default."""
    server = ScriptedServer(accepts())
    async with server.running(), transport_to(server.url) as transport:
        await ship(transport, Blocks())
    assert server.requests[0].header("Expect") is None


@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (answer(413, b"too large"), Rejected(http_status=413, reason="HTTP 413: too large")),
        (
            answer(429, b"", {"Retry-After": "7"}),
            Throttled(http_status=429, retry_after_s=7.0, reason="HTTP 429"),
        ),
    ],
)
async def test_a_refusal_is_heard_before_a_byte_is_sent(raw: bytes, outcome: Outcome) -> None:
    """The status of a server that closes at once comes through, and nothing of the file leaves."""
    server = ScriptedServer(refuses_early(raw, lingers=False))
    async with server.running(), transport_to(server.url) as transport:
        for _ in range(10):
            report = await ship(transport, Blocks(), ask_first=True)
            assert report.outcome == outcome
            assert report.sent.handed_bytes == 0
    assert all(request.header("Expect") == "100-continue" for request in server.requests)
    assert len(server.requests) == 10


async def test_a_welcome_body_is_sent_whole() -> None:
    """After `100 Continue` an upload is like any other."""
    server = ScriptedServer(welcomes)
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, source := Blocks(), ask_first=True)
    assert isinstance(report.outcome, Accepted)
    assert server.requests[0].parts[-1][1] == source.content


@pytest.mark.parametrize("scene", [knows_no_expectation, wants_no_expectation])
async def test_a_server_that_does_not_know_to_answer_is_asked_once(scene: Scene) -> None:
    """Silence ends the request in time, with nothing sent, and later ones do not ask that server again."""
    server = ScriptedServer(scene)
    async with server.running(), transport_to(server.url, continue_s=0.1) as transport:
        first = await ship(transport, Blocks(), ask_first=True)
        second = await ship(transport, Blocks(), ask_first=True)
    assert isinstance(first.outcome, Unavailable)
    assert first.sent.handed_bytes == 0
    assert isinstance(second.outcome, Accepted)
    assert [request.header("Expect") for request in server.requests] == ["100-continue", None]
    assert server.stored == 1


async def test_a_connection_lost_in_the_body_is_told_from_one_lost_before() -> None:
    """Only the first kind may be a refusal that was not heard."""

    async def breaks(exchange: Exchange) -> None:
        await exchange.read_body(100_000)
        exchange.reset()

    server = ScriptedServer(breaks)
    async with server.running(), transport_to(server.url) as transport:
        broken = await ship(transport, Blocks())
        server.scenes = [accepts()]
    assert isinstance(broken.outcome, Unavailable)
    assert broken.outcome.cut_off
    async with transport_to("http://127.0.0.1:9") as transport:
        unconnected = await ship(transport, Blocks())
    assert isinstance(unconnected.outcome, Unavailable)
    assert not unconnected.outcome.cut_off
