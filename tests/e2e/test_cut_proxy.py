"""The proxy that cuts agents off behaves as a network does."""

from __future__ import annotations

import asyncio
import socket

from tests.e2e.fleets import CutProxy
from tests.fakes.stream_server import stream_server
from tests.waiting import HANG_S, until


async def test_nobody_behind_it_is_a_closed_connection() -> None:
    """Where nobody listens any more, the client is not left waiting."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    async with CutProxy("127.0.0.1", port).running() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(HANG_S):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_while_it_is_cut_not_even_an_end_passes() -> None:
    """What a client sends, and that it goes, arrives once the proxy is mended, in that order."""
    arrived: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            arrived.append(data)
        arrived.append(b"the end")

    async with stream_server(handle) as behind:
        proxy = CutProxy("127.0.0.1", behind)
        async with proxy.running() as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"before")
            await until(lambda: arrived)
            proxy.cut()
            writer.write(b"after")
            writer.close()
            await writer.wait_closed()
            for _ in range(10):
                await asyncio.sleep(0)
            assert arrived == [b"before"]
            proxy.mend()
            await until(lambda: arrived == [b"before", b"after", b"the end"])
