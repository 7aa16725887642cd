"""The uploads that have been under way longest, each with what it is doing now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from bulk_upload.core.display import printable
from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled, Event
from bulk_upload.core.model import InDoubt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bulk_upload.core.events import BodyNow

SHOWN_AFTER_S = 2.0
"""What is over sooner would only flicker by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReading:
    """One upload, ready to be shown: `share` of its body has left, None while no body is on its way."""

    path: str
    doing: str
    share: float | None
    since_s: float


@dataclass(slots=True)
class _Upload:
    began_at: float
    in_flight: bool = True
    resumes_at: float | None = None
    in_doubt: bool = False


class Uploads:
    """Follows entries from their first attempt until they are settled.

    `on_event` is a look-up in a dict, which keeps the order in which uploads began: the longest are the first of it,
    whatever their number.
    """

    def __init__(self, bodies: Callable[[], Iterable[BodyNow]], now: Callable[[], float]) -> None:
        self._bodies = bodies
        self._now = now
        self._under_way: dict[str, _Upload] = {}
        self._latest: Sequence[UploadReading] = ()

    def on_event(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case AttemptStarted():
                upload = self._under_way.get(event.path)
                if upload is None:
                    self._under_way[event.path] = _Upload(self._now())
                else:
                    upload.in_flight, upload.resumes_at, upload.in_doubt = True, None, False
            case AttemptEnded():
                upload = self._under_way.get(event.path)
                if upload is not None:
                    upload.in_flight = False
                    upload.in_doubt = isinstance(event.outcome, InDoubt)
                    if event.retry_in_s is not None:
                        upload.resumes_at = self._now() + event.retry_in_s
            case EntrySettled():
                self._under_way.pop(event.path, None)
            case _:
                pass

    def longest(self, count: int) -> Sequence[UploadReading]:
        """Return at most `count` uploads, the one that began first first."""
        at = self._now()
        try:
            first = [
                (path, one)
                for path, one in islice(self._under_way.items(), count)
                if at - one.began_at >= SHOWN_AFTER_S
            ]
        except RuntimeError:
            # The run changed the dict meanwhile, on its own thread: the picture before is good enough.
            return self._latest
        bodies = {one.path: one for one in self._bodies()} if any(one.in_flight for _, one in first) else {}
        self._latest = [_reading(path, one, bodies.get(path), at) for path, one in first]
        return self._latest


def _reading(path: str, upload: _Upload, body: BodyNow | None, at: float) -> UploadReading:
    share = None
    if upload.in_flight and body is not None:
        share = min(1.0, body.left_bytes / body.body_bytes) if body.body_bytes else 0.0
    return UploadReading(
        path=printable(path), doing=_doing(upload, body, at), share=share, since_s=at - upload.began_at
    )


def _doing(upload: _Upload, body: BodyNow | None, at: float) -> str:
    if upload.in_flight:
        if body is None:
            return "recording"
        if body.waiting:
            return "waiting for a connection"
        return "awaiting the answer" if body.left_bytes >= body.body_bytes else "sending"
    if upload.resumes_at is not None:
        left_s = math.ceil(upload.resumes_at - at)
        return f"backing off, {left_s} s" if left_s > 0 else "waiting for a slot"
    return "in doubt, looked for" if upload.in_doubt else "recording"
