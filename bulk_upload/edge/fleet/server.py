"""The coordinator's end of the connections: admits agents, and passes frames in both directions."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol

import aiohttp
import msgspec
from aiohttp import web

from bulk_upload.core.fleet.mailbox import BrokenProtocol
from bulk_upload.core.fleet.messages import (
    FRAME_BYTES_MAX,
    PROTOCOL,
    FromAgentFrame,
    Hello,
    Refusal,
    ToAgentFrame,
    Welcome,
)
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.edge.fleet.access import Access

_log = logging.getLogger("bulk_upload.agents")
_log.addHandler(logging.NullHandler())

HELLO_S = 30.0
"""How long an agent that connected may take to say who it is."""

CLOSE_S = 5.0
"""How long the last frames may take at the end of a run."""

DISMISSED_CODE = 4000
BROKEN_CODE = 4001
PATH = "/agent"


class Link:
    """One connection of an agent. `wake` when there is something to send; `close` when another one took its place."""

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.closing = False

    def wake(self) -> None:
        """Send what is new in the next turn of the event loop, all of it in one frame."""
        self._news.set()

    def close(self) -> None:
        """Send what is new, then close."""
        self.closing = True
        self._news.set()

    async def news(self) -> None:
        """Wait for `wake` or `close`."""
        await self._news.wait()
        self._news.clear()


class Member(Protocol):
    """An agent's session as the connection sees it."""

    def frame(self, link: Link) -> ToAgentFrame | None:
        """Return what is to be sent now over a connection, None where there is nothing."""

    def on_frame(self, link: Link, frame: FromAgentFrame) -> None:
        """Take a frame that came over a connection. Raises BrokenProtocol."""

    def on_closed(self, link: Link) -> None:
        """Record that a connection is gone."""


class Admitted(NamedTuple):
    """An agent that is let in: what it is answered, and its session."""

    welcome: Welcome
    member: Member


class Members(Protocol):
    """Decides who becomes an agent. `is_private` says that nobody can listen on the way."""

    async def on_hello(self, hello: Hello, link: Link, *, is_private: bool) -> Admitted | Refusal:
        """Return the session of an agent, or why it gets none."""

    def on_error(self, error: Exception) -> None:
        """End the run with an error of a connection that is a bug."""


_decode_hello: Callable[[bytes], Hello] = msgspec.msgpack.Decoder(Hello).decode
_decode_frame: Callable[[bytes], FromAgentFrame] = msgspec.msgpack.Decoder(FromAgentFrame).decode
_encode = msgspec.msgpack.Encoder().encode


