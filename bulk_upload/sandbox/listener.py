"""Serving an application on loopback: inside the running event loop, or from a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
import weakref
from typing import TYPE_CHECKING, Generic, TypeVar

from aiohttp import web

from bulk_upload.errors import UsageError
from bulk_upload.sandbox.accepting import close_server, turns
from bulk_upload.sandbox.wire import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractAsyncContextManager

SHUTDOWN_S = 0.2
"""Requests still open at the end get this long; a stalled one would hold the end up for minutes."""

LOOPBACK = ("127.0.0.1", "::1")

Server = TypeVar("Server")


def check_address(host: str, port: int) -> None:
    """Raise UsageError for a host that is not loopback, or a port that cannot be."""
    if host not in LOOPBACK:
        raise UsageError(f"the sandbox serves this machine only, not {host!r}", hint="use 127.0.0.1 or ::1")
    if not 0 <= port <= 65535:
        raise UsageError(f"{port} is not a port", hint="use 1 to 65535, or 0 for a free one")


class Listener:
    """The socket of one application, whose connections are numbered and watched.

    Attributes:
        port: the port that is served, once started.
    """

    def __init__(
        self, *, host: str, port: int, on_surplus: Callable[[Connection, bytes], None] | None = None
    ) -> None:
        self.port = port
        self._host = host
        self._on_surplus = on_surplus
        self._connection_count = 0
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._server: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """The base URL, without a path and without a slash at its end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def start(self, app: web.Application, *, linger_s: float = 10.0) -> None:
        """Serve an application.

        Raises:
            UsageError: the port is taken.
        """
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=SHUTDOWN_S, lingering_time=linger_s
        )
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connected, self._host, self.port
            )
        except OSError as error:
            await self.stop()
            raise self._not_bound(error) from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take no more connections, and break off what is still served."""
        if self._server is not None:
            await close_server(self._server)
            self._server = None
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        # A client that does not read would keep its connection open until the last answer has left.
        for connection in self._connections:
            connection.abort()
        await turns(1)

    def _connected(self) -> Connection:
        if self._runner is None or self._runner.server is None:
            raise RuntimeError("the sandbox is not running")
        self._connection_count += 1
        connection = Connection(
            self._runner.server(), number=self._connection_count, on_surplus=self._on_surplus or _ignored
        )
        self._connections.add(connection)
        return connection

    def _not_bound(self, error: OSError) -> UsageError:
        place = f"port {self.port} on {self._host}"
        if error.errno == errno.EADDRINUSE:
            return UsageError(
                f"{place} is in use",
                hint="stop the program that has it, or take another port (0 finds a free one)",
            )
        return UsageError(
            f"{place} cannot be served: {error.strerror}", hint="take another port (0 finds a free one)"
        )


@contextlib.contextmanager
def served_in_thread(make: Callable[[], AbstractAsyncContextManager[Server]]) -> Iterator[Server]:
    """Serve from a background thread with an event loop of its own.

    Raises:
        UsageError: what `make` or entering its result raises.
    """
    served = _Served(make)
    thread = threading.Thread(target=served.run, name="bulk-upload-sandbox", daemon=True)
    thread.start()
    served.ready.wait()
    try:
        if served.server is None:
            raise served.error if served.error is not None else RuntimeError("the sandbox did not start")
        yield served.server
    finally:
        served.stop()
        thread.join()


class _Served(Generic[Server]):
    """The thread's side of `served_in_thread`."""

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[Server]]) -> None:
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self.ready = threading.Event()
        self.server: Server | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits for it
            self.error = error
        finally:
            self.ready.set()

    def stop(self) -> None:
        if self._loop is not None and self._over is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._over.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        async with self._make() as server:
            self.server = server
            self.ready.set()
            await self._over.wait()


def _ignored(_connection: Connection, _surplus: bytes) -> None:
    """Bytes outside of requests, where nobody keeps a record of them."""
