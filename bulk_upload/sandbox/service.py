"""What all requests of one sandbox share: files, journal, faults, and who may come in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bulk_upload.sandbox.answers import refusal, too_soon
from bulk_upload.sandbox.chooser import FaultChooser, TokenBucket
from bulk_upload.sandbox.journal import Journal, JournalRecord, RecordKind
from bulk_upload.sandbox.store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

    from bulk_upload.sandbox.config import SandboxConfig
    from bulk_upload.sandbox.faults import Faults
    from bulk_upload.sandbox.wire import Connection


class Service:
    """The state of one sandbox.

    Attributes:
        in_flight: uploads that were let in and are not answered yet.
        peak_in_flight: the highest value of `in_flight` so far.
        idle: set while no upload is in flight.
    """

    def __init__(self, config: SandboxConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.store = FileStore(config.directory, memory_bytes=config.memory_bytes, monotonic=monotonic)
        self.journal = Journal(config.journal_path)
        self.in_flight = 0
        self.peak_in_flight = 0
        self.idle = asyncio.Event()
        self.idle.set()
        self._monotonic = monotonic
        self.use_faults(config.faults)

    def use_faults(self, faults: Faults) -> None:
        """Let other faults hit the requests from now on."""
        self.chooser = FaultChooser(faults)
        self._bucket = (
            TokenBucket(rate_per_s=faults.rate_per_s, burst=faults.burst)
            if faults.rate_per_s is not None
            else None
        )
        self.faults = faults

    def key_problem(self, request: web.Request) -> str | None:
        """Return why the request's credentials are not accepted, or None.

        The key stands in `Authorization` by itself: "Seekr API Key without 'Bearer' Prefix", says the reference.
        """
        key = request.headers.get("Authorization", "").strip()
        if not key:
            return "no API key: send it in the Authorization header"
        if key.lower().startswith("bearer "):
            return "the API key stands in the Authorization header by itself, without 'Bearer'"
        if self.config.keys and key not in self.config.keys:
            return "this API key is not accepted"
        return None

    def over_limit(self) -> tuple[str, web.Response] | None:
        """Return the name of the limit that a new upload would exceed, and its answer; or None, and let it in."""
        limit = self.faults.max_in_flight
        if limit is not None and self.in_flight >= limit:
            return "max-in-flight", refusal(429, f"more than {limit} uploads at once")
        if self._bucket is not None:
            wait_s = self._bucket.take(self._monotonic())
            if wait_s > 0:
                return "rate", too_soon(wait_s)
        return None

    def enter(self) -> None:
        """Count an upload in."""
        self.in_flight += 1
        self.idle.clear()
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def leave(self) -> None:
        """Count an upload out."""
        self.in_flight -= 1
        if not self.in_flight:
            self.idle.set()

    def note_surplus(self, connection: Connection, surplus: bytes) -> None:
        """Record bytes that belong to no request. Only their first line is shown: the next may hold a key."""
        number, moment = self.journal.arrived()
        first_line = surplus[:80].partition(b"\n")[0]
        self.journal.write(
            JournalRecord(
                kind=RecordKind.UNEXPECTED,
                number=number,
                time=moment,
                connection=connection.number,
                body_bytes=len(surplus),
                note=f"bytes outside of any request, beginning with {first_line!r}",
            )
        )
