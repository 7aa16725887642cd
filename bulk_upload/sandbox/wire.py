"""What stands on a connection outside of requests: bytes that leaked past the end of a body.

A client whose file grows while it is sent writes past its Content-Length. The server then reads the surplus as the
next request, and the next upload on that connection gets a foreign answer (RFC 9112, section 6.3, ends a body at its
declared length). The watch sees the raw bytes before the HTTP parser does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from contextvars import ContextVar
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD_BYTES_MAX = 65_536

_REQUEST_LINE = re.compile(rb"[A-Z]{3,7} [^ \r\n]+ HTTP/1\.[01]")
_METHODS = (b"GET ", b"PUT ", b"POST ", b"DELETE ", b"HEAD ", b"PATCH ", b"OPTIONS ")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked[ \t]*\r\n", re.IGNORECASE)
_HOST = re.compile(rb"\r\nhost:", re.IGNORECASE)


class WireWatch:
    """Follows the framing of one connection and returns the bytes that belong to no request.

    After the first such bytes the connection cannot be followed any more, and the watch stays silent.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._body_left = 0
        self._answered = False
        self._step: Callable[[], bytes | None] = self._head

    def feed(self, data: bytes) -> bytes:
        """Take the next raw bytes; return the surplus, empty when all is well."""
        self._buffer += data
        while self._buffer:
            surplus = self._step()
            if surplus is None:
                return b""
            if surplus:
                return self._lose(surplus)
        return b""

    def answered(self) -> None:
        """State that the answer to the current request is leaving: a new request may follow its body."""
        self._answered = True

    def close(self) -> bytes:
        """State that the connection is gone; return what stands of a request head that never came to its end."""
        return self._lose(self._buffer) if self._step == self._head and self._buffer else b""

    def _lose(self, surplus: bytes) -> bytes:
        self._step = self._deaf
        self._buffer = b""
        return surplus

    # Each step consumes the front of the buffer and returns b"", asks for more bytes with None, or returns the
    # surplus.

    def _head(self) -> bytes | None:
        start = self._buffer[:8]
        if not any(start.startswith(method[: len(start)]) for method in _METHODS):
            return self._buffer
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return self._buffer if len(self._buffer) > HEAD_BYTES_MAX else None
        head = self._buffer[: end + 4]
        if not _REQUEST_LINE.match(head) or not _HOST.search(head):
            return self._buffer
        self._buffer = self._buffer[end + 4 :]
        self._answered = False
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            self._step = self._chunk_size
        else:
            self._body_left = int(length[1]) if length is not None else 0
            self._step = self._body if self._body_left else self._after
        return b""

    def _body(self) -> bytes | None:
        taken = min(self._body_left, len(self._buffer))
        self._body_left -= taken
        self._buffer = self._buffer[taken:]
        if not self._body_left:
            self._step = self._after
        return b""

    def _chunk_size(self) -> bytes | None:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return self._buffer if len(line) > HEAD_BYTES_MAX else None
        try:
            size = int(line.partition(b";")[0], 16)
        except ValueError:
            return self._buffer
        self._buffer = rest
        if size:
            self._body_left = size + 2
            self._step = self._chunk
        else:
            self._step = self._trailers
        return b""

    def _chunk(self) -> bytes | None:
        self._body()
        if not self._body_left:
            self._step = self._chunk_size
        return b""

    def _trailers(self) -> bytes | None:
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return self._buffer if len(line) > HEAD_BYTES_MAX else None
        self._buffer = rest
        if not line:
            self._step = self._after
        return b""

    def _after(self) -> bytes | None:
        if not self._answered:
            return self._buffer
        self._step = self._head
        return b""

    def _deaf(self) -> bytes | None:
        self._buffer = b""
        return None


class Connection(asyncio.Protocol):
    """Stands between the socket and aiohttp's request handler: numbers the connection and watches its bytes.

    Attributes:
        number: counts accepted connections from 1.
        lost: set once the peer is gone.
        watch: the framing of this connection.
    """

    def __init__(
        self, inner: asyncio.Protocol, *, number: int, on_surplus: Callable[[Connection, bytes], None]
    ) -> None:
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._on_surplus = on_surplus
        self.number = number
        self.lost = asyncio.Event()
        self.watch = WireWatch()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on, from a context in which `current_connection` is this one: the handler's task copies it."""
        current_connection.set(self)
        # Not asked for its class: uvloop's transports are none of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._inner.connection_made(transport)

    def send(self, data: bytes) -> None:
        """Write bytes past aiohttp: an interim answer, or one that is no HTTP."""
        if self._transport is not None:
            self._transport.write(data)

    async def wait_lost(self, delay_s: float) -> None:
        """Wait, but not for a client that is gone."""
        if delay_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self.lost.wait()

    def close(self) -> None:
        """Close the connection once everything written has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once; what has not left is lost."""
        if self._transport is not None:
            self._transport.abort()

    def reset(self) -> None:
        """Close the connection by a reset: the client may even lose what was sent to it before."""
        if self._transport is None:
            return
        raw_socket = self._transport.get_extra_info("socket")
        if raw_socket is not None:
            # On, with zero seconds: closing then sends RST (socket(7), SO_LINGER).
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Watch, then hand on: surplus by itself, so that the parser's complaint does not undo a sound request."""
        surplus = self.watch.feed(data)
        if not surplus:
            self._inner.data_received(data)
            return
        self._on_surplus(self, surplus)
        sound_bytes = max(0, len(data) - len(surplus))
        if sound_bytes:
            self._inner.data_received(data[:sound_bytes])
        self._inner.data_received(data[sound_bytes:])

    def eof_received(self) -> bool | None:
        """Hand on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Hand on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Watch, then hand on."""
        surplus = self.watch.close()
        if surplus:
            self._on_surplus(self, surplus)
        self.lost.set()
        self._inner.connection_lost(exc)


current_connection: ContextVar[Connection] = ContextVar("current_connection")
"""The connection on which the current request arrived."""
