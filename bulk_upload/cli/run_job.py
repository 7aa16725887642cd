"""Runs a job for a person: live progress, signals in stages, a report and the mapping at the end."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from msgspec.structs import replace

from bulk_upload.cli.options.key_processes import end_key_commands
from bulk_upload.cli.output.quiet_warnings import warn_of_seen
from bulk_upload.cli.output.run_display import (
    Display,
    Heading,
    display_of,
    printing_verbosely,
    snapshot_of,
    write_now,
)
from bulk_upload.cli.output.run_log import run_ended, run_log, run_started
from bulk_upload.cli.output.streams import tell
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.manifest_file import ledger_path_of
from bulk_upload.edge.signals import staged_signals, status_after, stoppable
from bulk_upload.engine.sending.late_imports import LATE_S, import_late
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.errors import BulkUploadError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.job_plan import JobInput
from bulk_upload.job_runner import JobRunner
from bulk_upload.report.files.event_log import PROGRESS_EVERY_S, progress_of
from bulk_upload.report.live.notable_events import BY_SIGNAL

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Coroutine

    from bulk_upload.cli.output.metrics_file import MetricsFile
    from bulk_upload.cli.run_request import RunRequest
    from bulk_upload.core.events import Event
    from bulk_upload.core.report.log_records import Record
    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.report.files.results_stream import ResultStream

_FOR_THE_END = ("bulk_upload.cli.output.run_results", "bulk_upload.cli.output.goodbye")

HANGS_S = 30.0
"""How long a run may take to record what was aborted. A ledger on any disk that answers takes far less."""


async def run_and_report(request: RunRequest) -> int:
    """Run the job and return the exit code. Raises BulkUploadError when there is nothing to report on."""
    started = time.monotonic()
    with run_log(request.log, lambda: ledger_path_of(request.job, request.connection)) as log:
        log(
            run_started(
                manifest=request.job.manifest,
                connection=request.connection,
                settings_from=request.settings_from,
            )
        )
        try:
            return await _run_logged(request, log)
        except BulkUploadError as error:
            await _tell_people(request, error.exit_status, started, error=str(error))
            raise
        except Exception:
            await _tell_people(request, ExitStatus.UNEXPECTED, started, error=ExitStatus.UNEXPECTED.meaning)
            raise
        finally:
            # A command that reads the key again runs on a thread, which the end of the event loop waits for.
            end_key_commands()


async def _run_logged(request: RunRequest, log: Callable[[Record], None]) -> int:
    listeners: list[Callable[[Event], None]] = [log]
    started = time.monotonic()
    with ExitStack() as closing:
        results = _add_results(request, listeners, closing)
        async with JobRunner(
            request.connection,
            api_key=request.api_key,
            settings=request.settings,
            purposes=request.purposes,
            on_event=partial(_call_all, listeners),
            fleet=request.fleet,
        ) as runner:
            # It starts when it is awaited; until then listeners may be added.
            is_short = request.listing is not None and request.listing.is_short
            run = runner.run_input(JobInput(job=request.job, listing=request.listing, is_short=is_short))
            display = _add_display(request, run, listeners, closing)
            listeners += request.listeners
            metrics = _add_metrics(request, run, closing)
            with (
                _page_served(request, display) as say_where,
                stoppable(display.suspend, display.resume),
                staged_signals(_stages(run, display), leave=partial(_leave, display)),
            ):
                ticks = (display.tick, partial(_leave_if_hanging, run, display))
                result = await _with_ticks(
                    run, ticks, lambda: log(progress_of(run.tally, snapshot_of(run))), metrics, say_where
                )
    from bulk_upload.cli.output.run_results import save_results  # noqa: PLC0415 - imported by now

    saved = save_results(request.results, results, result, private=request.job.private)
    if not saved.is_complete and result.status is ExitStatus.DONE:
        # Later steps that use the result files must not mistake them for those of this run.
        result = replace(result, status=ExitStatus.RESULTS_STALE)
    if metrics is not None:
        metrics.close(result.status)
        if metrics.failure is not None:
            tell(f"bulk-upload: cannot write metrics to {printable(str(request.metrics))}: {metrics.failure}")
    elapsed_s = time.monotonic() - started
    log(run_ended(result, elapsed_s, saved.path))
    if request.says_goodbye(result.status):
        from bulk_upload.cli.output.goodbye import say_goodbye  # noqa: PLC0415 - imported by now

        say_goodbye(request, run.tally, result, elapsed_s, saved.path)
    elif not request.log.replaces_words:
        from bulk_upload.report.live.run_summary import altered_lines  # noqa: PLC0415 - imported by now

        for line in altered_lines(run.tally):
            tell(f"bulk-upload: {line}")
    if request.listing is not None:
        from bulk_upload.cli.folder.listed import tell_left_out  # noqa: PLC0415 - a manifest needs none of it

        tell_left_out(request.listing)
    await _tell_people(request, result.status, started, result=result, results=saved.path)
    return int(result.status)


async def _tell_people(
    request: RunRequest,
    status: ExitStatus,
    started: float,
    *,
    result: Result | None = None,
    results: str | None = None,
    error: str | None = None,
) -> None:
    """Tell the end to those who asked for it."""
    if not request.bell and request.notify is None:
        return
    from bulk_upload.cli.output.notify import ended_message, notify, ring  # noqa: PLC0415 - rarely asked for

    if request.bell:
        ring()
    if request.notify is None:
        return
    message = ended_message(
        status,
        manifest=request.job.manifest,
        elapsed_s=time.monotonic() - started,
        result=result,
        results=results,
        error=error,
    )
    await notify(
        request.notify,
        message,
        clean=request.log.redaction.clean,
        network=request.connection.network,
    )


def _add_results(
    request: RunRequest, listeners: list[Callable[[Event], None]], closing: ExitStack
) -> ResultStream | None:
    if request.results is None:
        return None
    from bulk_upload.cli.output.run_results import open_results  # noqa: PLC0415 - not always asked for

    results = open_results(request.results, private=request.job.private)
    if results is not None:
        closing.enter_context(results)
        listeners.append(results.on_event)
    return results


def _add_metrics(request: RunRequest, run: JobRun, closing: ExitStack) -> MetricsFile | None:
    if request.metrics is None:
        return None
    from bulk_upload.cli.output.metrics_file import MetricsFile  # noqa: PLC0415 - rarely asked for

    ledger = os.path.abspath(ledger_path_of(request.job, request.connection))
    metrics = MetricsFile(
        request.metrics, ledger, lambda: run.tally, lambda: snapshot_of(run), private=request.job.private
    )

    def on_error(kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """A run that ends early has an exit code as well."""
        if kind is not None:
            metrics.close(error.exit_status if isinstance(error, BulkUploadError) else ExitStatus.UNEXPECTED)

    closing.push(on_error)
    return metrics


def _add_display(
    request: RunRequest, run: JobRun, listeners: list[Callable[[Event], None]], closing: ExitStack
) -> Display:
    """Add the display that fits where stderr goes."""
    silent = request.log.quiet or request.log.replaces_words
    heading = Heading(request.connection, request.settings_from)
    display = display_of(run, heading, closing, live=request.live, silent=silent)
    listeners.append(display.on_event)
    if request.log.quiet and not request.log.replaces_words:
        listeners.append(warn_of_seen)
    if not silent and request.log.verbosity and request.log.file is None:
        listeners.append(printing_verbosely(display, request.log.verbosity))
    return display


def _page_served(
    request: RunRequest, display: Display
) -> AbstractContextManager[Callable[[], Coroutine[Any, Any, None]] | None]:
    if request.serve is None:
        return nullcontext()
    from bulk_upload.cli.output.serving import page_served  # noqa: PLC0415 - rarely asked for

    ledger = ledger_path_of(request.job, request.connection)
    return page_served(ledger, request.serve, display.say, control=request.page_controls)


def _call_all(listeners: list[Callable[[Event], None]], event: Event) -> None:
    for listener in listeners:
        listener(event)


async def _with_ticks(
    run: JobRun,
    ticks: tuple[Callable[[], None], ...],
    now_and_then: Callable[[], None],
    metrics: MetricsFile | None,
    say_where: Callable[[], Coroutine[Any, Any, None]] | None,
) -> Result:
    async def repeating(every_s: float, call: Callable[[], None]) -> None:
        while True:
            await anyio.sleep(every_s)
            call()

    async with plain_task_group() as tasks:
        for tick in ticks:
            tasks.start_soon(repeating, 1.0, tick)
        tasks.start_soon(repeating, PROGRESS_EVERY_S, now_and_then)
        tasks.start_soon(_import_for_the_end, run)
        if metrics is not None:
            tasks.start_soon(metrics.keep)
        if say_where is not None:
            tasks.start_soon(say_where)
        result = await run
        tasks.cancel_scope.cancel()
    return result


async def _import_for_the_end(run: JobRun) -> None:
    """Import what ends a run once it sends: not while it plans, which the first request waits for."""
    while run.snapshot is None:  # noqa: ASYNC110 - nothing else says when a run begins to send
        await anyio.sleep(LATE_S)
    await import_late(_FOR_THE_END)


def _stages(run: JobRun, display: Display) -> tuple[Callable[[signal.Signals], None], ...]:
    def say(line: str) -> None:
        # A handler of the event loop: its error would be lost.
        try:
            display.say(line)
        except Exception as error:  # noqa: BLE001 - the run raises it
            run.fail(error)

    def drain(number: signal.Signals) -> None:
        run.drain(status=status_after(number), reason=f"{BY_SIGNAL}{number.name}")
        say(
            f"{number.name}: finishing uploads in flight; a second signal cancels them, a third exits at once"
        )

    def cancel(number: signal.Signals) -> None:
        run.cancel(status=status_after(number), reason=f"{BY_SIGNAL}{number.name}")
        say(f"{number.name}: cancelling uploads in flight and recording them")

    return drain, cancel


def _leave_if_hanging(run: JobRun, display: Display) -> None:
    """End the process if a run that must stop cannot plan or record: a disk or a pipe may never answer."""
    if run.stop is None or (run.recording_s or 0.0) < HANGS_S:
        return
    display.restore()
    end_key_commands()
    waits = ", ".join(run.waits) or "tasks of its own"
    left = "nothing was sent" if run.snapshot is None else "what is not recorded is in doubt"
    write_now(f"bulk-upload: leaving, for the run still waits for {waits}; {left}\n".encode())
    os._exit(run.stop.status)


def _leave(display: Display, number: signal.Signals) -> ExitStatus:
    display.restore()
    end_key_commands()
    return status_after(number)
