"""Spans of OpenTelemetry: one a run, and beneath it one an attempt. Needs the extra `otel`."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from opentelemetry.trace import Status, StatusCode, set_span_in_context

from bulk_upload.core.events import AttemptEnded, AttemptStarted, PlanMade
from bulk_upload.core.model import Accepted
from bulk_upload.core.report.log_records import name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span, Tracer

    from bulk_upload.core.events import Event
    from bulk_upload.engine.run import Run
    from bulk_upload.job_run import Result

PREFIX = "bulk_upload."
"""How the names of spans and attributes begin."""


class RunTrace:
    """The spans of one run. The one of the run is a child of the caller's.

    Args:
        tracer: makes the spans.
        clean: removes secrets from a text.
        endpoint: where the run uploads to.
    """

    def __init__(self, tracer: Tracer, *, clean: Callable[[str], str], endpoint: str) -> None:
        self._tracer = tracer
        self._clean = clean
        self._span = tracer.start_span(f"{PREFIX}run", attributes={f"{PREFIX}endpoint": endpoint})
        self._context = set_span_in_context(self._span)
        self._attempts: defaultdict[tuple[str, int], deque[Span]] = defaultdict(deque)

    def on_started(self, run: Run) -> None:
        """Do nothing: the events have all that spans are made of."""

    def on_event(self, event: Event) -> None:
        """Begin or end the span of an attempt."""
        match event:
            case PlanMade():
                self._span.set_attribute(f"{PREFIX}entry_count", event.entry_count)
                self._span.set_attribute(f"{PREFIX}send_count", event.send_count)
            case AttemptStarted():
                self._began(event)
            case AttemptEnded():
                self._ended(event)
            case _:
                pass

    def end(self, result: Result | None, error: BaseException | None) -> None:
        """End the span of the run, and those of attempts that a cancelled run left."""
        for spans in self._attempts.values():
            for one in spans:
                one.set_status(Status(StatusCode.ERROR, "the run was cancelled"))
                one.end()
        self._attempts.clear()
        if result is not None:
            self._span.set_attribute(f"{PREFIX}status", result.status.name)
            for state, count in result.states.items():
                self._span.set_attribute(f"{PREFIX}{state.value}_count", count)
            if not result.ok:
                reason = result.status.meaning if result.stop is None else result.stop.reason
                self._span.set_status(Status(StatusCode.ERROR, self._clean(reason)))
        elif error is not None:
            words = f"{type(error).__name__}: {error}"
            self._span.set_status(Status(StatusCode.ERROR, self._clean(words)))
        self._span.end()

    def _began(self, event: AttemptStarted) -> None:
        span = self._tracer.start_span(
            f"{PREFIX}attempt",
            context=self._context,
            attributes={
                f"{PREFIX}path": self._text(event.path),
                f"{PREFIX}attempt_no": event.attempt_no,
                f"{PREFIX}file_bytes": event.file_bytes,
            },
        )
        self._attempts[event.path, event.attempt_no].append(span)

    def _ended(self, event: AttemptEnded) -> None:
        # One path may be uploaded for two purposes at once: then either span will do.
        key = (event.path, event.attempt_no)
        spans = self._attempts.get(key)
        if not spans:
            return
        span = spans.popleft()
        if not spans:
            del self._attempts[key]
        outcome = event.outcome
        span.set_attribute(f"{PREFIX}outcome", name_of(type(outcome).__name__))
        http_status = getattr(outcome, "http_status", None)
        if http_status is not None:
            span.set_attribute("http.response.status_code", http_status)
        if event.retry_in_s is not None:
            span.set_attribute(f"{PREFIX}retry_in_s", event.retry_in_s)
        if isinstance(outcome, Accepted):
            span.set_attribute(f"{PREFIX}file_id", outcome.file_id)
        else:
            span.set_status(Status(StatusCode.ERROR, self._text(getattr(outcome, "reason", ""))))
        span.end()

    def _text(self, text: str) -> str:
        """Return a text that any exporter can encode: file names may have bytes that are not UTF-8."""
        return self._clean(text).encode("utf-8", "backslashreplace").decode("utf-8")
