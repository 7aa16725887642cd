"""Serves one page about a run to browsers: who has the token gets the run's state again and again."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import secrets
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiohttp.typedefs import Handler

WATCHERS_MAX = 64
SILENT_S = 15.0
"""A comment is sent at least this often, so that a browser that is gone is noticed."""

# A scanner of ports, or a request that is none, is nothing that the person at the terminal should see.
_log = logging.getLogger("bulk_upload.live_page")
_log.addHandler(logging.NullHandler())

_BODY_BYTES_MAX = 4096
_JSON = "application/json"


class Refused(Exception):
    """A change that was not made; its text says why, for the person who asked."""


class LiveServer:
    """One page, its events, and changes if `act` is given.

    The page itself holds nothing about the run, so anyone may get it. It takes the token from the address's fragment,
    which browsers send to nobody, and exchanges it for a cookie that no script can read. Requests for another host
    are refused: a name that somebody else's DNS points to this machine is no way in.

    Args:
        page: the HTML.
        policy: its content security policy.
        act: makes a change and returns what was changed, in words; raises `Refused`.
    """

    def __init__(
        self,
        page: bytes,
        policy: str,
        *,
        act: Callable[[dict[str, object]], Awaitable[list[str]]] | None = None,
    ) -> None:
        self.token = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        self._page = page
        self._policy = policy
        self._act = act
        self._hosts: frozenset[str] = frozenset()
        self._any_address = False
        self._cookie = "bulk-upload"
        self._latest = b""
        self._watchers: set[asyncio.Queue[bytes]] = set()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[str]:
        """Serve while the block runs, and yield the address with the token. Raises OSError."""
        app = web.Application(middlewares=[self._guard], client_max_size=_BODY_BYTES_MAX)
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.post("/session", self._post_session),
                web.get("/events", self._get_events),
                web.post("/control", self._post_control),
            ]
        )
        runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=1.0, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound = runner.addresses[0][1]
            self._cookie = f"bulk-upload-{bound}"
            self._any_address = ipaddress.ip_address(host).is_unspecified
            self._hosts = _hosts(host, bound)
            shown = socket.gethostname() if self._any_address else host
            shown = f"[{shown}]" if ":" in shown else shown
            yield f"http://{shown}:{bound}/#{self.token}"
        finally:
            for one in self._watchers:
                _put(one, b"")
            await runner.cleanup()

    def publish(self, state: bytes) -> None:
        """Send the state, one line of JSON, to all who watch; who is slow gets the latest only."""
        self._latest = b"data: " + state.strip() + b"\n\n"
        for one in self._watchers:
            _put(one, self._latest)

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self._is_ours(request.host):
            raise web.HTTPMisdirectedRequest(text="This page is not served under that name.\n")
        response = await handler(request)
        if not response.prepared:
            response.headers.update(self._headers())
        return response

    def _is_ours(self, host: str) -> bool:
        if host.lower() in self._hosts:
            return True
        if not self._any_address:
            return False
        # An address cannot be pointed elsewhere, as a name can.
        with suppress(ValueError):
            ipaddress.ip_address(host.rpartition(":")[0].strip("[]"))
            return True
        return False

    def _headers(self) -> dict[str, str]:
        return {
            "Content-Security-Policy": self._policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def _get_page(self, _: web.Request) -> web.Response:
        return web.Response(body=self._page, content_type="text/html", charset="utf-8")

    async def _post_session(self, request: web.Request) -> web.Response:
        self._require_same_origin(request)
        token = (await _object(request)).get("token")
        if not isinstance(token, str) or not _is_same(token, self.token):
            raise web.HTTPForbidden(text="The token is wrong: use the address that the command printed.\n")
        response = web.Response(status=204)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="Strict", path="/")
        return response

    async def _get_events(self, request: web.Request) -> web.StreamResponse:
        self._require_session(request)
        if len(self._watchers) >= WATCHERS_MAX:
            raise web.HTTPServiceUnavailable(text="Too many watch already.\n")
        response = web.StreamResponse(headers={**self._headers(), "Content-Type": "text/event-stream"})
        queue: asyncio.Queue[bytes] = asyncio.Queue(1)
        if self._latest:
            _put(queue, self._latest)
        self._watchers.add(queue)
        try:
            await response.prepare(request)
            while True:
                try:
                    async with asyncio.timeout(SILENT_S):
                        event = await queue.get()
                except TimeoutError:
                    event = b": still here\n\n"
                if not event:
                    break
                await response.write(event)
        except ConnectionError:
            pass
        finally:
            self._watchers.discard(queue)
        return response

    async def _post_control(self, request: web.Request) -> web.Response:
        self._require_session(request)
        self._require_same_origin(request)
        if self._act is None:
            raise web.HTTPForbidden(
                text="This page only watches; start it with --control to change the run.\n"
            )
        try:
            changes = await self._act(await _object(request))
        except Refused as error:
            # No HTTP error: a browser would report a mistyped value on its console.
            return web.json_response({"changes": [], "refused": str(error)})
        return web.json_response({"changes": changes})

    def _require_session(self, request: web.Request) -> None:
        given = request.cookies.get(self._cookie, "")
        if not _is_same(given, self._session):
            raise web.HTTPForbidden(text="Open the address that the command printed.\n")

    def _require_same_origin(self, request: web.Request) -> None:
        """Refuse what another page's form or script sends."""
        origin = request.headers.get("Origin")
        if request.content_type != _JSON or (origin is not None and origin != f"http://{request.host}"):
            raise web.HTTPForbidden(text="Another page may not send this.\n")


def _is_same(given: str, secret: str) -> bool:
    """Whether two texts are the same, in a time that tells nothing; what was given may be no text at all."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def _put(queue: asyncio.Queue[bytes], event: bytes) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(event)


async def _object(request: web.Request) -> dict[str, object]:
    try:
        found = json.loads(await request.read())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise web.HTTPBadRequest(text="One JSON object is expected.\n")
    return found


def _hosts(host: str, port: int) -> frozenset[str]:
    address = ipaddress.ip_address(host)
    names = {f"[{host}]" if address.version == 6 else host}
    if address.is_loopback or address.is_unspecified:
        names |= {"localhost", "127.0.0.1", "[::1]"}
    if not address.is_loopback:
        names |= {socket.gethostname().lower(), socket.getfqdn().lower()}
    return frozenset(f"{one}:{port}" for one in names) | (frozenset(names) if port == 80 else frozenset())
