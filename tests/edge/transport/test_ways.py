"""Certificates and proxies: whom the transport trusts, what it shows, and which way it goes."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from bulk_upload.core.api.network import Network
from bulk_upload.core.api.paging import PageRequest
from bulk_upload.core.model import Accepted, Unavailable
from bulk_upload.edge.transport import NoAnswer, Transport
from bulk_upload.errors import UsageError
from tests.edge.transport.proxy_server import Proxy
from tests.edge.transport.scripted_server import ScriptedServer, accepts
from tests.edge.transport.shipping import KEY, ship, transport_to
from tests.fakes.stream_server import stream_server
from tests.processes.forked import shell_words


@dataclass(frozen=True)
class Authority:
    """A certificate authority of the test's own, with a server's certificate and files for clients."""

    ca: trustme.CA
    ca_file: str
    client_file: str
    key_file: str

    def server(self, *, wants_client: bool = False) -> ssl.SSLContext:
        """The server's side."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            self.ca.configure_trust(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    client = ca.issue_cert("client@example")
    for pem in client.cert_chain_pems:
        pem.write_to_path(folder / "client.pem", append=True)
    client.private_key_pem.write_to_path(folder / "client.key")
    return Authority(ca, str(folder / "ca.pem"), str(folder / "client.pem"), str(folder / "client.key"))


async def test_an_unknown_authority_is_not_trusted(authority: Authority) -> None:
    """Without --ca-file no byte of the request leaves, and the words say what is wrong."""
    server = ScriptedServer(accepts())
    async with server.running(tls=authority.server()), transport_to(server.url) as transport:
        report = await ship(transport)
    assert isinstance(report.outcome, Unavailable)
    assert "certificate is not trusted" in report.outcome.reason
    assert server.requests == []


async def test_a_named_authority_is_trusted(authority: Authority) -> None:
    """--ca-file makes the server's certificate good."""
    server = ScriptedServer(accepts())
    network = Network(ca_file=authority.ca_file)
    async with server.running(tls=authority.server()), transport_to(server.url, network=network) as transport:
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_certificate_of_another_host_is_not_trusted(authority: Authority) -> None:
    """The authority is known, and the name is wrong."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.ca.issue_cert("elsewhere.example").configure_cert(context)
    server = ScriptedServer(accepts())
    network = Network(ca_file=authority.ca_file)
    async with server.running(tls=context), transport_to(server.url, network=network) as transport:
        report = await ship(transport)
    assert isinstance(report.outcome, Unavailable)
    assert server.requests == []


async def test_insecure_checks_nothing(authority: Authority) -> None:
    """Asked for by name, an unknown certificate is taken."""
    server = ScriptedServer(accepts())
    network = Network(insecure=True)
    async with server.running(tls=authority.server()), transport_to(server.url, network=network) as transport:
        assert isinstance((await ship(transport)).outcome, Accepted)


async def test_a_client_certificate_is_shown(authority: Authority) -> None:
    """A server that wants one takes nothing from a client without, and everything from one with it."""
    server = ScriptedServer(accepts())
    bare = Network(ca_file=authority.ca_file)
    shown = Network(
        ca_file=authority.ca_file, client_cert=authority.client_file, client_key=authority.key_file
    )
    async with server.running(tls=authority.server(wants_client=True)):
        async with transport_to(server.url, network=bare) as transport:
            assert not isinstance((await ship(transport)).outcome, Accepted)
        async with transport_to(server.url, network=shown) as transport:
            assert isinstance((await ship(transport)).outcome, Accepted)


@pytest.mark.parametrize("what", ["missing", "not-pem", "key-without-cert", "other-key"])
async def test_unusable_certificates_are_refused_before_anything_is_sent(
    tmp_path: Path, authority: Authority, what: str
) -> None:
    """The person is told which file, and what a good one is."""
    (tmp_path / "not.pem").write_text("hello\n")
    trustme.CA().issue_cert("x@y").private_key_pem.write_to_path(tmp_path / "other.key")
    network = {
        "missing": Network(ca_file=str(tmp_path / "none.pem")),
        "not-pem": Network(ca_file=str(tmp_path / "not.pem")),
        "key-without-cert": Network(client_key=authority.key_file),
        "other-key": Network(client_cert=authority.client_file, client_key=str(tmp_path / "other.key")),
    }[what]
    with pytest.raises(UsageError) as caught:
        async with transport_to("https://127.0.0.1:9", network=network):
            pass
    assert caught.value.hint


async def test_a_proxy_tunnels_tls_and_never_sees_the_key(authority: Authority) -> None:
    """CONNECT first, TLS within: neither key nor file pass the proxy in the clear."""
    server, proxy = ScriptedServer(accepts()), Proxy()
    async with server.running(tls=authority.server()), proxy.running():
        network = Network(proxy=proxy.url, ca_file=authority.ca_file)
        async with transport_to(server.url, network=network) as transport:
            assert isinstance((await ship(transport)).outcome, Accepted)
    assert proxy.lines == [f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1"]
    assert KEY not in "".join(proxy.heads)


async def test_a_proxy_may_want_a_password(authority: Authority) -> None:
    """The one in its address is sent to it alone; without it the words name the proxy's status."""
    server, proxy = ScriptedServer(accepts()), Proxy("ann:s3cret")
    async with server.running(tls=authority.server()), proxy.running():
        for address in (proxy.url, proxy.url.replace("ann:s3cret@", "")):
            network = Network(proxy=address, ca_file=authority.ca_file)
            async with transport_to(server.url, network=network) as transport:
                outcome = (await ship(transport)).outcome
            if "ann" in address:
                assert isinstance(outcome, Accepted)
            else:
                assert isinstance(outcome, Unavailable)
                assert outcome.reason == "the proxy answered HTTP 407"
    assert "s3cret" not in repr(Network(proxy=proxy.url))


