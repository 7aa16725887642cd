"""The server's side of one HTTP exchange on a raw socket: it reads only what it is told to, and says any bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HEAD_PIECE_BYTES = 128
"""A head is read in small pieces, so that of the body nearly everything stays unread in the system's buffer."""

HEAD_BYTES_MAX = 64 * 1024
_DISPOSITION = re.compile(r'; filename="((?:[^"\\]|\\.)*)"', re.DOTALL)


@dataclass(eq=False)
class Upload:
    """One line of the journal. `complete` says that the whole form arrived and had the form it should have."""

    connection: int
    method: str
    target: str
    headers: list[tuple[str, str]]
    struck: bool = False
    body_bytes: int = 0
    complete: bool = False
    filename: str | None = None
    purpose: str | None = None
    file_bytes: int | None = None
    sha256: str | None = None
    stored_id: str | None = None

    def header(self, name: str) -> str:
        """Return a header's value, empty where there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def content_length(self) -> int:
        """What the client announced."""
        return int(self.header("content-length") or 0)


class Form:
    """Takes a multipart form apart while it arrives. The file must be its last part, as it is in our requests."""

    def __init__(self, upload: Upload) -> None:
        boundary = re.search(r'boundary="?([^";]+)', upload.header("content-type"))
        self._boundary = b"" if boundary is None else boundary[1].encode()
        self._length = upload.content_length
        self._buffer = b""
        self._file_left: int | None = None
        self._digest = hashlib.sha256()
        self._upload = upload

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._upload.body_bytes += len(data)
        if self._file_left is None:
            self._buffer += data
            self._take_parts_before_the_file()
            return
        self._take_file(data)

    def end(self) -> None:
        """Say what arrived."""
        upload = self._upload
        closing = b"\r\n--" + self._boundary + b"--\r\n"
        whole = upload.body_bytes == self._length
        upload.complete = whole and self._file_left == 0 and self._buffer == closing
        if upload.complete:
            upload.sha256 = self._digest.hexdigest()

    def _take_parts_before_the_file(self) -> None:
        opening = b"--" + self._boundary + b"\r\n"
        while self._buffer.startswith(opening):
            head, blank, rest = self._buffer[len(opening) :].partition(b"\r\n\r\n")
            if not blank:
                return
            words = head.decode("utf-8", "replace")
            name = _DISPOSITION.search(words)
            if name is not None:
                upload = self._upload
                upload.filename = re.sub(r"\\(.)", r"\1", name[1])
                closing_bytes = len(self._boundary) + 8
                upload.file_bytes = self._length - (upload.body_bytes - len(rest)) - closing_bytes
                self._file_left, self._buffer = upload.file_bytes, b""
                self._take_file(rest)
                return
            value, end, rest = rest.partition(b"\r\n--" + self._boundary)
            if not end:
                return
            if 'name="purpose"' in words:
                self._upload.purpose = value.decode("utf-8", "replace")
            self._buffer = b"--" + self._boundary + rest

    def _take_file(self, data: bytes) -> None:
        assert self._file_left is not None
        content = data[: self._file_left]
        self._digest.update(content)
        self._file_left -= len(content)
        self._buffer += data[len(content) :]


@dataclass(eq=False)
class Exchange:
    """One request whose head was read. `released` is set when the server ends."""

    upload: Upload
    connection: socket.socket
    surplus: bytearray
    released: asyncio.Event
    closed: bool = False
    _form: Form = field(init=False)

    def __post_init__(self) -> None:
        self._form = Form(self.upload)

    async def receive(self, size: int) -> bytes:
        """Return the next bytes from the client, empty at the end of what it sends."""
        if self.surplus:
            data = bytes(self.surplus[:size])
            del self.surplus[:size]
            return data
        return await asyncio.get_running_loop().sock_recv(self.connection, size)

    async def send(self, raw: bytes) -> None:
        """Say these bytes."""
        await asyncio.get_running_loop().sock_sendall(self.connection, raw)

    async def invite(self) -> None:
        """Say `100 Continue` to a client that waits for it."""
        if self.upload.header("expect").lower() == "100-continue":
            await self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def read_form(
        self, *, share: float = 1.0, bytes_per_s: float | None = None, invites: bool = True
    ) -> None:
        """Read the body, or this share of it; raises ConnectionError when the client leaves first."""
        if invites:
            await self.invite()
        wanted = int(self.upload.content_length * share)
        piece = 1 << 18 if bytes_per_s is None else max(1, int(bytes_per_s / 20))
        while self.upload.body_bytes < wanted:
            data = await self.receive(min(piece, wanted - self.upload.body_bytes))
            if not data:
                raise ConnectionResetError("the client left")
            self._form.feed(data)
            if bytes_per_s is not None:
                await asyncio.sleep(len(data) / bytes_per_s)
        self._form.end()

    async def read_away(self) -> None:
        """Read and forget until the client leaves."""
        while await self.receive(1 << 18):
            pass

    def close(self) -> None:
        """Close in an orderly way: where bytes of the client are unread, the system makes it a reset."""
        self.closed = True
        self.connection.close()

    def reset(self) -> None:
        """Close with a reset, as a crashed server does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()


def answer(
    status: int,
    body: bytes | Mapping[str, Any] = b"",
    headers: Mapping[str, str] | None = None,
    *,
    phrase: str = "Said",
) -> bytes:
    """Return a well-formed answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {phrase}", f"Content-Length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("utf-8") + content


async def request_head(connection: socket.socket, surplus: bytearray) -> bytes:
    """Return the head of the next request without its blank line, empty where the client left.

    What was read beyond it is put into `surplus`.
    """
    loop = asyncio.get_running_loop()
    while (end := surplus.find(b"\r\n\r\n")) < 0:
        data = await loop.sock_recv(connection, HEAD_PIECE_BYTES)
        if not data or len(surplus) > HEAD_BYTES_MAX:
            return b""
        surplus += data
    head = bytes(surplus[:end])
    del surplus[: end + 4]
    return head
