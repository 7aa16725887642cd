"""A Files API that misbehaves by script: one listener, one store and one journal for each kind of fault.

All of them are served from one background thread with an event loop of its own, so that a client that is stuck
never keeps its server from going on, and the reverse.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.hazards.fault_dialects import FLOW_DIALECT, Dialect, iso
from tests.hazards.fault_wire import Exchange, Upload, answer, request_head

VICTIM_BODY_BYTES_MIN = 900
"""Faults strike bodies of at least this length. A client that waits for `100 Continue` has not told the file's name
yet, so that only the length can tell victims from bystanders."""

RECEIVE_BUFFER_BYTES = 64 * 1024

ALWAYS = None
"""For `strikes`: until faults end."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file that the server has. `mine` is False for files that strangers put there."""

    file_id: str
    filename: str | None
    bytes: int
    purpose: str | None
    sha256: str
    created_at: str | None
    visible_at: float = 0.0
    mine: bool = True
    dialect: Dialect = FLOW_DIALECT

    def response(self, **changes: Any) -> dict[str, Any]:
        """Return the FileResponse."""
        values = {
            "id": self.file_id,
            "created_at": self.created_at,
            "filename": self.filename,
            "bytes": self.bytes,
            "purpose": self.purpose,
        }
        return self.dialect.response(values) | changes


@dataclass(eq=False)
class Call:
    """One request that was no upload."""

    method: str
    target: str
    after_uploads: int
    is_list: bool = False
    headers: list[tuple[str, str]] = field(default_factory=list)


