"""Reading a file's content back from a storage that the server redirects to, and what stays secret there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from bulk_upload.edge.transport import NoAnswer
from bulk_upload.edge.transport.content import REDIRECTS_MAX
from tests.edge.transport.contents import CONTENT, PARTS_BACK, RANGES, WHOLE_BACK, read_back, serves
from tests.edge.transport.scripted_server import ScriptedServer, answer, certified, stores
from tests.edge.transport.shipping import KEY, transport_to

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_a_storage_is_followed_without_the_key(status: int) -> None:
    """Content may lie behind a signed address on another host: neither key nor team goes there, the range does."""
    storage = ScriptedServer(serves())
    async with storage.running():
        target = f"{storage.url}/bucket/f-1?X-Signature=se%2Fcret"
        server = ScriptedServer(stores(answer(status, b"", {"Location": target})))
        async with server.running(), transport_to(server.url, team="team-1") as transport:
            assert await transport.read_back("f-1", file_bytes=5000) == WHOLE_BACK
            assert await transport.read_back("f-1", file_bytes=5000, ranges=RANGES) == PARTS_BACK
    assert [one.header("Range") for one in storage.requests] == [
        None,
        "bytes=0-99",
        "bytes=1000-1049",
        "bytes=4900-4999",
    ]
    for one in storage.requests:
        assert one.line == "GET /bucket/f-1?X-Signature=se%2Fcret HTTP/1.1"
        assert KEY not in repr(one.headers)
        assert "team-1" not in repr(one.headers)
    assert all(one.header("x-team-id") == "team-1" for one in server.requests)


async def test_a_redirect_within_the_server_keeps_the_key() -> None:
    """A path that only moved is still the server's."""
    server = ScriptedServer(
        stores(answer(307, b"", {"Location": "/moved/f-1"})), stores(answer(200, CONTENT))
    )
    async with server.running(), transport_to(server.url) as transport:
        assert await transport.read_back("f-1", file_bytes=5000) == WHOLE_BACK
    assert server.requests[1].line == "GET /moved/f-1 HTTP/1.1"
    assert server.requests[1].header("Authorization") == KEY


async def test_a_storage_that_refuses_is_not_quoted() -> None:
    """Its message may repeat the signature in the address."""
    storage = ScriptedServer(stores(answer(403, b"signature se-cret is wrong")))
    async with storage.running():
        server = ScriptedServer(stores(answer(302, b"", {"Location": f"{storage.url}/?sig=se-cret"})))
        async with server.running(), transport_to(server.url) as transport:
            with pytest.raises(NoAnswer, match=r"HTTP 403 from 127\.0\.0\.1") as caught:
                await transport.read_back("f-1", file_bytes=5000)
    assert "se-cret" not in str(caught.value)
    assert caught.value.final


@pytest.mark.parametrize(
    "location", ["", "ftp://127.0.0.1/f", "file:///etc/passwd", "http://[", "//", "http:///x", "mailto:x@y"]
)
async def test_a_redirect_to_nowhere_is_a_refusal(location: str) -> None:
    """Only HTTP addresses are followed, and asking again would not help."""
    with pytest.raises(NoAnswer, match="redirected") as caught:
        await read_back(stores(answer(302, b"", {"Location": location})))
    assert caught.value.final


async def test_a_redirect_from_tls_to_a_plain_connection_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent under TLS does not come back without it."""
    storage = ScriptedServer(serves())
    context = certified(tmp_path, monkeypatch)
    async with storage.running():
        server = ScriptedServer(stores(answer(302, b"", {"Location": storage.url})))
        async with server.running(tls=context), transport_to(server.url) as transport:
            with pytest.raises(NoAnswer, match="redirected to no usable address"):
                await transport.read_back("f-1", file_bytes=5000)
    assert storage.connections == 0


async def test_a_storage_without_a_connection_is_not_the_server_being_away() -> None:
    """A run waits long for a server that is away; the server has just answered, with an address that leads nowhere."""
    with socket.socket() as dead:
        # Bound without listening: nothing else gets the port meanwhile.
        dead.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{dead.getsockname()[1]}/f-1?X-Signature=se-cret"
        with pytest.raises(NoAnswer, match="failed") as caught:
            await read_back(stores(answer(302, b"", {"Location": target})))
    assert (caught.value.away, caught.value.final) == (False, False)
    assert "se-cret" not in str(caught.value)


async def test_redirects_in_a_circle_end() -> None:
    """After a few of them the content counts as not returned."""
    server = ScriptedServer(stores(answer(302, b"", {"Location": "/again"})))
    async with server.running(), transport_to(server.url) as transport:
        with pytest.raises(NoAnswer, match="redirected too often"):
            await transport.read_back("f-1", file_bytes=5000)
    assert len(server.requests) == 1 + REDIRECTS_MAX
