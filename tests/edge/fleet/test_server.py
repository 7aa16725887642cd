"""Who knocks at a coordinator: strangers, other programs and other versions."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from bulk_upload.core.fleet.messages import PROTOCOL, Hello, Refusal, Welcome
from bulk_upload.edge.fleet import Access, Admitted, AgentServer, Dialer, Link, NotAdmitted


class Nobody:
    """Wants no agent, and remembers who asked."""

    def __init__(self) -> None:
        self.hellos: list[Hello] = []
        self.errors: list[Exception] = []

    async def on_hello(self, hello: Hello, link: Link, *, is_private: bool) -> Admitted | Refusal:
        assert is_private
        self.hellos.append(hello)
        return Refusal(reason="nobody is wanted")

    def on_error(self, error: Exception) -> None:
        self.errors.append(error)


HELLO = Hello(protocol=PROTOCOL, version="1", host="h", pid=1, cpu_count=1)


async def test_strangers_are_not_heard() -> None:
    """Without the token nothing of what they say is read, and a used ticket is none."""
    nobody, access = Nobody(), Access()
    async with AgentServer(access, nobody).listening("127.0.0.1", 0) as url:
        ticket = access.issue_ticket()
        channel = await Dialer(url, ticket).connect(HELLO)
        assert channel.answer == Refusal(reason="nobody is wanted")
        await channel.close()
        for secret in (ticket, "wrong", ""):
            with pytest.raises(NotAdmitted):
                await Dialer(url, secret).connect(HELLO)
    assert len(nobody.hellos) == 1
    assert nobody.errors == []


@pytest.mark.parametrize("said", [b"\x80\x04pickle", b"", msgspec.msgpack.encode(["Hello", 99, "x"])])
async def test_what_is_no_hello_is_no_agent_and_ends_no_run(said: bytes) -> None:
    """Whatever comes is decoded as a message or not at all."""
    nobody, access = Nobody(), Access()
    async with (
        AgentServer(access, nobody).listening("127.0.0.1", 0) as url,
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {access.token}"}) as session,
    ):
        async with session.ws_connect(url) as connection:
            await connection.send_bytes(said)
            answer = await connection.receive()
            if answer.type is aiohttp.WSMsgType.BINARY:
                refusal = msgspec.msgpack.decode(answer.data, type=Refusal | Welcome)
                assert isinstance(refusal, Refusal)
                assert "protocol" in refusal.reason
        async with session.get(url.replace("ws://", "http://")) as response:
            assert response.status == 400
    assert nobody.hellos == []
    assert nobody.errors == []


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET /agent HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer \xff\r\n\r\n",
        b"GET /agent HTTP/1.1\r\n\r\n",
    ],
)
async def test_what_is_no_request_leaves_no_trace_on_the_terminal(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone who reaches the port may send anything; nothing of it goes beyond the log of agents."""
    async with AgentServer(Access(), Nobody()).listening("127.0.0.1", 0) as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
    assert answer.split()[1].startswith(b"4")
    assert {one.name for one in caplog.records if one.levelname != "DEBUG"} <= {"bulk_upload.agents"}
