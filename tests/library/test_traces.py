"""Spans of OpenTelemetry: one a run, one an attempt, as a collector gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bulk_upload import Uploader, UsageError, upload
from bulk_upload.library.waiting import BackgroundRun
from bulk_upload.sandbox import SandboxConfig, parse_faults, sandbox_in_thread
from tests.library.scenes import manifest_of

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bulk_upload.sandbox import Sandbox

KEY = "sk-very-secret-key-0123456789"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_in_thread(SandboxConfig()) as running:
        yield running


class Collector:
    """A tracer, and the spans that it made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self._provider.get_tracer("test")

    def spans(self, name: str) -> list[Any]:
        """Return the spans with a name that have ended."""
        return [one for one in self._exporter.get_finished_spans() if one.name == name]


@pytest.fixture
def collector() -> Collector:
    return Collector()


def test_a_run_and_its_attempts_are_spans(tmp_path: Path, sandbox: Sandbox, collector: Collector) -> None:
    """Each attempt is a child of the run, and that of the caller; a retry is an attempt of its own."""
    sandbox.use_faults(parse_faults("429,ok*2"))
    options: dict[str, Any] = {"concurrency": 1, "backoff_s_initial": 0.0, "tracer": collector.tracer}
    with collector.tracer.start_as_current_span("caller") as caller:
        result = upload(manifest_of(tmp_path, 2), api_key=KEY, base_url=sandbox.url, **options)
    assert result.ok
    (run,) = collector.spans("bulk_upload.run")
    assert run.parent.span_id == caller.get_span_context().span_id
    assert run.attributes["bulk_upload.status"] == "DONE"
    assert run.attributes["bulk_upload.accepted_count"] == 2
    attempts = collector.spans("bulk_upload.attempt")
    assert {one.parent.span_id for one in attempts} == {run.context.span_id}
    outcomes = [one.attributes["bulk_upload.outcome"] for one in attempts]
    assert sorted(outcomes) == ["accepted", "accepted", "throttled"]
    (failed,) = [one for one in attempts if one.status.status_code is StatusCode.ERROR]
    assert failed.attributes["http.response.status_code"] == 429
    assert "bulk_upload.retry_in_s" in failed.attributes
    ids = {one.attributes.get("bulk_upload.file_id") for one in attempts} - {None}
    assert ids == {one.file_id for one in sandbox.files}


def test_a_run_that_fails_says_why(tmp_path: Path, sandbox: Sandbox, collector: Collector) -> None:
    """The span of the run has the verdict as its status, or the error that ended it."""
    sandbox.use_faults(parse_faults("422*9"))
    options: dict[str, Any] = {"api_key": KEY, "base_url": sandbox.url, "tracer": collector.tracer}
    upload(manifest_of(tmp_path, 1), **options)
    with pytest.raises(UsageError):
        upload(tmp_path / "gone.jsonl", **options)
    rejected, refused = collector.spans("bulk_upload.run")
    assert rejected.status.status_code is refused.status.status_code is StatusCode.ERROR
    assert rejected.attributes["bulk_upload.rejected_count"] == 1
    assert "there is no such file or folder" in refused.status.description


def test_spans_end_with_a_run_that_is_cancelled(
    tmp_path: Path, sandbox: Sandbox, collector: Collector
) -> None:
    """No span stays open, whatever becomes of the request."""
    sandbox.use_faults(parse_faults("answer-delay=3600"))
    up = Uploader(api_key=KEY, base_url=sandbox.url, tracer=collector.tracer, concurrency=2)
    run = up.run(manifest_of(tmp_path, 3))

    def tick() -> None:
        if run.snapshot is not None and run.snapshot.in_flight == 2 and run.stop is None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BackgroundRun(up, run).wait(tick)
    assert len(collector.spans("bulk_upload.run")) == 1
    assert len(collector.spans("bulk_upload.attempt")) == 2


def test_no_span_has_the_key(tmp_path: Path, collector: Collector) -> None:
    """Also where it is the name of a file; a name that is no text is one that exporters can encode."""
    for name in (f"{KEY}.jsonl", "\udcff.jsonl"):
        (tmp_path / name).write_text('{"text": "x"}\n')
    with sandbox_in_thread(SandboxConfig(faults=parse_faults("422*9"))) as sandbox:
        options: dict[str, Any] = {"ledger": tmp_path / "l.db", "tracer": collector.tracer}
        entries = sorted(tmp_path.glob("*.jsonl"))
        upload(entries, purpose="pre-train", api_key=KEY, base_url=sandbox.url, **options)
    paths = [one.attributes["bulk_upload.path"] for one in collector.spans("bulk_upload.attempt")]
    assert len(paths) == 2
    assert not any(KEY in path for path in paths)
    assert any("\\udcff" in path for path in paths)