class AgentServer:
    """Listens for agents.

    Args:
        access: who is admitted.
        members: what becomes of them.
    """

    def __init__(self, access: Access, members: Members) -> None:
        self._access = access
        self._members = members
        self._links: set[Link] = set()
        self._closed = asyncio.Event()

    @asynccontextmanager
    async def listening(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[str]:
        """Serve while the block runs, and yield the address for agents. Raises UsageError for one that is not free.

        At the end the last frames are sent, so that agents know that they are dismissed.
        """
        app = web.Application()
        app.add_routes([web.get(PATH, self._get_agent)])
        runner = web.AppRunner(
            app, access_log=None, logger=_log, shutdown_timeout=CLOSE_S, handle_signals=False
        )
        await runner.setup()
        try:
            try:
                await web.TCPSite(runner, host, port, ssl_context=tls).start()
            except OSError as error:
                raise UsageError(
                    f"cannot listen for agents at {host}:{port}: {error.strerror or error}",
                    hint="choose another address or port for --listen; port 0 is any free one",
                ) from error
            bound = runner.addresses[0][1]
            yield f"{'ws' if tls is None else 'wss'}://{_shown(host)}:{bound}{PATH}"
        finally:
            await self._close_links()
            await runner.cleanup()

    async def _close_links(self) -> None:
        for link in self._links:
            link.close()
        if self._links:
            self._closed.clear()
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self._closed.wait()
            except TimeoutError:
                # An agent that does not read: its fence ends it.
                pass

    async def _get_agent(self, request: web.Request) -> web.StreamResponse:
        if not self._access.admits(request.headers.get("Authorization", "")):
            raise web.HTTPUnauthorized(text="The token is not the one of this run.\n")
        connection = web.WebSocketResponse(max_msg_size=FRAME_BYTES_MAX, compress=False)
        link = Link()
        self._links.add(link)
        try:
            await connection.prepare(request)
            await self._serve(connection, link, is_private=_is_private(request))
        except web.HTTPException:
            # What is no WebSocket, though it knows the token.
            raise
        except ConnectionError:
            pass
        except Exception as error:  # noqa: BLE001 - aiohttp would only log it: the run ends with it
            self._members.on_error(error)
        finally:
            self._links.discard(link)
            if not self._links:
                self._closed.set()
        return connection

    async def _serve(self, connection: web.WebSocketResponse, link: Link, *, is_private: bool) -> None:
        hello = await _hello(connection)
        if hello is None:
            await connection.close(code=BROKEN_CODE)
            return
        answer = await self._members.on_hello(hello, link, is_private=is_private)
        if isinstance(answer, Refusal):
            await connection.send_bytes(_encode(answer))
            await connection.close(code=DISMISSED_CODE)
            return
        try:
            await connection.send_bytes(_encode(answer.welcome))
            link.wake()
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(_write(connection, link, answer.member))
                await _read(connection, link, answer.member)
                writing.cancel()
        except* ConnectionError:
            pass
        finally:
            answer.member.on_closed(link)


async def _hello(connection: web.WebSocketResponse) -> Hello | None:
    """Return an agent's first frame; None where none comes, or one of another version of the protocol."""
    try:
        data = await connection.receive_bytes(timeout=HELLO_S)
        return _decode_hello(data)
    except msgspec.ValidationError:
        reason = f"it speaks another version of the protocol than {PROTOCOL}: install the same version of bulk-upload"
        await connection.send_bytes(_encode(Refusal(reason=reason)))
        return None
    except (TypeError, TimeoutError, msgspec.DecodeError, aiohttp.WSMessageTypeError):
        return None


async def _read(connection: web.WebSocketResponse, link: Link, member: Member) -> None:
    async for message in connection:
        if message.type is not aiohttp.WSMsgType.BINARY:
            return
        try:
            member.on_frame(link, _decode_frame(message.data))
        except (msgspec.DecodeError, BrokenProtocol) as error:
            # What it had is in doubt once its fence has come.
            await connection.close(code=BROKEN_CODE, message=printable(str(error)).encode()[:100])
            return


async def _write(connection: web.WebSocketResponse, link: Link, member: Member) -> None:
    while True:
        await link.news()
        while (frame := member.frame(link)) is not None:
            await connection.send_bytes(_encode(frame))
        if link.closing:
            await connection.close(code=DISMISSED_CODE)
            return


def _is_private(request: web.Request) -> bool:
    """Whether nobody can listen on the way to an agent: TLS, or this machine."""
    if request.secure:
        return True
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    try:
        return ipaddress.ip_address(peer[0]).is_loopback if peer else False
    except ValueError:
        return False


def _shown(host: str) -> str:
    """Return how agents elsewhere call an address to listen at."""
    try:
        if ipaddress.ip_address(host).is_unspecified:
            return socket.gethostname()
    except ValueError:
        return host
    return f"[{host}]" if ":" in host else host


def tls_context(certificate: str, key: str | None) -> ssl.SSLContext:
    """Return the context of a server with a certificate. Raises UsageError where it cannot be used."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = (
            error.strerror if isinstance(error, OSError) else None
        ) or "it is not a PEM file of that kind"
        raise UsageError(
            f"cannot use the agents' certificate {printable(certificate)}: {reason}",
            hint="--agent-certificate takes a PEM file with a certificate and its key, without a password",
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("its key needs a password")
