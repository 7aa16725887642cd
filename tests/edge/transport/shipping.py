"""What the tests of the transport send, and through what."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import BaseConnector
from aiohttp.client_proto import ResponseHandler

from bulk_upload.core.api.connection import Connection
from bulk_upload.core.api.pace import Pace
from bulk_upload.core.api.profile import FLOW
from bulk_upload.core.api.secret import Secret
from bulk_upload.core.model import Fingerprint
from bulk_upload.core.run.sender import UploadReport, UploadRequest
from bulk_upload.core.run.source import LoadedFile, Source, SourceError
from bulk_upload.edge.clock import SystemClock
from bulk_upload.edge.transport import Transport, TransportSettings
from tests.waiting import until

KEY = "canary-key-7f3a"
BLOCK = 1024 * 1024


def loaded(content: bytes = b'{"messages": []}\n') -> LoadedFile:
    """Return a small file as the reader hands it over."""
    return LoadedFile(
        content=content,
        content_hash=hashlib.sha256(content).hexdigest(),
        fingerprint=Fingerprint(size=len(content), mtime_ns=1, inode=1),
    )


class Blocks:
    """A large file without a disk: `before` is called with the number of each block before it is returned."""

    def __init__(self, size: int = 8 * BLOCK + 1000, *, before: Any = None) -> None:
        self.fingerprint = Fingerprint(size=size, mtime_ns=1, inode=1)
        self.content = (os.urandom(4096) * (size // 4096 + 1))[:size]
        self._before = before
        self._at = 0
        self._reads = 0

    @property
    def content_hash(self) -> str:
        return hashlib.sha256(self.content[: self._at]).hexdigest()

    async def read(self) -> bytes:
        self._reads += 1
        if self._before is not None:
            await self._before(self._reads)
        block = self.content[self._at : self._at + BLOCK]
        self._at += len(block)
        return block


def moved(reads: int) -> Any:
    """Return a `before` that reports a moved file at the given read."""

    async def before(number: int) -> None:
        if number == reads:
            raise SourceError("the file changed while it was sent")

    return before


@asynccontextmanager
async def transport_to(url: str, **options: Any) -> AsyncIterator[Transport]:
    """Run a transport that talks to `url`; `options` are fields of TransportSettings or of Connection."""
    ours = {
        name: options.pop(name) for name in ("read_key_again", "connection_limit", "fence") if name in options
    }
    settings = TransportSettings(
        connection=Connection(endpoint=url, **{"profile": FLOW, **options}), api_key=Secret(KEY), **ours
    )
    async with Transport(settings, SystemClock()).running() as transport:
        yield transport


async def ship(
    transport: Transport,
    source: Source | None = None,
    *,
    name: str = "a.jsonl",
    fields: tuple[tuple[str, str], ...] = (("purpose", "fine-tune"),),
    on_handed: Callable[[int], None] = lambda count: None,
    cancelled: list[UploadReport] | None = None,
    ask_first: bool = False,
    pace: Pace | None = None,
) -> UploadReport:
    """Send one file."""
    return await transport.send(
        UploadRequest(
            attempt_id=1,
            path=name,
            sent_name=name,
            purpose="fine-tune",
            fields=fields,
            ask_first=ask_first,
        ),
        source or loaded(),
        on_handed=on_handed,
        on_cancelled=([] if cancelled is None else cancelled).append,
        pace=pace,
    )


def _connector_of(transport: Transport) -> BaseConnector:
    assert transport._exchanges.session is not None
    connector = transport._exchanges.session.connector
    assert connector is not None
    return connector


def connection_in_use(transport: Transport) -> ResponseHandler:
    """Return the client's side of the one connection that a request has."""
    (protocol,) = _connector_of(transport)._acquired
    return protocol


async def until_the_answer_begins(transport: Transport) -> ResponseHandler:
    """Wait until the head of an answer has reached the client; return the client's side of its connection."""
    protocol = connection_in_use(transport)
    await until(lambda: protocol._payload is not None)
    return protocol


async def until_no_connection_is_idle(transport: Transport) -> None:
    """Wait until the client has seen what the server did to the connections that it keeps for the next request."""
    connector = _connector_of(transport)
    await until(
        lambda: (
            not any(
                protocol.is_connected() and not protocol.should_close
                for idle in connector._conns.values()
                for protocol, _ in idle
            )
        )
    )
