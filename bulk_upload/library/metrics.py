"""Metrics of OpenTelemetry: what a run sends, what becomes of it, and how much is in flight.

Names and units follow the semantic conventions: units of UCUM that are not in the names, `By` for bytes, seconds for
durations, and attributes of few values. Nothing of OpenTelemetry is imported: the meter makes the instruments, and
returns the one that it has for a name that it knows.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled
from bulk_upload.core.model import Accepted
from bulk_upload.core.report.log_records import name_of

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from bulk_upload.core.events import Event
    from bulk_upload.engine.run import Run
    from bulk_upload.job_run import Result

PREFIX = "bulk_upload."
"""How the names of metrics and of our own attributes begin."""

BYTES_EVERY_S = 5.0
"""How often bytes are counted while nothing else happens: a large file takes longer than an exporter waits."""

DURATIONS_S = (
    0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 150.0, 300.0, 600.0, 1800.0, 3600.0
)  # fmt: skip
"""The bounds of the buckets, unless the program's view says otherwise. Those of HTTP requests in the semantic
conventions end at 10 s, where the uploads of large files begin; the SDK's default is meant for milliseconds."""


class RunMetrics:
    """The metrics of one run. Runs with one meter share the instruments; attributes tell their servers apart.

    Args:
        meter: makes the instruments.
        endpoint: where the run uploads to.
    """

    def __init__(self, meter: Meter, *, endpoint: str) -> None:
        self._uploads = meter.create_counter(
            f"{PREFIX}uploads", unit="{upload}", description="Requests that have ended, by outcome."
        )
        self._retries = meter.create_counter(
            f"{PREFIX}retries", unit="{retry}", description="Requests after which another one was scheduled."
        )
        self._io = meter.create_counter(
            f"{PREFIX}network.io",
            unit="By",
            description="Bytes of request bodies sent, those of failed requests included.",
        )
        self._entries = meter.create_counter(
            f"{PREFIX}entries", unit="{entry}", description="Entries that were settled, by state."
        )
        self._duration = meter.create_histogram(
            f"{PREFIX}upload.duration",
            unit="s",
            description="Duration of requests, from the slot to the end of the answer.",
            explicit_bucket_boundaries_advisory=DURATIONS_S,
        )
        self._active = meter.create_up_down_counter(
            f"{PREFIX}active_uploads", unit="{upload}", description="Requests that are in flight."
        )
        self._server = _server_attributes(endpoint)
        self._active_count = 0
        self._counted_bytes = 0
        self._run: Run | None = None
        self._timer: asyncio.TimerHandle | None = None

    def on_started(self, run: Run) -> None:
        """Count the bytes of a run from now on. Called on its event loop."""
        self._run = run
        self._tick()

    def on_event(self, event: Event) -> None:
        """Count a request that begins or ends, and an entry that is settled."""
        match event:
            case AttemptStarted():
                self._change_active(1)
            case AttemptEnded():
                self._change_active(-1)
                self._count_ended(event)
                self._count_bytes()
            case EntrySettled(unchanged=False):
                self._entries.add(1, {**self._server, f"{PREFIX}state": event.state.value})
            case _:
                pass

    def end(self, _result: Result | None, _error: BaseException | None) -> None:
        """Count what is left, also of requests that a cancelled run gave up."""
        if self._timer is not None:
            self._timer.cancel()
        self._count_bytes()
        self._change_active(-self._active_count)

    def _tick(self) -> None:
        self._count_bytes()
        self._timer = asyncio.get_running_loop().call_later(BYTES_EVERY_S, self._tick)

    def _change_active(self, change: int) -> None:
        if change:
            self._active_count += change
            self._active.add(change, self._server)

    def _count_ended(self, event: AttemptEnded) -> None:
        name = name_of(type(event.outcome).__name__)
        attributes: dict[str, str | int] = {**self._server, f"{PREFIX}outcome": name}
        http_status = getattr(event.outcome, "http_status", None)
        if http_status is not None:
            attributes["http.response.status_code"] = http_status
        if not isinstance(event.outcome, Accepted):
            attributes["error.type"] = name if http_status is None else str(http_status)
        self._uploads.add(1, attributes)
        self._duration.record(event.duration_s, attributes)
        if event.retry_in_s is not None:
            self._retries.add(1, attributes)

    def _count_bytes(self) -> None:
        sent_bytes = 0 if self._run is None else self._run.snapshot().wire_bytes
        if sent_bytes > self._counted_bytes:
            self._io.add(
                sent_bytes - self._counted_bytes, {**self._server, "network.io.direction": "transmit"}
            )
            self._counted_bytes = sent_bytes


def _server_attributes(endpoint: str) -> dict[str, str | int]:
    parts = urlsplit(endpoint)
    port = parts.port or (80 if parts.scheme == "http" else 443)
    return {"server.address": parts.hostname or "", "server.port": port}
