"""A server that takes uploads, throws the bodies away and answers at once with an id that no other file has.

    python benchmarks/sink.py

It prints its URL and serves until its standard input ends. It costs far less than the client it stands against, and
speaks just enough HTTP for it: requests with a Content-Length, one after another on each connection.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_numbers = itertools.count(1)


class _Connection(asyncio.Protocol):
    """Counts the bytes of each request and answers when they are all there."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._head = bytearray()
        self._missing_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._missing_bytes:
            self._take(len(data))
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self._head, 0, end)
        body_bytes = len(self._head) - end - 4
        self._missing_bytes = int(found[1]) if found else 0
        self._head.clear()
        self._take(body_bytes)

    def _take(self, byte_count: int) -> None:
        self._missing_bytes -= byte_count
        if self._missing_bytes <= 0:
            body = b'{"id":"file-%012d","created_at":"2026-01-01T00:00:00Z"}' % next(_numbers)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (len(body), body)
            )


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, "127.0.0.1", 0, backlog=512)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