class FaultServer:
    """One listener with a script.

    Args:
        play: what happens to an upload that is struck.
        strikes: how many uploads are struck; None is all of them.
        everyone: uploads of any length are struck.
        answer_call: what happens to a list, look-up or deletion while faults go on; returns None for the usual answer.
        list_lag_s: how long a stored file stays out of the list.
        refuses_s: for so long connections are refused.
    """

    def __init__(
        self,
        name: str,
        *,
        play: Callable[[FaultServer, Exchange], Awaitable[None]] | None = None,
        strikes: int | None = 1,
        everyone: bool = False,
        answer_call: Callable[[FaultServer, Exchange, Call], Awaitable[bytes | None]] | None = None,
        list_lag_s: float = 0.0,
        refuses_s: float = 0.0,
    ) -> None:
        self.name = name
        self.uploads: list[Upload] = []
        self.calls: list[Call] = []
        self.stored: dict[str, Stored] = {}
        self.connection_count = 0
        self.failures: list[str] = []
        self.contents: dict[str, Path] = {}
        """Where a content lies, by its hash: uploads are only hashed."""
        self.quiet = False
        self.elsewhere = ""
        self.dialect = FLOW_DIALECT
        self.shown: dict[str, int] = {}
        """The place in the list that each file was last shown at, by its id."""
        self.list_lag_s = list_lag_s
        self.refuses_s = refuses_s
        self._play = play
        self._strikes = strikes
        self._everyone = everyone
        self._answer_call = answer_call
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Bound but not listening, a port refuses connections and nobody else can take it.
        self._listener.bind(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def serve(self) -> None:
        """Take connections until cancelled."""
        await asyncio.sleep(self.refuses_s)
        self._listener.listen(128)
        loop = asyncio.get_running_loop()
        try:
            while True:
                connection, _ = await loop.sock_accept(self._listener)
                self.connection_count += 1
                task = loop.create_task(self._converse(connection, self.connection_count))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            self._released.set()
            self._listener.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def store(self, upload: Upload, **changes: Any) -> Stored:
        """Keep what an upload brought, whole only, and return it."""
        assert upload.complete, "only a whole form makes a file"
        assert upload.sha256 is not None
        assert upload.file_bytes is not None
        file = Stored(
            file_id=f"file-{self.name}-{len(self.stored) + 1}",
            filename=upload.filename,
            bytes=upload.file_bytes,
            purpose=upload.purpose,
            sha256=upload.sha256,
            created_at=now_text(),
            visible_at=time.monotonic() + (0 if self.quiet else self.list_lag_s),
            dialect=self.dialect,
        )
        file = replace(file, **changes)
        upload.stored_id = file.file_id
        self.stored[file.file_id] = file
        return file

    def add_strangers(self, count: int, **changes: Any) -> None:
        """Let others put files at the server."""
        for _ in range(count):
            file = Stored(
                file_id=f"file-stranger-{len(self.stored) + 1}",
                filename="strange.jsonl",
                bytes=5,
                purpose=self.dialect.purpose,
                sha256="-",
                created_at=now_text(),
                mine=False,
                dialect=self.dialect,
            )
            file = replace(file, **changes)
            self.stored[file.file_id] = file

    def listed(self) -> list[Stored]:
        """Return what a list shows now, newest first."""
        return list(self._visible())

    def _visible(self) -> Iterator[Stored]:
        now = time.monotonic()
        return (file for file in reversed(self.stored.values()) if file.visible_at <= now)

    def page(self, files: list[Any], *, limit: int, offset: int) -> bytes:
        """Return the answer with a page of the list."""
        for place, file in enumerate(files, offset):
            if isinstance(file, dict) and isinstance(file.get("id"), str):
                self.shown[file["id"]] = place
        return answer(200, self.dialect.page(files, limit=limit, offset=offset))

    async def accept(self, exchange: Exchange) -> None:
        """Do what a sound server does with an upload."""
        await exchange.read_form()
        await exchange.send(answer(200, self.store(exchange.upload).response()))

    async def _converse(self, connection: socket.socket, number: int) -> None:
        surplus = bytearray()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while head := await request_head(connection, surplus):
                exchange = Exchange(_upload_of(head, number), connection, surplus, self._released)
                await self._exchange(exchange)
                if exchange.closed:
                    return
        except (OSError, asyncio.CancelledError):
            pass
        except Exception as error:
            # A server that is wrong itself must fail its test and not pass for a fault.
            self.failures.append(repr(error))
        finally:
            connection.close()

    async def _exchange(self, exchange: Exchange) -> None:
        upload = exchange.upload
        dialect = self.dialect
        if (upload.method, urlsplit(upload.target).path) != (dialect.profile.method, dialect.upload_path):
            is_list = dialect.is_list(upload.method, upload.target)
            call = Call(upload.method, upload.target, len(self.uploads), is_list, upload.headers)
            self.calls.append(call)
            raw = None
            if self._answer_call is not None and not self.quiet:
                raw = await self._answer_call(self, exchange, call)
            if not exchange.closed:
                await exchange.send(self._usual_answer(call) if raw is None else raw)
            return
        self.uploads.append(upload)
        if self._play is not None and self._is_struck(upload):
            upload.struck = True
            await self._play(self, exchange)
        else:
            await self.accept(exchange)

    def _is_struck(self, upload: Upload) -> bool:
        if self.quiet or not (self._everyone or upload.content_length >= VICTIM_BODY_BYTES_MIN):
            return False
        return self._strikes is None or sum(one.struck for one in self.uploads) < self._strikes

    def _usual_answer(self, call: Call) -> bytes:
        path = urlsplit(call.target).path
        if call.is_list:
            limit, offset = self.dialect.place(call.target, self.shown)
            page = [one.response() for one in islice(self._visible(), offset, offset + limit)]
            return self.page(page, limit=limit, offset=offset)
        file_id, _, rest = path.removeprefix(f"{self.dialect.profile.files_path}/").partition("/")
        file = self.stored.get(file_id)
        if file is None or (rest and file.sha256 not in self.contents):
            return answer(404, {"detail": "no such file"})
        if rest:
            return answer(200, self.contents[file.sha256].read_bytes())
        if call.method == "DELETE":
            del self.stored[file_id]
            return answer(200, {"id": file_id, "object": "file", "deleted": True})
        return answer(200, file.response())


class Elsewhere:
    """Another host: whoever connects to it followed a redirect."""

    def __init__(self) -> None:
        self.connection_count = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def serve(self) -> None:
        """Count connections until cancelled."""
        with self._listener:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                self.connection_count += 1
                connection.close()


@contextmanager
def serving(*servers: FaultServer) -> Iterator[Elsewhere]:
    """Serve all of them from one thread; yields the host that redirects point to."""
    elsewhere = Elsewhere()
    for server in servers:
        server.elsewhere = elsewhere.url
    loop = asyncio.new_event_loop()

    async def serve_all() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(elsewhere.serve())
            for server in servers:
                tasks.create_task(server.serve())

    main = loop.create_task(serve_all())
    thread = threading.Thread(target=_run, args=(loop, main), name="fault-servers", daemon=True)
    thread.start()
    try:
        yield elsewhere
    finally:
        loop.call_soon_threadsafe(main.cancel)
        thread.join(20)
        assert not thread.is_alive(), "the servers do not end"


def _run(loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(main)
    loop.close()


def now_text() -> str:
    """Return the time as a server writes it."""
    return iso(datetime.now(UTC))


def _upload_of(head: bytes, connection: int) -> Upload:
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ", 2)
    headers = [(name, value) for name, _, value in (one.partition(": ") for one in lines)]
    return Upload(connection, method, target, headers)
