"""A small HTTP proxy on loopback: tunnels what CONNECT asks for, and wants a password if told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.fakes.stream_server import stream_server


class Proxy:
    """Remembers the first line of every request it gets. `login` is `user:password`, None for an open one."""

    def __init__(self, login: str | None = None) -> None:
        self._login = login
        self.url = ""
        self.lines: list[str] = []
        self.heads: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Serve."""
        async with stream_server(self._connected) as port:
            login = "" if self._login is None else f"{self._login}@"
            self.url = f"http://{login}127.0.0.1:{port}"
            yield self

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            self.lines.append(head.partition("\r\n")[0])
            if self._login is not None:
                wanted = base64.b64encode(self._login.encode()).decode()
                if f"Proxy-Authorization: Basic {wanted}" not in head:
                    writer.write(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    writer.close()
                    return
            host, _, port = self.lines[-1].split()[1].rpartition(":")
            upstream_reader, upstream = await asyncio.open_connection(host, int(port))
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_copy(reader, upstream))
                tasks.create_task(_copy(upstream_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
