"""The fence: once it is closed no piece of a body is written, and nothing of it is left to the system."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bulk_upload.core.model import Unavailable
from tests.edge.transport.scripted_server import ScriptedServer, accepts
from tests.edge.transport.shipping import Blocks, connection_in_use, loaded, ship, transport_to
from tests.waiting import until, until_still


class Gate:
    """A fence that a test closes."""

    def __init__(self) -> None:
        self.open = True

    def is_open(self) -> bool:
        return self.open


async def test_nothing_is_written_once_the_fence_is_closed() -> None:
    """A body whose fence closes before its last piece is never complete."""
    gate = Gate()

    async def closing(read: int) -> None:
        gate.open = read < 9

    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url, fence=gate) as transport,
    ):
        report = await ship(transport, Blocks(before=closing))
        assert isinstance(report.outcome, Unavailable)
        assert not report.sent.complete
        assert report.sent.handed_bytes < 9 * 1024 * 1024
        await until(lambda: not server.is_connected)
        assert not any(one.complete for one in server.requests)


async def test_a_closed_fence_lets_no_small_file_pass_either() -> None:
    """Its only piece is the one that completes the body."""
    gate = Gate()
    async with (
        ScriptedServer(accepts()).running() as server,
        transport_to(server.url, fence=gate) as transport,
    ):
        gate.open = False
        report = await ship(transport)
        assert not report.sent.complete
        assert report.sent.handed_bytes == 0


@pytest.mark.parametrize("cut", [True, False], ids=["cut off", "merely ended"])
async def test_what_the_system_holds_is_dropped(cut: bool) -> None:
    """A request that is cut off is reset. One that is merely ended leaves to the system to deliver what that holds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        async with transport_to(f"http://127.0.0.1:{listener.getsockname()[1]}") as transport:
            upload = asyncio.create_task(ship(transport, loaded(bytes(1024 * 1024))))
            connection, _ = await loop.sock_accept(listener)
            with connection:
                await until(lambda: transport.partial_bytes)
                await until_still(lambda: transport.partial_bytes)
                protocol = connection_in_use(transport)
                end = transport.cut_off if cut else transport.end_all
                end("the test ends it")
                await upload
                await until(lambda: not protocol.is_connected())
                assert await _was_reset(connection) == cut


async def _was_reset(connection: socket.socket) -> bool:
    """Read all that comes; return whether it ended with a reset."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(connection, 65536):
            pass
    except ConnectionResetError:
        return True
    return False
