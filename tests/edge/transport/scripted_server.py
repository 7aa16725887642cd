"""A raw HTTP/1.1 server that plays one scene for every request and remembers what really was on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fakes.stream_server import stream_server

CERTIFICATE = (
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
    "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
)

ANSWER = {"id": "file-1", "object": "file", "purpose": "fine-tune"}


@dataclass
class Request:
    """One request as it arrived. `body` is what was read of it."""

    connection: int
    line: str
    headers: list[tuple[str, str]]
    body: bytearray = field(default_factory=bytearray)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def content_length(self) -> int:
        return int(self.header("Content-Length") or 0)

    @property
    def complete(self) -> bool:
        return len(self.body) == self.content_length

    @property
    def file_name(self) -> str:
        """The name under which the last part, the file, was sent."""
        name = re.search('filename="([^"]*)"', self.parts[-1][0])
        assert name is not None
        return name[1]

    @property
    def parts(self) -> list[tuple[str, bytes]]:
        """The head and the content of every part of the form."""
        boundary = re.search("boundary=(.+)", self.header("Content-Type") or "")
        assert boundary is not None
        first, *parts, last = (b"\r\n" + bytes(self.body)).split(b"\r\n--" + boundary[1].encode())
        assert first == b""
        assert last == b"--\r\n"
        split = [part.removeprefix(b"\r\n").partition(b"\r\n\r\n") for part in parts]
        return [(head.decode(), content) for head, _, content in split]


@dataclass
class Exchange:
    """The server's side of one request, its head already read."""

    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    released: asyncio.Event

    async def read_body(self, limit: int | None = None) -> None:
        """Read the rest of the body, or until `limit` bytes of it are there."""
        body = self.request.body
        wanted = self.request.content_length if limit is None else min(limit, self.request.content_length)
        while len(body) < wanted:
            data = await self.reader.read(min(1 << 18, wanted - len(body)))
            if not data:
                raise ConnectionError("the client is gone")
            body += data

    async def send(self, raw: bytes) -> None:
        self.writer.write(raw)
        await self.writer.drain()

    async def wait_gone(self) -> None:
        """Wait until the client closes the connection; read away what it still sends."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(1 << 18):
                pass

    def reset(self) -> None:
        """Close with a reset, as a crashed server or a middlebox does."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def close(self) -> None:
        self.writer.close()


Scene = Callable[[Exchange], Awaitable[None]]


class ScriptedServer:
    """Plays its scenes in order of arrival; the last one repeats."""

    def __init__(self, *scenes: Scene) -> None:
        self.scenes = list(scenes)
        self.url = ""
        self.connections = 0
        self.requests: list[Request] = []
        self.surplus = b""
        self.released = asyncio.Event()
        self._serving = 0

    @property
    def is_connected(self) -> bool:
        """Whether some client's connection is open."""
        return self._serving > 0

    @property
    def stored(self) -> int:
        """How many requests arrived whole."""
        return sum(request.complete for request in self.requests)

    @asynccontextmanager
    async def running(
        self, *, tls: ssl.SSLContext | None = None, receive_bytes: int | None = None
    ) -> AsyncIterator[ScriptedServer]:
        listener = socket.create_server(("127.0.0.1", 0))
        if receive_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        async with stream_server(self._connected, listening=listener, tls=tls) as port:
            self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
            try:
                yield self
            finally:
                self.released.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving += 1
        self.connections += 1
        number = self.connections
        # A scene that leaves a body unread leaves no head to be found behind it.
        unread = asyncio.LimitOverrunError
        with contextlib.suppress(ConnectionError, asyncio.CancelledError, unread):
            try:
                while await self._exchange(number, reader, writer):
                    pass
            finally:
                writer.transport.abort()
                self._serving -= 1

    async def _exchange(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            self.surplus += error.partial
            return False
        line, *lines = head.decode("utf-8").rstrip("\r\n").split("\r\n")
        headers = [(name, value) for name, _, value in (text.partition(": ") for text in lines)]
        request = Request(number, line, headers)
        self.requests.append(request)
        scene = self.scenes[min(len(self.requests), len(self.scenes)) - 1]
        await scene(Exchange(request, reader, writer, self.released))
        return not writer.transport.is_closing()


def answer(
    status: int = 200, body: bytes | dict[str, object] | None = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return a well-formed answer."""
    content = body if isinstance(body, bytes) else json.dumps(ANSWER if body is None else body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def stores(raw: bytes | None = None, *, then: str = "keep") -> Scene:
    """Read the whole request, say `raw`, and then keep, close or reset the connection."""

    async def scene(exchange: Exchange) -> None:
        await exchange.read_body()
        await exchange.send(answer() if raw is None else raw)
        if then != "keep":
            exchange.close() if then == "close" else exchange.reset()

    return scene


def accepts(file_id: str = "file-1") -> Scene:
    """Store the file under this id, as a sound server does."""
    return stores(answer(body={**ANSWER, "id": file_id}))


def loses(*, after_bytes: int, then: str = "reset") -> Scene:
    """Read so much of the body and drop the connection."""

    async def scene(exchange: Exchange) -> None:
        await exchange.read_body(after_bytes)
        exchange.close() if then == "close" else exchange.reset()

    return scene


def refuses_early(raw: bytes, *, lingers: bool) -> Scene:
    """Answer before the body is read; then read it away until the client is gone, or close at once."""

    async def scene(exchange: Exchange) -> None:
        await exchange.send(raw)
        if lingers:
            await exchange.wait_gone()
        exchange.close()

    return scene


def holds(*, reads_body: bool = True, limit: int | None = None) -> Scene:
    """Stay silent until the server ends, with the body read, read in part or untouched."""

    async def scene(exchange: Exchange) -> None:
        if reads_body:
            await exchange.read_body(limit)
        await exchange.released.wait()

    return scene


async def first_bytes(listener: socket.socket) -> socket.socket:
    """Take a connection and wait until the client has said something; nothing answers it."""
    listener.setblocking(False)
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    await asyncio.get_running_loop().sock_recv(connection, 1)
    return connection


def certified(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Make a certificate for 127.0.0.1 that clients of this process trust, and return the server's side."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [openssl, *CERTIFICATE.split(), "-keyout", "key.pem", "-out", "certificate.pem"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    monkeypatch.setattr(
        "aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=certificate)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
