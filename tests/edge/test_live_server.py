"""The live page's server: who has the token gets the state, and nobody else gets anything of the run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bulk_upload.edge.live_server import LiveServer, Refused

PAGE = b"<!doctype html><title>x</title>"
POLICY = "default-src 'none'"


async def _act(asked: dict[str, object]) -> list[str]:
    if asked.get("paused") is True:
        return ["paused"]
    raise Refused("no such change")


@asynccontextmanager
async def served(server: LiveServer) -> AsyncIterator[tuple[str, str, aiohttp.ClientSession]]:
    """Yield the address without the token, the token, and a client that keeps cookies, also of addresses."""
    async with server.listening("127.0.0.1", 0) as where:
        address, _, token = where.partition("/#")
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar, timeout=aiohttp.ClientTimeout(total=60)) as client:
            yield address, token, client


async def test_the_page_is_for_anyone_and_says_nothing() -> None:
    """It has neither the token nor a state, may load nothing from elsewhere, and is not kept."""
    server = LiveServer(PAGE, POLICY)
    server.publish(b'{"path": "secret"}')
    async with served(server) as (address, token, client), client.get(address) as answer:
        assert await answer.read() == PAGE
        assert token not in str(answer.headers)
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers


async def test_the_token_is_exchanged_for_a_cookie_that_opens_the_events() -> None:
    """No script can read the cookie, no other page can send it, and it is not the token."""
    server = LiveServer(PAGE, POLICY)
    async with served(server) as (address, token, client):
        async with client.get(f"{address}/events") as answer:
            assert answer.status == 403
        async with client.post(f"{address}/session", json={"token": token}) as answer:
            assert answer.status == 204
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert token not in cookie
        server.publish(b'{"phase": "one"}\n')
        async with client.get(f"{address}/events") as answer:
            assert answer.content_type == "text/event-stream"
            assert await answer.content.readuntil(b"\n\n") == b'data: {"phase": "one"}\n\n'
            server.publish(b'{"phase": "two"}')
            assert await answer.content.readuntil(b"\n\n") == b'data: {"phase": "two"}\n\n'


@pytest.mark.parametrize("token", ["", "x", None, 1, "\u00e9", "\ud800"])
async def test_a_wrong_token_is_refused(token: object) -> None:
    """Whatever it is."""
    async with (
        served(LiveServer(PAGE, POLICY)) as (address, _, client),
        client.post(f"{address}/session", json={"token": token}) as answer,
    ):
        assert answer.status == 403
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("body", [b"[" * 4000, b"\xff", b"5", b""])
async def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """However deep it is."""
    headers = {"Content-Type": "application/json"}
    async with (
        served(LiveServer(PAGE, POLICY)) as (address, _, client),
        client.post(f"{address}/session", data=body, headers=headers) as answer,
    ):
        assert answer.status == 400


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nCookie: bulk-upload-%d=\xff\r\n\r\n",
    ],
)
async def test_what_is_no_request_leaves_no_trace_on_the_terminal(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Anyone who reaches the port may send anything; nothing of it goes beyond this page's own log."""
    async with served(LiveServer(PAGE, POLICY)) as (address, _, _):
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request_bytes % (port, port) if b"%d" in request_bytes else request_bytes)
        answer = await asyncio.wait_for(reader.readline(), 60)
        writer.close()
    assert answer.split()[1].startswith(b"4")
    assert {one.name for one in caplog.records if one.levelname != "DEBUG"} <= {"bulk_upload.live_page"}


async def test_another_host_is_refused() -> None:
    """A name that somebody's DNS points here gets nothing, not even the page; `localhost` is this machine."""
    async with served(LiveServer(PAGE, POLICY)) as (address, _, client):
        port = address.rpartition(":")[2]
        for host, status in (
            ("evil.example", 421), (f"evil.example:{port}", 421), ("127.0.0.1:1", 421), (f"127.0.0.1.evil.example:{port}", 421),
            (f"localhost:{port}", 200), (f"127.0.0.1:{port}", 200),
        ):  # fmt: skip
            async with client.get(address, headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_changes_need_the_cookie_this_page_and_permission() -> None:
    """A form or a script of another page changes nothing; nor does anyone where --control was not given."""
    async with served(LiveServer(PAGE, POLICY, act=_act)) as (address, token, client):
        async with client.post(f"{address}/control", json={"paused": True}) as answer:
            assert answer.status == 403
        async with client.post(f"{address}/session", json={"token": token}):
            pass
        async with client.post(f"{address}/control", data={"paused": "true"}) as answer:
            assert answer.status == 403
        for origin, status in ((None, 200), (address, 200), ("http://evil.example", 403), ("null", 403)):
            headers = {} if origin is None else {"Origin": origin}
            async with client.post(f"{address}/control", json={"paused": True}, headers=headers) as answer:
                assert answer.status == status, origin
        async with client.post(f"{address}/control", json={"x": 1}) as answer:
            assert await answer.json() == {"changes": [], "refused": "no such change"}
        async with client.post(f"{address}/control", json=[1]) as answer:
            assert answer.status == 400
    async with served(LiveServer(PAGE, POLICY)) as (address, token, client):
        async with client.post(f"{address}/session", json={"token": token}):
            pass
        async with client.post(f"{address}/control", json={"paused": True}) as answer:
            assert answer.status == 403


async def test_who_does_not_read_holds_up_nobody() -> None:
    """States are not kept for a slow watcher: it gets the latest, and publishing never waits."""
    server = LiveServer(PAGE, POLICY)
    async with served(server) as (address, token, client):
        async with client.post(f"{address}/session", json={"token": token}):
            pass
        async with client.get(f"{address}/events") as slow, client.get(f"{address}/events") as quick:
            for number in range(1000):
                server.publish(b'{"n": %d, "x": "%s"}' % (number, b"x" * 20_000))
            server.publish(b'{"n": "last"}')
            async with asyncio.timeout(60):
                while await quick.content.readuntil(b"\n\n") != b'data: {"n": "last"}\n\n':
                    pass
            slow.close()
