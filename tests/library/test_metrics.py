"""Metrics of OpenTelemetry, as a reader gets them from the instruments of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import Uploader, upload
from bulk_upload.core.events import AttemptEnded, AttemptStarted, EntrySettled
from bulk_upload.core.model import EntryState, NotSent
from bulk_upload.library.metrics import BYTES_EVERY_S, RunMetrics
from bulk_upload.library.waiting import BackgroundRun
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload.sandbox import Sandbox

KEY = "sk-very-secret-key-0123456789"
UNITS = {
    "bulk_upload.uploads": "{upload}",
    "bulk_upload.retries": "{retry}",
    "bulk_upload.network.io": "By",
    "bulk_upload.entries": "{entry}",
    "bulk_upload.upload.duration": "s",
    "bulk_upload.active_uploads": "{upload}",
}


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


class Collector:
    """A meter, and what was measured with it."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.meter = MeterProvider(metric_readers=[self._reader]).get_meter("test")

    def units(self) -> dict[str, str]:
        """Return the unit of each metric that has values."""
        return {one.name: one.unit for one in self._metrics()}

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Return the attributes and the value of each series of a metric; of a histogram its point."""
        return [
            (dict(point.attributes), getattr(point, "value", point))
            for one in self._metrics()
            if one.name == name
            for point in one.data.data_points
        ]

    def total(self, name: str) -> int:
        """Return the sum of all series of a counter."""
        return sum(value for _, value in self.points(name))

    def by(self, name: str, attribute: str) -> dict[Any, int]:
        """Return the values of a counter by one attribute."""
        return {attributes.get(attribute): value for attributes, value in self.points(name)}

    def _metrics(self) -> list[Any]:
        data = self._reader.get_metrics_data()
        scopes = (
            [] if data is None else [scope for one in data.resource_metrics for scope in one.scope_metrics]
        )
        return [metric for scope in scopes for metric in scope.metrics]


@pytest.fixture
def collector() -> Collector:
    return Collector()


def test_a_run_is_measured(tmp_path: Path, sandbox: Sandbox, collector: Collector) -> None:
    """Uploads by outcome, their durations, retries, bytes and entries; nothing is in flight afterwards."""
    sandbox.use_faults(parse_faults("429,422,ok*2"))
    result = upload(
        manifest_of(tmp_path, 3),
        api_key=KEY,
        base_url=sandbox.url,
        concurrency=1,
        backoff_s_initial=0.0,
        meter=collector.meter,
    )
    assert not result.ok
    assert collector.units() == UNITS
    assert collector.by("bulk_upload.uploads", "bulk_upload.outcome") == {
        "accepted": 2,
        "rejected": 1,
        "throttled": 1,
    }
    assert collector.by("bulk_upload.uploads", "error.type") == {None: 2, "422": 1, "429": 1}
    assert collector.by("bulk_upload.retries", "http.response.status_code") == {429: 1}
    assert collector.by("bulk_upload.entries", "bulk_upload.state") == {"accepted": 2, "rejected": 1}
    assert collector.total("bulk_upload.active_uploads") == 0
    stored_bytes = sum(one.bytes for one in sandbox.files)
    assert collector.total("bulk_upload.network.io") > stored_bytes
    durations = [point for _, point in collector.points("bulk_upload.upload.duration")]
    assert sum(point.count for point in durations) == 4
    assert all(point.sum > 0 for point in durations)
    assert durations[0].explicit_bounds[0] == 0.01
    assert durations[0].explicit_bounds[-1] == 3600


def test_series_are_few_and_hold_no_secret(tmp_path: Path, sandbox: Sandbox, collector: Collector) -> None:
    """Attributes are the server and words of a few values: no path, no file id, no key."""
    sandbox.use_faults(parse_faults("422,ok*9"))
    upload(manifest_of(tmp_path, 4), api_key=KEY, base_url=sandbox.url, meter=collector.meter)
    allowed = {
        "bulk_upload.outcome", "bulk_upload.state", "error.type", "http.response.status_code", "network.io.direction",
        "server.address", "server.port",
    }  # fmt: skip
    port = int(sandbox.url.rpartition(":")[2].partition("/")[0])
    for name in UNITS:
        for attributes, _ in collector.points(name):
            assert set(attributes) <= allowed
            assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", port)


def test_runs_with_one_meter_share_their_instruments(
    tmp_path: Path, sandbox: Sandbox, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    """Counters go on from run to run, and the SDK has nothing to warn of; a rerun that sends nothing counts nothing."""
    for name in ("a", "b", "b"):
        options: dict[str, Any] = {"api_key": KEY, "base_url": sandbox.url, "meter": collector.meter}
        upload(manifest_of(tmp_path / name, 2), **options)
    assert collector.total("bulk_upload.uploads") == 4
    assert collector.total("bulk_upload.entries") == 4
    assert [one for one in caplog.records if one.name.startswith("opentelemetry")] == []


def test_what_is_in_flight_is_measured_and_ends_with_the_run(
    tmp_path: Path, sandbox: Sandbox, collector: Collector
) -> None:
    """While requests wait for their answers they are counted; a cancelled run leaves none."""
    sandbox.use_faults(parse_faults("answer-delay=3600"))
    up = Uploader(api_key=KEY, base_url=sandbox.url, meter=collector.meter, concurrency=2)
    run = up.run(manifest_of(tmp_path, 3))
    seen: list[int] = []

    def tick() -> None:
        if run.snapshot is not None and run.snapshot.in_flight == 2 and run.stop is None:
            seen.append(collector.total("bulk_upload.active_uploads"))
            if seen[-1] == 2:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BackgroundRun(up, run).wait(tick)
    assert seen[-1] == 2
    assert collector.total("bulk_upload.active_uploads") == 0
    assert collector.total("bulk_upload.network.io") > 0


class Timer:
    """A timer that was set."""

    is_cancelled = False

    def cancel(self) -> None:
        """Cancel it."""
        self.is_cancelled = True


class Loop:
    """An event loop as far as `call_later` goes."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Any]] = []
        self.timer = Timer()

    def call_later(self, delay_s: float, call: Any) -> Timer:
        """Keep a call."""
        self.calls.append((delay_s, call))
        return self.timer


