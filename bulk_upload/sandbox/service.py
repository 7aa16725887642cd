"""What all requests of one sandbox share: files, journal, faults, and who may come in."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bulk_upload.sandbox.answers import Answers
from bulk_upload.sandbox.chooser import FaultChooser, TokenBucket
from bulk_upload.sandbox.dialects.dialect import Habit, Problem
from bulk_upload.sandbox.dialects.named import dialect_named
from bulk_upload.sandbox.journal import Journal, JournalRecord, RecordKind
from bulk_upload.sandbox.store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiohttp import web

    from bulk_upload.sandbox.config import SandboxConfig
    from bulk_upload.sandbox.faults import Faults
    from bulk_upload.sandbox.wire import Connection


class Service:
    """The state of one sandbox.

    Attributes:
        dialect: how the API looks on the wire.
        habits: what the server does beside its description.
        answers: makes the answers.
        in_flight: uploads that were let in and are not answered yet.
        peak_in_flight: the highest value of `in_flight` so far.
        idle: set while no upload is in flight.
    """

    def __init__(self, config: SandboxConfig, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self.dialect = dialect_named(config.profile)
        self.habits = self.dialect.habits | set(config.habits)
        self.answers = Answers(self.dialect)
        self.purposes = config.purposes if config.purposes is not None else self.dialect.purposes or ()
        self.store = FileStore(
            config.directory, memory_bytes=config.memory_bytes, habits=self.habits, monotonic=monotonic
        )
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

    def problem(self, request: web.Request) -> Problem | None:
        """Return why a request is refused for its credentials or its head, or None."""
        key = self.dialect.key_of(request.headers)
        if isinstance(key, Problem):
            return key
        if self.config.keys and key not in self.config.keys:
            return Problem(status=401, message="this API key is not accepted", code="invalid_api_key")
        return self.dialect.request_problem(request)

    def team_of(self, request: web.Request) -> str | None:
        """Return the team that the request is for, where the API has teams."""
        header = self.dialect.team_header
        return None if header is None else request.headers.get(header)

    def conflict(self, sha256: str, team_id: str | None) -> Problem | None:
        """Return the refusal of content that is there already, where the server has that habit."""
        if Habit.CONFLICT not in self.habits:
            return None
        there = self.store.with_content(sha256, team_id)
        if there is None:
            return None
        return Problem(
            status=409,
            message=f"file already exists: {there.file_id}",
            code="conflict",
            file_id=there.file_id,
        )

    def name_problem(self, filenames: Iterable[str]) -> Problem | None:
        """Return the refusal of a request for the name of one of its files."""
        refused = self.faults.refused_name
        if refused is None or not any(refused in one for one in filenames):
            return None
        return Problem(status=422, message="one of the files is not valid")

    def unserved(self, *, bulk: bool, body_bytes: int | None) -> tuple[str, web.Response] | None:
        """Return why an upload is refused by its head, and the answer; None where it is not."""
        if bulk and not self.faults.has_bulk:
            return "no-bulk", self.answers.refusal(404)
        body_max = self.faults.body_bytes_max
        if body_max is not None and body_bytes is not None and body_bytes > body_max:
            return "body-max", self.answers.refusal(413)
        return self.over_limit()

    def over_limit(self) -> tuple[str, web.Response] | None:
        """Return the name of the limit that a new upload would exceed, and its answer; or None, and let it in."""
        limit = self.faults.max_in_flight
        if limit is not None and self.in_flight >= limit:
            return "max-in-flight", self.answers.refusal(429, f"more than {limit} uploads at once")
        if self._bucket is not None:
            wait_s = self._bucket.take(self._monotonic())
            if wait_s > 0:
                return "rate", self.answers.too_soon(wait_s)
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
