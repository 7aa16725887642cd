"""What an answer may do to us: be malformed, early, endless, elsewhere or indiscreet."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import logging
import tracemalloc
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractStreamWriter
from aioresponses import aioresponses

from bulk_upload.core.model import (
    Accepted,
    InDoubt,
    Misdirected,
    NotSent,
    Outcome,
    Refused,
    Rejected,
    Throttled,
    Unavailable,
)
from tests.edge.transport.scripted_server import (
    ANSWER,
    Exchange,
    ScriptedServer,
    accepts,
    answer,
    refuses_early,
    stores,
)
from tests.edge.transport.shipping import (
    BLOCK,
    KEY,
    Blocks,
    loaded,
    ship,
    transport_to,
    until_no_connection_is_idle,
    until_the_answer_begins,
)
from tests.waiting import until

GOOD = json.dumps(ANSWER).encode()
HEAD = b"HTTP/1.1 200 OK\r\n"
MALFORMED = {
    "garbage": b"\x00\x01 this is not HTTP\r\n\r\n",
    "bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "bad chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n" + GOOD,
    "two lengths": HEAD + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\n" + GOOD,
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "huge header": HEAD + b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n" + GOOD,
    "many headers": HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + b"\r\n" + GOOD,
    "forbidden byte": HEAD + b"X-Bad: a\x00b\r\n\r\n" + GOOD,
    "only informational": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3,
    "switching protocols": b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "unknown status": answer(999),
    "compressed": answer(200, gzip.compress(GOOD), {"Content-Encoding": "gzip"}),
    "claims to be compressed": answer(200, GOOD[:-1], {"Content-Encoding": "br"}),
    "HTML": answer(200, b"<html><body>Welcome</body></html>", {"Content-Type": "text/html"}),
    "empty": answer(200, b""),
    "no content": answer(204, b""),
    "deep": answer(200, b"[" * 30_000),
    "deep object": answer(200, b'{"id":' * 9_000),
    "no id": answer(200, {"object": "file"}),
    "id of a wrong type": answer(200, {"id": 7}),
    "id that steers": answer(200, {"id": "../../v1"}),
    "not UTF-8": answer(200, b'{"id": "\xff"}'),
    "too long": answer(200, GOOD + b" " * 100_000),
    "other size": answer(200, {**ANSWER, "bytes": 3}),
    "cut without a length": HEAD + b"\r\n" + GOOD[:-4],
    "ignored cookies": answer(200, b"", {"Set-Cookie": 'a="; =;; \x01; expires=x'}),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_stored_file_with_an_odd_answer_is_in_doubt(kind: str) -> None:
    """Whatever is wrong with the answer to a whole body, the file is in doubt, never rejected and never sent again."""
    server = ScriptedServer(stores(MALFORMED[kind], then="close"), accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport)
        assert isinstance(report.outcome, InDoubt)
        assert report.sent.complete
        assert len(server.requests) == 1
        await until_no_connection_is_idle(transport)
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_long_answer_that_ended_leaves_its_connection_sound() -> None:
    """An answer of which only the beginning is read does not disturb the uploads that come after it."""
    server = ScriptedServer(stores(answer(200, GOOD + b" " * 100_000)), accepts("file-2"))
    async with server.running(), transport_to(server.url) as transport:
        assert isinstance((await ship(transport)).outcome, InDoubt)
        reports = [await ship(transport) for _ in range(3)]
    assert [type(report.outcome) for report in reports] == [Accepted] * 3
    assert server.stored == 4


@pytest.mark.parametrize(
    "start",
    [HEAD + b"\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n", HEAD + b"X-Long: ", HEAD],
    ids=["body", "chunks", "header", "headers"],
)
async def test_an_endless_answer_is_cut_off_in_flat_memory(start: bytes) -> None:
    """An answer without end is given up after a bounded number of bytes."""
    line = {HEAD: b"X-More: y\r\n", HEAD + b"X-Long: ": b"x" * 1000}.get(
        start, b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    )

    async def pours(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(start)
        for _ in itertools.count():
            await exchange.send(line * 100)

    server = ScriptedServer(pours)
    async with server.running(), transport_to(server.url) as transport:
        tracemalloc.start()
        try:
            report = await ship(transport)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert isinstance(report.outcome, InDoubt)
    assert peak_bytes < 8 * BLOCK


EARLY: dict[str, tuple[bytes, type[Outcome]]] = {
    "413": (answer(413, b'{"detail": "too large"}'), Rejected),
    "429": (answer(429, b"", {"Retry-After": "7"}), Throttled),
    "401": (answer(401, b"{}"), Refused),
    "503": (answer(503, b""), Unavailable),
    "307": (answer(307, b"", {"Location": "http://elsewhere.test/x"}), Misdirected),
}


@pytest.mark.parametrize("kind", EARLY)
async def test_an_early_answer_counts_while_the_body_is_on_its_way(kind: str) -> None:
    """A refusal that comes before the body was read has its true status, and ends the request."""
    raw, outcome = EARLY[kind]
    server = ScriptedServer(refuses_early(raw, lingers=True), accepts("file-2"))
    async with server.running(receive_bytes=65536), transport_to(server.url) as transport:
        report = await ship(transport, Blocks(16 * BLOCK))
        assert type(report.outcome) is outcome
        assert not report.sent.complete
        assert isinstance((await ship(transport)).outcome, Accepted)
        assert server.connections == 2


@pytest.mark.parametrize("kind", EARLY)
async def test_an_early_answer_lost_in_a_reset_leaves_nothing_in_doubt(kind: str) -> None:
    """A server that refuses and closes at once is heard, or at worst counts as unavailable."""
    raw, outcome = EARLY[kind]
    server = ScriptedServer(refuses_early(raw, lingers=False))
    async with server.running(receive_bytes=65536), transport_to(server.url) as transport:
        for _ in range(5):
            report = await ship(transport, Blocks(16 * BLOCK))
            assert type(report.outcome) in (outcome, Unavailable)
            assert not report.sent.complete
        assert len(server.requests) == 5


async def test_an_early_refusal_counts_by_its_status_when_its_words_are_cut_off() -> None:
    """The head of an early refusal is enough, for the close that follows often cuts the rest."""

    heard = asyncio.Event()

    async def refuses_and_resets(exchange: Exchange) -> None:
        await exchange.send(answer(413, b"too large")[:-3])
        await heard.wait()
        exchange.reset()

    server = ScriptedServer(refuses_and_resets)

    async def waits(number: int) -> None:
        if number == 2:
            connection = await until_the_answer_begins(transport)
            heard.set()
            await until(lambda: not connection.is_connected())

    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, Blocks(8 * BLOCK, before=waits))
    assert report.outcome == Rejected(http_status=413, reason="HTTP 413")


async def test_success_before_the_body_was_sent_is_not_believed() -> None:
    """A server that reports success in mid-body is not believed; its id is kept as a candidate."""
    server = ScriptedServer(refuses_early(answer(), lingers=True))
    async with server.running(receive_bytes=65536), transport_to(server.url) as transport:
        report = await ship(transport, Blocks(16 * BLOCK))
    assert isinstance(report.outcome, InDoubt)
    assert report.outcome.candidate_id == "file-1"
    assert not report.sent.complete


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    """A redirect opens no second connection, and its host is named."""
    other = ScriptedServer(accepts("file-evil"))
    async with other.running():
        server = ScriptedServer(stores(answer(status, b"", {"Location": f"{other.url}/v1/flow/files"})))
        async with server.running(), transport_to(server.url) as transport:
            report = await ship(transport)
        host = other.url.removeprefix("http://")
        assert report.outcome == Misdirected(http_status=status, location_host=host)
        assert other.connections == 0
        assert len(server.requests) == 1


async def test_the_key_never_leaves_through_words(caplog: pytest.LogCaptureFixture) -> None:
    """No outcome, no log line and no setting shows the key, even where the server echoes it."""
    caplog.set_level(logging.DEBUG)
    echo = json.dumps({"detail": f"the key {KEY} is not known"}).encode()
    scenes = [stores(answer(status, echo)) for status in (400, 401, 500, 200)]
    scenes += [stores(b"HTTP/1.1 " + KEY.encode() + b"\r\n\r\n", then="close"), stores(b"", then="reset")]
    server = ScriptedServer(*scenes)
    async with server.running(), transport_to(server.url) as transport:
        reports = [await ship(transport) for _ in scenes]
        shown = repr(reports) + str(reports) + repr(transport) + repr(transport._settings) + caplog.text
    assert KEY not in shown
    assert isinstance(reports[0].outcome, Rejected)
    assert reports[0].outcome.reason == "HTTP 400: the key [key] is not known"
    assert server.requests[0].header("Authorization") == KEY


class _Unsent(AbstractStreamWriter):
    """A connection for a body that goes nowhere."""

    def __init__(self, *, should_close: bool = False) -> None:
        self.should_close = should_close
        self.written = b""

    @property
    def protocol(self) -> _Unsent:
        return self

    @property
    def transport(self) -> Any:
        return self

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str) -> None:
        return None

    async def write(self, chunk: Any) -> None:
        self.written += bytes(chunk)

    async def write_eof(self, chunk: bytes = b"") -> None:
        pass

    async def drain(self) -> None:
        pass

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        pass

    def enable_chunking(self) -> None:
        pass

    async def write_headers(self, status_line: str, headers: Any) -> None:
        pass


class _Response(aiohttp.ClientResponse):
    """aioresponses does not know the argument that aiohttp 3.14 added."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, stream_writer=_Unsent(), **options)


