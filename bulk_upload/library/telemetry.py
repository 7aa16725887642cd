"""Spans and metrics of OpenTelemetry, as far as the program asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from bulk_upload.core.events import Event
    from bulk_upload.engine.run import Run
    from bulk_upload.job_run import Result


class Observer(Protocol):
    """What takes in one run."""

    def on_started(self, run: Run) -> None:
        """Take in the run, whose plan is made."""

    def on_event(self, event: Event) -> None:
        """Take in an event."""

    def end(self, result: Result | None, error: BaseException | None) -> None:
        """Take in how the run ended."""


class Telemetry:
    """The telemetry of one run, which the body of `with` is. Without tracer and meter it does and imports nothing.

    Args:
        tracer: makes spans.
        meter: makes metrics.
        clean: removes secrets from a text.
        endpoint: where the run uploads to.
    """

    def __init__(
        self, tracer: Tracer | None, meter: Meter | None, *, clean: Callable[[str], str], endpoint: str
    ) -> None:
        self._tracer = tracer
        self._meter = meter
        self._clean = clean
        self._endpoint = endpoint
        self._observers: list[Observer] = []
        self.result: Result | None = None

    def __enter__(self) -> Self:
        if self._tracer is not None:
            from bulk_upload.library.traces import RunTrace  # noqa: PLC0415 - needs the extra `otel`

            self._observers.append(RunTrace(self._tracer, clean=self._clean, endpoint=self._endpoint))
        if self._meter is not None:
            from bulk_upload.library.metrics import RunMetrics  # noqa: PLC0415 - for whom it is

            self._observers.append(RunMetrics(self._meter, endpoint=self._endpoint))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for one in self._observers:
            one.end(self.result, error)

    def before(self, emit: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return a listener that takes in every event before `emit` does."""
        if not self._observers:
            return emit

        def call(event: Event) -> None:
            for one in self._observers:
                one.on_event(event)
            emit(event)

        return call

    def on_started(self, run: Run) -> None:
        """Take in the run, whose plan is made."""
        for one in self._observers:
            one.on_started(run)
