"""A server of streams that leaves no connection and no task behind."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from bulk_upload.sandbox.accepting import close_server, turns

Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def stream_server(
    handle: Handle, *, listening: socket.socket | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Handle each connection in a task while the block runs, and yield the port; then cancel and abort them all.

    A connection is closed when its handler ends. What a handler raises is raised at the end.
    """
    writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Not a coroutine, which asyncio would make a task of that nobody knows until its first step.
        writers[asyncio.create_task(handled(reader, writer))] = writer

    if listening is None:
        listening = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(connected, sock=listening, ssl=tls)
    try:
        yield listening.getsockname()[1]
    finally:
        await close_server(server)
        for task, writer in writers.items():
            writer.transport.abort()
            task.cancel()
        ended = await asyncio.gather(*writers, return_exceptions=True)
        await turns(1)
    for one in ended:
        if isinstance(one, Exception):
            raise one
