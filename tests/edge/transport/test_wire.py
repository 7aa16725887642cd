"""What one upload looks like on the wire, and what it costs."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bulk_upload.core.api.multipart import form_fields, frame
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.model import Accepted, Entry
from bulk_upload.core.run.source import Source
from bulk_upload.edge.files import FileReader
from bulk_upload.edge.source_tree import SourceTree
from bulk_upload.edge.transport.body import WRITE_BYTES_MIN
from bulk_upload.sandbox import Sandbox
from tests.edge.transport.scripted_server import ANSWER, Exchange, ScriptedServer, accepts, answer, certified
from tests.edge.transport.shipping import BLOCK, KEY, Blocks, loaded, ship, transport_to

SIZES = [0, 1, 70_000, BLOCK, BLOCK + 1]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("streamed", [False, True], ids=["small", "streamed"])
async def test_the_announced_length_is_the_length_on_the_wire(size: int, streamed: bool) -> None:
    """Content-Length is exact for every size, the body is not chunked, and no byte follows it."""
    server = ScriptedServer(accepts())
    content = os.urandom(size)
    source: Source = loaded(content)
    if streamed:
        source = Blocks(size)
        content = source.content
    async with server.running(), transport_to(server.url) as transport:
        report = await ship(transport, source)
    assert isinstance(report.outcome, Accepted)
    assert report.sent.content_hash == hashlib.sha256(content).hexdigest()
    (request,) = server.requests
    assert request.header("Transfer-Encoding") is None
    assert request.content_length == len(request.body)
    assert request.parts[-1][1] == content
    assert server.surplus == b""


async def test_the_request_is_the_one_the_flow_api_documents() -> None:
    """PUT with the bare key, the team, and a form whose fields come before its one file named `files`."""
    server = ScriptedServer(accepts())
    entry = Entry(
        path="a.jsonl", purpose="fine-tune", vector_database_id="db-1", fields=(("note", "x\r\ny"),)
    )
    async with server.running(), transport_to(server.url, team="team-7") as transport:
        await ship(transport, loaded(b"{}\n"), fields=tuple(form_fields(entry, FLOW)))
        await ship(transport)
    request, second = server.requests
    assert request.line == "PUT /v1/flow/files HTTP/1.1"
    names = "Accept Accept-Encoding Authorization Content-Length Content-Type Host User-Agent x-team-id"
    assert sorted(name for name, _ in request.headers) == names.split()
    assert request.header("Authorization") == KEY
    assert request.header("x-team-id") == "team-7"
    assert request.header("Accept-Encoding") == "identity"
    disposition = "Content-Disposition: form-data; name="
    assert request.parts == [
        (f'{disposition}"purpose"', b"fine-tune"),
        (f'{disposition}"vector_database_id"', b"db-1"),
        (f'{disposition}"note"', b"x\r\ny"),
        (
            f'{disposition}"files"; filename="a.jsonl"\r\nContent-Type: application/octet-stream',
            b"{}\n",
        ),
    ]
    assert second.connection == request.connection


async def test_without_a_team_no_team_header_is_sent() -> None:
    """The team header is there only when a team was named."""
    server = ScriptedServer(accepts())
    async with server.running(), transport_to(server.url) as transport:
        await ship(transport)
    assert server.requests[0].header("x-team-id") is None


@pytest.mark.parametrize(
    "name",
    [
        "with spaces.jsonl",
        "it's.jsonl",
        'say "x".jsonl',
        "back\\slash.jsonl",
        "trailing\\",
        "naïve é.jsonl",
        "雪.jsonl",
        "🚀 up.jsonl",
        "100%25 ;=.jsonl",
        "a%22b.jsonl",
    ],
)
async def test_names_arrive_unchanged(name: str) -> None:
    """A server that reads the form as Starlette does stores the name that was sent."""
    async with Sandbox() as sandbox, transport_to(sandbox.url) as transport:
        report = await ship(transport, name=name)
        assert isinstance(report.outcome, Accepted)
        assert report.outcome.warnings == ()
        assert [file.filename for file in sandbox.files] == [name]


def test_a_line_break_in_a_name_starts_no_header() -> None:
    """Line breaks in names are spelled out, so that a name cannot add a header or a part."""
    framed = frame(fields=[('a"\r\nb', "v")], file_field="files", filename="x\r\ny", boundary="b")
    assert framed.prefix.count(b"\r\n\r\n") == 2
    assert b'name="a\\"%0D%0Ab"' in framed.prefix
    assert b'filename="x%0D%0Ay"' in framed.prefix


async def test_there_are_as_many_connections_as_uploads_in_flight() -> None:
    """Uploads at once have a connection each, later ones use those again, and the limit holds."""
    arrived = 0
    all_there = asyncio.Event()

    async def meets(exchange: Exchange) -> None:
        nonlocal arrived
        await exchange.read_body()
        arrived += 1
        if arrived == 5:
            all_there.set()
        await all_there.wait()
        await exchange.send(answer(body={**ANSWER, "id": f"file-{arrived}"}))

    server = ScriptedServer(meets)
    async with server.running(), transport_to(server.url, connection_limit=5) as transport:
        for _ in range(3):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(8):
                    tasks.create_task(ship(transport))
    assert len(server.requests) == 24
    assert server.connections == 5


class WatchedTransport:
    """A connection of any event loop that notes how many bytes each write has."""

    def __init__(self, transport: asyncio.Transport, writes: list[int]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        """Note and write."""
        self._writes.append(len(data))
        self._transport.write(data)

    def writelines(self, pieces: Sequence[bytes]) -> None:
        """Note and write; several pieces are one write."""
        self._writes.append(sum(map(len, pieces)))
        self._transport.writelines(pieces)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_a_small_file_is_one_write_and_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head and body of a small file leave in one write, without a hop to any thread."""
    server = ScriptedServer(accepts())
    writes: list[int] = []
    hops: list[Any] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "run_in_executor", lambda *args: hops.append(args))
    connect = loop.create_connection

    async def connect_watched(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        transport, protocol = await connect(*args, **kwargs)
        protocol.transport = WatchedTransport(transport, writes)
        return transport, protocol

    monkeypatch.setattr(loop, "create_connection", connect_watched)
    async with server.running(), transport_to(server.url) as transport:
        await ship(transport, loaded(os.urandom(200_000)))
    (request_bytes,) = writes
    assert request_bytes > server.requests[0].content_length
    assert hops == []


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "TLS"])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_larger_file_leaves_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secured: bool, streamed: bool
) -> None:
    """A block is given to a connection in halves, over TLS in smaller pieces, and all of them are the file."""
    largest = WRITE_BYTES_MIN if secured else BLOCK // 2
    content = os.urandom(BLOCK)
    source: Source = loaded(content)
    if streamed:
        source = Blocks(len(content))
        content = source.content
    handed: list[int] = []
    server = ScriptedServer(accepts())
    tls = certified(tmp_path, monkeypatch) if secured else None
    async with server.running(tls=tls), transport_to(server.url) as transport:
        report = await ship(transport, source, on_handed=handed.append)
    assert isinstance(report.outcome, Accepted)
    assert max(handed) == largest
    assert sum(handed) == server.requests[0].content_length
    assert server.requests[0].parts[-1][1] == content


