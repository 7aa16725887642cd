"""Ending a server so that it leaves no connection open.

An `asyncio.Server` loses a connection that it has accepted, but that has no transport yet when the server is closed:
the client waits until the garbage collector finds the socket, which is a ResourceWarning.
"""

from __future__ import annotations

import asyncio

ACCEPT_TURNS = 3
"""Turns of the loop from a connection's acceptance until its protocol is called: the task that makes the transport,
`connection_made`, and one in hand."""


async def close_server(server: asyncio.Server) -> None:
    """Accept no more, let what is accepted reach its protocol, and close the server."""
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        # uvloop, which accepts within one turn, has no such reader.
        loop.remove_reader(listening.fileno())
    await turns(ACCEPT_TURNS)
    server.close()


async def turns(count: int) -> None:
    """Let the loop turn so many times."""
    for _ in range(count):
        await asyncio.sleep(0)
