"""One request on its way to `FakeServer`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from bulk_upload.core.api.responses import lost_answer
from bulk_upload.core.model import NotSent, SentBody
from bulk_upload.core.run.source import SourceError, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.api.pace import Pace
    from bulk_upload.core.model import Outcome
    from bulk_upload.core.run.sender import UploadRequest
    from bulk_upload.core.run.source import Source

FRAME_BYTES = 300
"""What a form adds to a file."""


class EarlyEnd(Exception):
    """The server answers, or hangs up, before the body is complete."""


@dataclass(slots=True, eq=False)
class Sending:
    """One request on its way."""

    request: UploadRequest
    source: Source
    on_handed: Callable[[int], None]
    began_at: float
    request_no: int = 0
    pace: Pace | None = None
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    handed_bytes: int = 0
    complete: bool = False
    failure: SourceError | None = None
    given_up: str | None = None

    @property
    def sent(self) -> SentBody:
        """What has gone out so far."""
        source = self.source
        return SentBody(
            sent_name=self.request.sent_name,
            purpose=self.request.purpose,
            file_bytes=source.fingerprint.size,
            complete=self.complete,
            handed_bytes=self.handed_bytes,
            content_hash=source.content_hash if self.complete else None,
            fingerprint=source.fingerprint,
        )

    async def wait_for_pace(self, file_bytes: int, *, last: bool) -> None:
        """Wait until the bandwidth cap lets a piece pass."""
        left_bytes = file_bytes + (FRAME_BYTES if last else 0)
        while left_bytes and self.pace is not None and (piece_bytes := self.pace.piece_bytes) is not None:
            count = min(left_bytes, piece_bytes)
            await self.pace.pass_bytes(count)
            left_bytes -= count

    def hand_over(self, file_bytes: int, *, last: bool) -> int:
        """Count a piece as handed over and return how many bytes it has with what goes around it."""
        count = file_bytes + (FRAME_BYTES if last else 0)
        # Marked before anything moves: "not complete" must be proof that the server cannot have the file.
        self.complete = last
        self.handed_bytes += count
        self.on_handed(count)
        return count


def ended(sending: Sending, reason: str) -> Outcome:
    if sending.failure is not None:
        return outcome_of(sending.failure)
    return lost_answer(sending.sent, reason) if sending.complete else NotSent(reason=reason)