class Sending:
    """A run that has sent so many bytes."""

    def __init__(self) -> None:
        self.wire_bytes = 0

    def snapshot(self) -> Any:
        """Return itself."""
        return self


def test_bytes_of_a_large_file_are_counted_while_it_is_sent(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every few seconds, though no request ends; each byte once."""
    loop, run = Loop(), Sending()
    monkeypatch.setattr("asyncio.get_running_loop", lambda: loop)
    metrics = RunMetrics(collector.meter, endpoint="https://files.example/v1")
    metrics.on_started(run)  # type: ignore[arg-type]
    metrics.on_event(AttemptStarted(path="a", attempt_no=1, file_bytes=9))
    for sent_bytes in (400, 700):
        run.wire_bytes = sent_bytes
        delay_s, tick = loop.calls[-1]
        assert delay_s == BYTES_EVERY_S
        tick()
        assert collector.total("bulk_upload.network.io") == sent_bytes
    ((attributes, _),) = collector.points("bulk_upload.network.io")
    assert attributes == {
        "server.address": "files.example",
        "server.port": 443,
        "network.io.direction": "transmit",
    }
    run.wire_bytes = 900
    metrics.end(None, None)
    assert loop.timer.is_cancelled
    assert collector.total("bulk_upload.network.io") == 900
    assert collector.total("bulk_upload.active_uploads") == 0


def test_what_was_not_sent_has_its_outcome_as_error(collector: Collector) -> None:
    """Without an answer there is no status; an entry of which nothing was sent is not counted as settled."""
    metrics = RunMetrics(collector.meter, endpoint="http://127.0.0.1/v1")
    metrics.on_event(AttemptStarted(path="a", attempt_no=1, file_bytes=9))
    metrics.on_event(
        AttemptEnded(path="a", attempt_no=1, outcome=NotSent(reason="gone"), duration_s=0.2, retry_in_s=1.0)
    )
    metrics.on_event(
        EntrySettled(path="b", purpose="p", state=EntryState.ACCEPTED, file_bytes=1, unchanged=True)
    )
    ((attributes, count),) = collector.points("bulk_upload.retries")
    assert count == 1
    assert attributes == {
        "server.address": "127.0.0.1",
        "server.port": 80,
        "bulk_upload.outcome": "not_sent",
        "error.type": "not_sent",
    }
    assert collector.points("bulk_upload.entries") == []
