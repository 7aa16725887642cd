"""The longest-running uploads, each with its current activity."""

from __future__ import annotations

import math
from contextlib import suppress
from itertools import islice, takewhile
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled, Event, Paused
from bulk_upload.core.model import InDoubt
from bulk_upload.core.text.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bulk_upload.core.events import BodyNow

SHOWN_AFTER_S = 2.0
"""Shorter uploads would only flicker."""


HELD_BY_CAP = "held by the bandwidth cap"


class UploadReading(msgspec.Struct, frozen=True, kw_only=True):
    """One upload, ready to be shown: `share` of its body was sent, None while no body is being sent.

    `is_held` says that it waits for something that is not its turn of work: a backoff, a pause, the bandwidth cap.
    `agent` sends it, None for the process of the run.
    """

    path: str
    doing: str
    share: float | None
    since_s: float
    file_bytes: int = 0
    is_held: bool = False
    agent: str | None = None


class _Upload(msgspec.Struct):
    began_at: float
    file_bytes: int = 0
    in_flight: bool = True
    resumes_at: float | None = None
    in_doubt: bool = False
    seen: BodyNow | None = None
    """The body as last shown."""


class Uploads:
    """Follows entries from their first attempt until they are settled.

    `on_event` is a look-up in a dict, which keeps the order in which uploads began: the longest-running are the first,
    whatever their number.
    """

    def __init__(self, bodies: Callable[[], Iterable[BodyNow]], now: Callable[[], float]) -> None:
        self._bodies = bodies
        self._now = now
        self._under_way: dict[str, _Upload] = {}
        self._latest: Sequence[UploadReading] = ()
        self._backing_off_count = 0
        self._slow_count = 0
        self._paused_until = 0.0

    def on_event(self, event: Event) -> None:
        """Handle one event."""
        match event:
            case AttemptStarted():
                upload = self._under_way.get(event.path)
                if upload is None:
                    self._under_way[event.path] = _Upload(self._now(), event.file_bytes)
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
            case Paused():
                self._paused_until = max(self._paused_until, self._now() + event.pause_s)
            case _:
                pass

    def take(self, running: Iterable[tuple[str, int, float]]) -> None:
        """Replace the uploads by those of a run in another process: path, bytes and seconds of each, oldest first."""
        at = self._now()
        before = self._under_way
        self._under_way = {
            path: before.get(path) or _Upload(at - since_s, file_bytes)
            for path, file_bytes, since_s in running
        }

    def longest(self, count: int) -> Sequence[UploadReading]:
        """Return at most `count` uploads, oldest first."""
        at = self._now()
        try:
            first = [
                (path, one)
                for path, one in islice(self._under_way.items(), count)
                if at - one.began_at >= SHOWN_AFTER_S
            ]
        except RuntimeError:
            # The run's thread changed the dict meanwhile: the previous state is good enough.
            return self._latest
        bodies = {one.path: one for one in self._bodies()} if any(one.in_flight for _, one in first) else {}
        self._latest = [
            _reading(path, one, bodies.get(path), at, paused=at < self._paused_until) for path, one in first
        ]
        for path, one in first:
            one.seen = bodies.get(path)
        return self._latest

    def slow_count(self) -> int:
        """Return how many uploads are slow enough to be shown."""
        at = self._now()
        with suppress(RuntimeError):
            # They are in the order in which they began.
            self._slow_count = sum(
                1 for _ in takewhile(lambda one: at - one.began_at >= SHOWN_AFTER_S, self._under_way.values())
            )
        return self._slow_count

    def backing_off_count(self) -> int:
        """Return how many uploads wait for their next attempt: counted only on request."""
        at = self._now()
        # Where the dict changes meanwhile, as above, the number before is good enough.
        with suppress(RuntimeError):
            self._backing_off_count = sum(
                one.resumes_at is not None and one.resumes_at > at for one in self._under_way.values()
            )
        return self._backing_off_count


def _reading(path: str, upload: _Upload, body: BodyNow | None, at: float, *, paused: bool) -> UploadReading:
    share = None
    if upload.in_flight and body is not None:
        share = min(1.0, body.left_bytes / body.body_bytes) if body.body_bytes else 0.0
    doing = _doing(upload, body, at, paused=paused)
    return UploadReading(
        path=printable(path),
        doing=doing,
        share=share,
        since_s=at - upload.began_at,
        file_bytes=upload.file_bytes,
        agent=None if body is None or body.agent is None else printable(body.agent),
        is_held=doing == HELD_BY_CAP or (not upload.in_flight and doing != "recording"),
    )


def _doing(upload: _Upload, body: BodyNow | None, at: float, *, paused: bool) -> str:
    if upload.in_flight:
        if body is None:
            return "recording"
        if body.waiting:
            return "waiting for a connection"
        if body.left_bytes >= body.body_bytes:
            return "awaiting the answer"
        return _sending(body, upload.seen)
    if upload.resumes_at is not None:
        left_s = math.ceil(upload.resumes_at - at)
        if left_s > 0:
            return f"backing off, {left_s} s"
        return "paused by the server" if paused else "waiting for a slot"
    return "in doubt, looking it up" if upload.in_doubt else "recording"


def _sending(body: BodyNow, before: BodyNow | None) -> str:
    """Return what a body being sent waits for. A block is read quickly: only a slow read is reported."""
    held = body.held or (before is not None and before.held)
    if held:
        return HELD_BY_CAP
    stuck = before is not None and before.reading and before.left_bytes == body.left_bytes
    return "reading the file" if body.reading and stuck else "sending"