async def test_a_large_file_streams_in_flat_memory_on_the_readers_own_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body far larger than memory allows costs a few blocks, has the right hash and spares the default executor."""
    size = 96 * BLOCK + 17
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(size)
        file.seek(size // 2)
        file.write(os.urandom(4096))
    digest = hashlib.sha256()
    received = 0

    async def hashes(exchange: Exchange) -> None:
        nonlocal received
        while received < exchange.request.content_length:
            data = await exchange.reader.read(1 << 18)
            received += len(data)
            digest.update(data)
        await exchange.send(answer())

    executors: set[Any] = set()
    loop = asyncio.get_running_loop()
    run = loop.run_in_executor

    def watched(executor: Any, function: Any, *args: Any) -> Any:
        executors.add(executor)
        return run(executor, function, *args)

    monkeypatch.setattr(loop, "run_in_executor", watched)
    server = ScriptedServer(hashes)
    reader = FileReader(SourceTree(str(tmp_path)), thread_count=2)
    async with server.running(), transport_to(server.url) as transport:
        tracemalloc.start()
        try:
            async with await reader.open("big.bin") as stream:
                report = await ship(transport, stream)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            reader.close()
    assert isinstance(report.outcome, Accepted)
    assert received == server.requests[0].content_length
    with (tmp_path / "big.bin").open("rb") as big:
        assert report.sent.content_hash == hashlib.file_digest(big, "sha256").hexdigest()
    assert peak_bytes < 20 * BLOCK
    assert {lane._pool for lane in executors} == {reader._pool}


async def test_progress_counts_what_has_left() -> None:
    """The bytes on the wire are those of whole bodies once all are answered, none are partial."""
    server = ScriptedServer(accepts())
    handed: list[int] = []
    async with server.running(), transport_to(server.url) as transport:
        for source in (loaded(), Blocks(2 * BLOCK)):
            await ship(transport, source)
        assert transport.wire_bytes == sum(len(request.body) for request in server.requests)
        assert transport.partial_bytes == 0
        await ship(transport, on_handed=handed.append)
    assert sum(handed) == server.requests[-1].content_length
