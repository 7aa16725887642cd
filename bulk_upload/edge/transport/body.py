"""The request body: one payload for the whole form, or the file alone, with a known size, sent at most once."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import struct
import sys
import termios
from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from aiohttp.payload import Payload

from bulk_upload.core.run.source import LoadedFile, PassingStream, SourceError
from bulk_upload.edge.transport.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aiohttp.abc import AbstractStreamWriter

    from bulk_upload.core.api.multipart import Frame
    from bulk_upload.core.api.pace import Fence, Pace
    from bulk_upload.core.model import Fingerprint
    from bulk_upload.core.run.source import FileStream, Source


_SO_NWRITE = 0x1024
"""Option for the bytes in a socket's send buffer on macOS; Python has no name for it."""


WRITE_BYTES_MIN = 256 * 1024
"""A block is given to a connection in two halves, over TLS in pieces of this size: asyncio copies what the system
does not take of a piece, and TLS all of it, twice. Smaller pieces take more rounds through the event loop, a whole
block costs more than it saves (measured with 2 and 16 files in flight)."""

_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for 0 s: a close drops what the system holds and resets the connection (socket(7)). A plain close delivers
it: of a body of 6 MiB that was handed over in full, all of it arrived up to 3.8 s after the close."""

_WAIT_S_MIN = 0.001
"""Less is the cost of the call, not a wait."""


class FormBody(Payload):
    """A form of a known size, sent at most once.

    aiohttp considers PUT idempotent and repeats a request whose connection broke, unless the payload
    says `consumed`; this one always says so. Its size is known, so the request carries a Content-Length, and it
    never writes more or less than that.

    Attributes:
        handed_bytes: bytes given to the connection so far.
        complete: whether the last byte was handed over; False proves that the server has nothing of the form.
        reading: whether the next block is being read from disk.
        held: whether the next piece waits for our own bandwidth cap; `held_s` is how long pieces waited so far.
        failure: why a file could not be sent.
    """

    def __init__(
        self,
        body_bytes: int,
        *,
        content_type: str,
        on_handed: Callable[[int], None],
        pace: Pace | None = None,
        fence: Fence | None = None,
    ) -> None:
        super().__init__(None, content_type=content_type)
        self._on_handed = on_handed
        self._pace = pace
        self._fence = fence
        self._size = self._body_bytes = body_bytes
        self._transport: asyncio.WriteTransport | None = None
        self._outlet: Outlet | None = None
        self._passed_bytes = 0
        self._left_bytes = 0
        self.handed_bytes = 0
        self.complete = False
        self.reading = False
        self.held = False
        self.held_s = 0.0
        self.failure: SourceError | None = None

    @property
    def consumed(self) -> bool:
        """Always True: aiohttp must never write this body a second time."""
        return True

    @property
    def left_bytes(self) -> int:
        """Bytes that the operating system has: handed over and no longer in our own buffer."""
        transport = self._transport
        # A broken connection has dropped its buffer: use the last value seen.
        if transport is not None and not transport.is_closing():
            self._left_bytes = max(self._left_bytes, self.handed_bytes - transport.get_write_buffer_size())
        return self._left_bytes

    @property
    def position(self) -> tuple[int, int]:
        """Numbers that change while bytes move: bytes sent, and bytes the operating system has yet to deliver.

        The second number is for TLS and slow lines: asyncio then counts the outermost of its buffers only, and
        shows no step for as long as a whole block takes.
        """
        left_bytes = self.left_bytes
        transport = self._transport
        return left_bytes, 0 if transport is None else _undelivered_bytes(transport)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002
        """Write the form. Raises SourceError with the body incomplete."""
        self._transport = writer.transport
        try:
            if not self._body_bytes:
                # The head alone is all of it.
                if not self._may_write(writer):
                    raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
                self.complete = True
            await self._write_form(writer)
        except SourceError as error:
            self.failure = error
            self.abandon()
            raise

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the form; older callers of the payload interface use this name."""
        await self.write_with_length(writer, None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> NoReturn:  # noqa: ARG002
        """Refuse: the body exists only while it is sent."""
        raise TypeError("an upload body is never held in memory")

    def settle(self) -> None:
        """Forget the connection after a complete exchange: it may serve another request by now."""
        self._left_bytes = self.handed_bytes
        self._transport = None

    def abandon(self, *, reset: bool = False) -> None:
        """Drop the connection at once, with everything in its buffer, and with `reset` what the system holds, too.

        A mere close would keep the descriptor and the buffer until the server has read all of it.
        """
        self._close_outlet()
        self._left_bytes = self.left_bytes
        transport, self._transport = self._transport, None
        if transport is not None:
            if reset:
                _reset_at_close(transport)
            transport.abort()

    def _open_outlet(self, transport: asyncio.WriteTransport) -> Outlet | None:
        """Return a way for a thread to write the next bytes; None where only the event loop can."""
        # The first bytes go out with the head. Under a bandwidth cap every piece is asked for.
        is_paced = self._pace is not None and self._pace.piece_bytes is not None
        if is_paced or not self.handed_bytes or transport.get_write_buffer_size():
            return None
        if self._outlet is None:
            self._outlet = Outlet.of(transport, self._fence)
        return self._outlet

    def _note_passed(self) -> None:
        """Count what a thread wrote."""
        if self._outlet is not None and (count := self._outlet.sent_bytes - self._passed_bytes):
            self._passed_bytes += count
            self.handed_bytes += count
            self._on_handed(count)

    def _close_outlet(self) -> None:
        if self._outlet is not None:
            self._outlet.close()
            self._note_passed()
            self._outlet = None

    @abstractmethod
    async def _write_form(self, writer: AbstractStreamWriter) -> None:
        """Hand all of the form over. Raises SourceError where a file cannot be read as it was planned."""

    async def _hand_over(self, writer: AbstractStreamWriter, data: bytes) -> None:
        """Write data in pieces, smaller ones as the bandwidth cap allows; the cap may come and go meanwhile."""
        if 0 < len(data) <= WRITE_BYTES_MIN and (self._pace is None or self._pace.piece_bytes is None):
            await self._write(writer, data)
            return
        rest = memoryview(data)
        write_bytes = WRITE_BYTES_MIN if _is_tls(writer) else max(WRITE_BYTES_MIN, -(-len(data) // 2))
        while rest:
            piece_bytes = write_bytes
            paced_bytes = None if self._pace is None else self._pace.piece_bytes
            if self._pace is not None and paced_bytes is not None:
                piece_bytes = min(piece_bytes, paced_bytes)
                await self._wait_for(self._pace, min(piece_bytes, len(rest)))
            piece, rest = rest[:piece_bytes], rest[piece_bytes:]
            await self._write(writer, piece)

    async def _wait_for(self, pace: Pace, count: int) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        self.held = True
        try:
            await pace.pass_bytes(count)
        finally:
            self.held = False
            waited_s = loop.time() - began
            # A cap that lets a piece pass at once held nothing back: the body's rate is then meaningful.
            if waited_s >= _WAIT_S_MIN:
                self.held_s += waited_s

    async def _write(self, writer: AbstractStreamWriter, data: bytes | memoryview) -> None:
        self._require_open(writer)
        # Marked before the write: "not complete" must be proof that the server cannot have the file.
        if self.handed_bytes + len(data) >= self._body_bytes:
            self.complete = True
        self.handed_bytes += len(data)
        self._on_handed(len(data))
        await writer.write(data)

    def _require_open(self, writer: AbstractStreamWriter) -> None:
        """Raise ConnectionResetError where nothing may be written any more."""
        if self._fence is not None and not self._fence.is_open():
            self.abandon(reset=True)
        if not self._may_write(writer):
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    def _may_write(self, writer: AbstractStreamWriter) -> bool:
        transport = writer.transport
        if transport is None or transport.is_closing():
            return False
        # An answer that is there before the first byte belongs to no request of ours: some servers say 408 to
        # an idle connection before they close it.
        protocol = getattr(writer, "protocol", None)
        return self.handed_bytes > 0 or protocol is None or not protocol.should_close


def _reset_at_close(transport: asyncio.WriteTransport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is None or transport.is_closing():
        return
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        # Not every event loop's own object for a socket takes options.
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)


class UploadBody(FormBody):
    """A form with one file, written straight from disk.

    A file that changed raises before the last block is handed over.
    """

    def __init__(
        self,
        frame: Frame,
        source: Source,
        *,
        content_type: str,
        on_handed: Callable[[int], None],
        pace: Pace | None = None,
        fence: Fence | None = None,
    ) -> None:
        body_bytes = frame.body_bytes(source.fingerprint.size)
        super().__init__(body_bytes, content_type=content_type, on_handed=on_handed, pace=pace, fence=fence)
        self._frame = frame
        self._source = source

    @property
    def fingerprint(self) -> Fingerprint:
        """Which version of the file the body is made of."""
        return self._source.fingerprint

    @property
    def content_hash(self) -> str | None:
        """The hash of the file, once all of it was read."""
        return self._source.content_hash if self.complete else None

    async def _write_form(self, writer: AbstractStreamWriter) -> None:
        if not isinstance(self._source, LoadedFile):
            await self._stream(writer, self._source)
        elif len(self._source.content) <= WRITE_BYTES_MIN:
            await self._hand_over(
                writer, b"".join((self._frame.prefix, self._source.content, self._frame.suffix))
            )
        else:
            await self._send_whole(writer, self._source.content)

    async def _send_whole(self, writer: AbstractStreamWriter, content: bytes) -> None:
        # Not joined: that would copy a whole block for a few bytes.
        await self._hand_over(writer, self._frame.prefix)
        await self._hand_over(writer, content)
        await self._hand_over(writer, self._frame.suffix)

    async def _stream(self, writer: AbstractStreamWriter, file: FileStream) -> None:
        # Written apart from the blocks: to join them would copy a whole block for a few bytes. The server cannot
        # have the file before the suffix, so a body without it is as incomplete as one without its last block.
        await self._hand_over(writer, self._frame.prefix)
        passing = file if isinstance(file, PassingStream) and not _is_tls(writer) else None
        missing = file.fingerprint.size
        while True:
            self.reading = True
            try:
                passed_bytes, block = await self._next(writer, file, passing)
            finally:
                self.reading = False
            missing -= passed_bytes + len(block)
            if missing < 0 or (missing and not (block or passed_bytes)):
                raise SourceError("the file changed while it was sent")
            if block:
                await self._hand_over(writer, block)
            if not missing:
                break
        # Before the last bytes: after them the connection may serve another request.
        self._close_outlet()
        await self._hand_over(writer, self._frame.suffix)

    async def _next(
        self, writer: AbstractStreamWriter, file: FileStream, passing: PassingStream | None
    ) -> tuple[int, bytes]:
        """Read on. Return how many bytes the reading thread wrote to the connection, and what is to be written here."""
        transport = writer.transport
        if passing is None or transport is None or not passing.gains_by_passing():
            return 0, await file.read()
        self._require_open(writer)
        outlet = self._open_outlet(transport)
        if outlet is None:
            return 0, await file.read()
        before = outlet.sent_bytes
        block = await passing.pass_on(outlet.send)
        self._note_passed()
        return outlet.sent_bytes - before, block


class BundleBody(FormBody):
    """A form with several small files, all in memory; `heads` go before each, `end` after the last."""

    def __init__(
        self,
        heads: Sequence[bytes],
        contents: Sequence[bytes],
        end: bytes,
        *,
        content_type: str,
        on_handed: Callable[[int], None],
        pace: Pace | None = None,
        fence: Fence | None = None,
    ) -> None:
        self._parts = [part for pair in zip(heads, contents, strict=True) for part in pair]
        self._parts.append(end)
        body_bytes = sum(map(len, self._parts))
        super().__init__(body_bytes, content_type=content_type, on_handed=on_handed, pace=pace, fence=fence)

    async def _write_form(self, writer: AbstractStreamWriter) -> None:
        # Joined up to a piece: a call for each small file would cost more than copying it.
        piece: list[bytes] = []
        piece_bytes = 0
        for part in self._parts:
            if piece and piece_bytes + len(part) > WRITE_BYTES_MIN:
                await self._hand_over(writer, b"".join(piece))
                piece, piece_bytes = [], 0
            piece.append(part)
            piece_bytes += len(part)
        await self._hand_over(writer, b"".join(piece))


def _is_tls(writer: AbstractStreamWriter) -> bool:
    transport = writer.transport
    return transport is not None and transport.get_extra_info("sslcontext") is not None


def _undelivered_bytes(transport: asyncio.WriteTransport) -> int:
    """Return how many bytes of a connection the peer has not confirmed, 0 where the system does not say."""
    connection = transport.get_extra_info("socket")
    if connection is None or transport.is_closing():
        return 0
    try:
        if sys.platform == "darwin":
            return int(connection.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
        answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, sys.byteorder)
