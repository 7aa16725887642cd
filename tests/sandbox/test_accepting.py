"""A server that ends just when a client connects."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from bulk_upload.sandbox import Sandbox
from tests.fakes.stream_server import stream_server
from tests.waiting import HANG_S


@asynccontextmanager
async def sandbox_port() -> AsyncIterator[int]:
    async with Sandbox() as sandbox:
        yield urlsplit(sandbox.url).port or 0


def stream_port() -> AbstractAsyncContextManager[int]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return stream_server(handle)


@pytest.mark.parametrize("serve", [sandbox_port, stream_port])
@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_just_accepted_is_closed(
    serve: Callable[[], AbstractAsyncContextManager[int]], turns: int
) -> None:
    """However far the loop has come with a connection when the server ends, it is closed, and nothing is left of it."""
    with contextlib.ExitStack() as clients:
        async with serve() as port:
            # The system completes it before the loop knows of it.
            client = clients.enter_context(socket.create_connection(("127.0.0.1", port)))
            for _ in range(turns):
                await asyncio.sleep(0)
        client.setblocking(False)
        async with asyncio.timeout(HANG_S):
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
    # A socket that nobody closed is a ResourceWarning, which fails the test.
    gc.collect()
