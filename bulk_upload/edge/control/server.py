"""The run's side: accepts one request per connection, and no client can block it."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
import socket
import stat
from contextlib import asynccontextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

from bulk_upload.core.run.control import MESSAGE_BYTES_MAX, ControlAnswer, decode_request, encode
from bulk_upload.edge.control.place import ROOT, peer_uid, short_address, socket_path
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bulk_upload.core.run.control import ControlRequest

CONNECTIONS_MAX = 8
ACCEPT_AGAIN_S = 1.0
READ_S = 5.0
"""How long a client may take to send its line, and to read the answer."""


@asynccontextmanager
async def listening(
    ledger_path: str,
    answer: Callable[[ControlRequest, str], Awaitable[ControlAnswer]],
    *,
    on_trouble: Callable[[str], None],
    on_error: Callable[[BaseException], None],
) -> AsyncIterator[None]:
    """Serve requests to the run of a ledger while the block runs. The caller holds the run lock.

    `answer` gets each request and the user who sent it, as `name (uid N)`. A socket that cannot be made does not end
    the run: `on_trouble` is called with the reason. `on_error` is called with what a connection raised, which is a
    bug.
    """
    path = socket_path(ledger_path)
    try:
        made = _bind(path)
    except OSError as error:
        on_trouble(f"`bulk-upload control` cannot reach this run: {error.strerror or error}: {path}")
        yield
        return
    identity = _identity(path)
    listener = _Listener(made, answer, on_error)
    try:
        yield
    finally:
        await listener.close()
        with suppress(OSError):
            # Another file of that name must not be removed.
            if identity is not None and _identity(path) == identity:
                os.unlink(path)


class _Listener:
    """Accepts connections and serves each in a task of its own; `close` ends all of them."""

    def __init__(
        self,
        made: socket.socket,
        answer: Callable[[ControlRequest, str], Awaitable[ControlAnswer]],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._socket = made
        self._answer = answer
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._serving: set[asyncio.Task[None]] = set()
        self._places: set[socket.socket] = set()
        self._again: asyncio.TimerHandle | None = None
        self._watch()

    async def close(self) -> None:
        """Drop every connection and wait until that is done."""
        self._loop.remove_reader(self._socket)
        if self._again is not None:
            self._again.cancel()
        self._socket.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    def _watch(self) -> None:
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        # Not `sock_accept`: when cancelled, it may drop a connection it has accepted already.
        try:
            connection, _ = self._socket.accept()
        except BlockingIOError:
            return
        except OSError:
            # For example no descriptor left: that is temporary, and must not end the run.
            self._loop.remove_reader(self._socket)
            self._again = self._loop.call_later(ACCEPT_AGAIN_S, self._watch)
            return
        if len(self._places) >= CONNECTIONS_MAX:
            connection.close()
            return
        self._places.add(connection)
        connection.setblocking(False)
        task = self._loop.create_task(self._serve(connection))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        # Also of a task that is cancelled before its first step.
        task.add_done_callback(lambda _: self._leave(connection))
        task.add_done_callback(self._note_error)

    def _note_error(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(error)

    def _leave(self, connection: socket.socket) -> None:
        self._places.discard(connection)
        connection.close()

    async def _serve(self, connection: socket.socket) -> None:
        # A client that misbehaves or disconnects is not an error of the run.
        with suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MESSAGE_BYTES_MAX)
            try:
                await self._exchange(peer_uid(connection), reader, writer)
            finally:
                # First: a client that sees the connection end must find its place free.
                self._places.discard(connection)
                if writer.transport.get_write_buffer_size():
                    # The client does not read its answer.
                    writer.transport.abort()
                writer.close()
                await writer.wait_closed()

    async def _exchange(self, uid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Always read: closing a socket with unread data would discard the answer.
        async with asyncio.timeout(READ_S):
            asked = await _asked(reader, uid)
        answer = asked if isinstance(asked, ControlAnswer) else await self._answer(asked, _who(uid))
        writer.write(encode(answer))
        async with asyncio.timeout(READ_S):
            await writer.drain()


async def _asked(reader: asyncio.StreamReader, uid: int) -> ControlRequest | ControlAnswer:
    """Return the request, or the answer to an invalid one or to one from another user."""
    try:
        request = decode_request(await reader.readline())
    except ValueError as error:
        return _refusal(
            f"not a request: {error}", "use `bulk-upload control` of the version that runs the job"
        )
    if uid in (os.geteuid(), ROOT):
        return request
    return _refusal("this run is another user's", "only the user who started it, and root, may control it")


def _refusal(why: str, hint: str) -> ControlAnswer:
    return ControlAnswer(error=why, hint=hint, exit_code=ExitStatus.USAGE)


def _bind(path: str) -> socket.socket:
    """Return a socket that listens at `path` and only its owner may use. Raises OSError."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "another file has the name of the control socket", path)
        # Left by a killed run: the run lock proves that no process listens there.
        os.unlink(path)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(OSError):
            # Linux makes the file with this mode; elsewhere chmod follows, and the peer's user is checked anyway.
            os.fchmod(made.fileno(), 0o600)
        with short_address(path) as address:
            made.bind(address)
        os.chmod(path, 0o600)
        made.listen(CONNECTIONS_MAX)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made


@cache
def _who(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
