"""Writing an object's bytes, and breaking that off where a fault wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bulk_upload.sandbox.objects.contents import CHUNK_BYTES
from bulk_upload.sandbox.objects.faults import FRACTIONS, ObjectFaultKind, ObjectStep
from bulk_upload.sandbox.wire import current_connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from bulk_upload.sandbox.objects.contents import Content

SLOW_WRITES_PER_S = 10
"""A slow body leaves in so many pieces a second, so that no client takes it for one that stands still."""

_REPLACED = (ObjectFaultKind.REPLACE_MID, ObjectFaultKind.REPLACE_DROP)
_RESET = (ObjectFaultKind.DROP_MID, ObjectFaultKind.REPLACE_DROP, ObjectFaultKind.STALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The wanted bytes of one version, and what is to happen on their way."""

    content: Content
    start: int
    end: int
    step: ObjectStep

    @property
    def declared_bytes(self) -> int:
        """What `Content-Length` says."""
        end = self.turn_byte if self.step.kind is ObjectFaultKind.SHORT else self.end
        return end - self.start

    @property
    def turn_byte(self) -> int:
        """The byte before which the fault happens."""
        fraction = self.step.number if self.step.kind in FRACTIONS else 0.5
        return self.start + int((self.end - self.start) * fraction)


class BodySender:
    """Writes one version from its first to its last byte, whatever becomes of the object meanwhile.

    Attributes:
        written_bytes: how many bytes of the body were written; the client may have got fewer.
    """

    def __init__(self, body: Body, on_replace: Callable[[], None]) -> None:
        self.written_bytes = 0
        self._body = body
        self._on_replace = on_replace
        self._connection = current_connection.get()

    async def send(self, request: web.Request, response: web.StreamResponse) -> None:
        """Write head and body."""
        body = self._body
        kind = body.step.kind
        await response.prepare(request)
        await self._write(response, body.start, body.turn_byte)
        if kind in _REPLACED:
            self._on_replace()
        if kind is ObjectFaultKind.STALL:
            await self._connection.wait_lost(body.step.number)
        if kind in _RESET:
            self._connection.reset()
        elif kind is ObjectFaultKind.CUT:
            self._connection.close()
        else:
            if kind is not ObjectFaultKind.SHORT:
                await self._write(response, body.turn_byte, body.end)
            await self._end(response)

    async def _end(self, response: web.StreamResponse) -> None:
        if self.written_bytes == self._body.declared_bytes:
            await response.write_eof()
        else:
            # The file was shortened while it was read: what was declared cannot be sent.
            self._connection.reset()

    async def _write(self, response: web.StreamResponse, start: int, end: int) -> None:
        step = self._body.step
        slow = step.kind is ObjectFaultKind.SLOW
        piece_bytes = max(1, int(step.number / SLOW_WRITES_PER_S)) if slow else CHUNK_BYTES
        for chunk in self._body.content.chunks(start, end):
            for offset in range(0, len(chunk), piece_bytes):
                piece = chunk[offset : offset + piece_bytes]
                await response.write(piece)
                self.written_bytes += len(piece)
                if slow:
                    await self._connection.wait_lost(len(piece) / step.number)