async def test_a_dead_proxy_is_named() -> None:
    """The server may be well: it is the proxy that cannot be reached."""
    network = Network(proxy="http://ann:s3cret@127.0.0.1:9")
    async with transport_to("https://127.0.0.1:8", network=network) as transport:
        outcome = (await ship(transport)).outcome
    assert isinstance(outcome, Unavailable)
    assert "proxy" in outcome.reason
    assert "s3cret" not in outcome.reason


# --- where no further attempt can do better


def expired(authority: Authority) -> ssl.SSLContext:
    """Return the server's side with a certificate that was good once."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.ca.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(context)
    return context


def of_another_host(authority: Authority) -> ssl.SSLContext:
    """Return the server's side with a certificate for another host."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.ca.issue_cert("elsewhere.example").configure_cert(context)
    return context


HOPELESS = {
    "unknown authority": ("--ca-file", "SSL_CERT_FILE"),
    "expired": ("clock", "renew"),
    "another host": ("host in --base-url",),
    "no TLS there": ("http://",),
    "TLS there": ("https://",),
    "TLS there, in words": ("https://",),
}
BYTES_OF = {
    "no TLS there": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    "TLS there": b"\x15\x03\x01\x00\x02\x02\x46",
    "TLS there, in words": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 64\r\nConnection: close\r\n\r\n"
    b"<html>The plain HTTP request was sent to HTTPS port</html>      ",
}
"""What real servers answer in the wrong protocol: any HTTP server, OpenSSL's `protocol version` alert, nginx."""


@asynccontextmanager
async def hopeless(authority: Authority, scene: str) -> AsyncIterator[Transport]:
    """Yield a transport to a server that TLS keeps apart from it."""
    network = Network() if scene == "unknown authority" else Network(ca_file=authority.ca_file)
    if scene in BYTES_OF:
        async with talking(BYTES_OF[scene]) as port:
            scheme = "https" if scene == "no TLS there" else "http"
            async with transport_to(f"{scheme}://127.0.0.1:{port}", network=network) as transport:
                yield transport
        return
    makers: dict[str, Callable[[Authority], ssl.SSLContext]] = {
        "unknown authority": Authority.server,
        "expired": expired,
        "another host": of_another_host,
    }
    server = ScriptedServer(accepts())
    async with (
        server.running(tls=makers[scene](authority)),
        transport_to(server.url, network=network) as transport,
    ):
        yield transport
    assert server.requests == []


@asynccontextmanager
async def talking(raw: bytes) -> AsyncIterator[int]:
    """Answer whatever comes with the same bytes; yield the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.read(65536)
            writer.write(raw)
            await writer.drain()
            # Whatever is unread when a connection is closed would take the answer along.
            writer.write_eof()
            await reader.read()

    async with stream_server(connected) as port:
        yield port


@pytest.mark.parametrize("scene", HOPELESS)
async def test_trouble_that_lasts_names_its_remedy(authority: Authority, scene: str) -> None:
    """What keeps TLS from coming about is told from an outage: it names what to change, for uploads and questions."""
    async with hopeless(authority, scene) as transport:
        outcome = (await ship(transport)).outcome
        with pytest.raises(NoAnswer) as caught:
            await transport.list_page(PageRequest(limit=1))
    assert isinstance(outcome, Unavailable)
    assert caught.value.final
    for word in HOPELESS[scene]:
        assert outcome.remedy is not None
        assert word in outcome.remedy
    assert caught.value.remedy == outcome.remedy


@pytest.mark.parametrize("command", ["run", "doctor"])
async def test_commands_end_at_once(authority: Authority, tmp_path: Path, command: str) -> None:
    """A certificate that is not trusted ends a command at its first look, with exit code 5 and what to do."""
    (tmp_path / "a.jsonl").write_text('{"messages": []}\n')
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"path": "a.jsonl", "purpose": "fine-tune"}\n')
    server = ScriptedServer(accepts())
    async with server.running(tls=authority.server()):
        arguments = (command, str(manifest), "--base-url", server.url)
        options = ("--validate", "off", "-vv") if command == "run" else ()
        ended = await asyncio.to_thread(
            subprocess.run,
            [*shell_words(), *arguments, *options],
            env={**os.environ, "SEEKR_API_KEY": KEY},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    words = " ".join((ended.stdout + ended.stderr).split())
    assert ended.returncode == 5, words
    assert "--ca-file FILE (or SSL_CERT_FILE)" in words
    assert "retry" not in words