SHAPES: dict[str, tuple[int, str, dict[str, str], Outcome]] = {
    "accepted": (200, '{"id": "f-1", "bytes": 17}', {}, Accepted(file_id="f-1", http_status=200, size_confirmed=True)),
    "created": (201, '{"id": "f-1"}', {}, Accepted(file_id="f-1", http_status=201, size_confirmed=False)),
    "throttled": (429, "", {"Retry-After": "3"}, Throttled(http_status=429, retry_after_s=3.0, reason="HTTP 429")),
    "busy": (503, "", {"Retry-After": "2"}, Throttled(http_status=503, retry_after_s=2.0, reason="HTTP 503")),
    "failed": (500, "oops", {}, InDoubt(reason="HTTP 500: oops", answered=True, http_status=500)),
    "too slow": (408, "", {}, InDoubt(reason="HTTP 408", answered=True, http_status=408)),
    "forbidden": (403, "", {}, Refused(http_status=403, reason="HTTP 403")),
    "invalid": (
        422,
        '{"detail": [{"loc": ["body", "purpose"], "msg": "Field required"}]}',
        {"X-Request-Id": "r-9"},
        Rejected(http_status=422, reason="HTTP 422: body.purpose: Field required", request_id="r-9"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_shape_of_an_answer_decides_the_outcome(shape: str) -> None:
    """Status, headers and body of a well-formed answer become the outcome they stand for."""
    status, body, headers, outcome = SHAPES[shape]

    async def written(url: Any, **options: Any) -> None:
        await options["data"].write(_Unsent())

    with aioresponses() as mocked:
        mocked.put(
            "http://flow.test/v1/flow/files",
            status=status,
            body=body,
            headers=headers,
            callback=written,
            response_class=_Response,
        )
        async with transport_to("http://flow.test") as transport:
            report = await ship(transport)
    assert report.outcome == outcome


async def test_a_connection_that_holds_an_answer_already_gets_no_byte() -> None:
    """A body is not written to a connection on which an answer waits before the request was sent."""
    writer = _Unsent(should_close=True)

    async def written(url: Any, **options: Any) -> None:
        await options["data"].write(writer)

    with aioresponses() as mocked:
        mocked.put("http://flow.test/v1/flow/files", callback=written, response_class=_Response)
        async with transport_to("http://flow.test") as transport:
            report = await ship(transport, loaded())
    assert isinstance(report.outcome, Unavailable | NotSent)
    assert not report.sent.complete
    assert writer.written == b""
