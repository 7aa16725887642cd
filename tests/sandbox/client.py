"""A small client that puts exactly the wanted bytes on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "test-key"
BOUNDARY = "x-boundary-x"


def field_part(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file_part(filename: str, data: bytes, name: str = "files") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def upload_form(data: bytes = b"{}\n", filename: str = "a.jsonl", purpose: str = "fine-tune") -> bytes:
    return form(field_part("purpose", purpose), file_part(filename, data))


def head(
    method: str,
    path: str,
    *,
    body_bytes: int = 0,
    key: str | None = KEY,
    headers: Sequence[str] = (),
    content_type: str = f"multipart/form-data; boundary={BOUNDARY}",
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: sandbox"]
    if key is not None:
        lines.append(f"Authorization: {key}")
    if body_bytes:
        lines += [f"Content-Type: {content_type}", f"Content-Length: {body_bytes}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode()


def upload_request(body: bytes | None = None, path: str = "/v1/flow/files", **options: Any) -> bytes:
    whole = upload_form() if body is None else body
    return head("PUT", path, body_bytes=len(whole), **options) + whole


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(first.split()[1]), headers, body)

    async def exchange(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()


@asynccontextmanager
async def connect(url: str) -> AsyncIterator[Wire]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), 1)
        writer.transport.abort()


async def exchange(url: str, data: bytes) -> Answer:
    async with connect(url) as wire:
        return await wire.exchange(data)


async def upload(url: str, data: bytes = b"{}\n", filename: str = "a.jsonl", **options: Any) -> Answer:
    return await exchange(url, upload_request(upload_form(data, filename), **options))


async def call(url: str, method: str, path: str, body: Any = None, **options: Any) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    options = {"content_type": "application/json"} | options
    return await exchange(url, head(method, path, body_bytes=len(data), **options) + data)
