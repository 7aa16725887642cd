"""Reading the body of an upload, at the speed and up to the point that the faults want."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bulk_upload.sandbox.chooser import Draw
from bulk_upload.sandbox.faults import OK, FaultKind, Step
from bulk_upload.sandbox.requests.form import UploadForm
from bulk_upload.sandbox.requests.multipart import boundary_of

if TYPE_CHECKING:
    from aiohttp import web

    from bulk_upload.sandbox.service import Service
    from bulk_upload.sandbox.wire import Connection

PIECE_BYTES_MAX = 262_144
FIRST_PIECE_BYTES_MAX = 1_024
"""While the file is unknown its fault is undecided: small pieces, so that a drop still comes mid-body."""


class Dropped(Exception):
    """A fault wants the connection reset now."""


class Intake:
    """The body of one upload request.

    Attributes:
        step: what the request meets; `ok` until its file is known, where the fault has a budget per file.
        form: the form, None when the body is none.
        body_bytes: what was read so far.
        complete: the whole form has arrived.
    """

    def __init__(self, service: Service, request: web.Request, connection: Connection, draw: Draw) -> None:
        self._service = service
        self._request = request
        self._connection = connection
        self._draw = draw
        boundary = boundary_of(request.headers.get("Content-Type", ""))
        self.form = (
            UploadForm(boundary, service.store.stage, file_field=service.dialect.file_field)
            if boundary is not None
            else None
        )
        self.step = OK if draw.budgeted else draw.step
        self.body_bytes = 0
        self.complete = False

    async def receive(self) -> None:
        """Read the body.

        Raises:
            MultipartError: the form is not whole.
            Dropped: the connection is to be reset here.
        """
        self._continue()
        while piece := await self._read_piece():
            self.body_bytes += len(piece)
            if self.form is not None:
                self.form.feed(piece)
                await self._meet_fault(self.form)
        if self.form is not None:
            self.form.close()
        self.complete = True

    def _continue(self) -> None:
        # The routes leave `100 Continue` to this place, so that an early answer can come in its stead.
        expects = self._request.headers.get("Expect", "").lower() == "100-continue"
        if expects and not self._service.faults.ignore_expect:
            self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    async def _read_piece(self) -> bytes:
        rate = self._rate()
        limit = FIRST_PIECE_BYTES_MAX if self._draw.budgeted else PIECE_BYTES_MAX
        if rate is not None:
            limit = min(limit, int(rate / 10))
        if self.step.kind is FaultKind.DROP_MID:
            limit = min(limit, self._drop_at() - self.body_bytes)
        piece = await self._request.content.read(max(1, limit))
        if rate is not None:
            await asyncio.sleep(len(piece) / rate)
        return piece

    def _rate(self) -> float | None:
        slow = self.step.number if self.step.kind is FaultKind.SLOW else None
        return min(
            (rate for rate in (slow, self._service.faults.read_bytes_per_s) if rate is not None), default=None
        )

    async def _meet_fault(self, form: UploadForm) -> None:
        if self._draw.budgeted and form.files:
            self.step = self._settled(form)
            self._draw = Draw(step=self.step)
        if self.step.kind is FaultKind.DROP_MID and self.body_bytes >= self._drop_at():
            raise Dropped
        if self.step.kind is FaultKind.STALL and form.files:
            await self._connection.wait_lost(self.step.number)
            raise Dropped

    def _settled(self, form: UploadForm) -> Step:
        return self._service.chooser.settle(
            self._draw,
            content_length=self._request.content_length,
            filename=form.files[0].filename,
            purpose=form.value("purpose") or "",
        )

    def _drop_at(self) -> int:
        # A chunked body has no known length; one piece of it stands for the whole.
        return int((self._request.content_length or PIECE_BYTES_MAX) * self.step.number)
