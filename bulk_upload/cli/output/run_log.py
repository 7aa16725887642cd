"""Where a run's log goes: to stderr in place of messages for people, or to a file beside them."""

from __future__ import annotations

import os
import time
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
import msgspec

from bulk_upload.cli.output.streams import send_lines_to, tell
from bulk_upload.core.api.redaction import Redaction
from bulk_upload.core.report.log_records import Failed, Message, RunEnded, RunStarted
from bulk_upload.core.text.printable import printable
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.edge.output import open_to_append
from bulk_upload.errors import BulkUploadError, ManifestInvalid, UsageError
from bulk_upload.exit_status import ExitStatus
from bulk_upload.report.files.event_log import EventLog, least_level
from bulk_upload.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.report.log_records import Record
    from bulk_upload.job_run import Result

JSON = "json"
TEXT = "text"
BESIDE = "beside"


class LogRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The options of the log: its format, a file instead of stderr, whether that is private, its verbosity."""

    form: str = TEXT
    file: str | None = None
    private: bool = False
    verbosity: int = 0
    quiet: bool = False
    redaction: Redaction = msgspec.field(default_factory=Redaction)

    @property
    def replaces_words(self) -> bool:
        """Whether stderr carries JSON Lines, and so no messages for people."""
        return self.form == JSON and self.file is None


class JsonLogOutput:
    """Writes messages to stderr as JSON Lines."""

    def __init__(self, request: LogRequest) -> None:
        self.log = EventLog(
            _to_stderr,
            utc_now=_utc_now,
            clean=request.redaction.clean,
            least=least_level(verbosity=request.verbosity, quiet=request.quiet),
            as_json=True,
        )

    def say(self, text: str) -> None:
        """Write a message that no other record contains."""
        if text.strip():
            self.log.add(Message(text=text.strip("\n")))

    def fail(self, error: BulkUploadError) -> None:
        """Write why the command ends."""
        self.log.add(_failed(error))


def speak_as_asked(request: LogRequest) -> None:
    """From here on write all messages of the process in the requested format."""
    if request.replaces_words:
        send_lines_to(JsonLogOutput(request))


@contextmanager
def run_log(request: LogRequest, ledger: Callable[[], str]) -> Iterator[Callable[[Record], None]]:
    """Yield a listener for the records of a run. `ledger` returns its path, for a log beside it.

    Raises UsageError when the file cannot be opened. One that cannot be written later ends the log, not the run.
    """
    if request.replaces_words:
        yield JsonLogOutput(request).log.add
        return
    if request.file is None:
        yield lambda _: None
        return
    path = _beside(ledger()) if request.file == BESIDE else request.file
    try:
        stream = open_to_append(path, private=request.private)
    except OSError as error:
        raise UsageError(
            f"cannot write the log to {printable(path)}: {error.strerror}",
            hint="choose another file with --log-file",
        ) from None

    def put(line: str) -> None:
        stream.write(line.encode("ascii"))
        stream.flush()

    log = EventLog(
        put,
        utc_now=_utc_now,
        clean=request.redaction.clean,
        # --quiet is about stderr: it does not apply to a file.
        least=least_level(verbosity=request.verbosity, quiet=False),
        as_json=request.form == JSON,
    )
    try:
        yield log.add
    except BulkUploadError as error:
        log.add(_failed(error))
        raise
    except Exception as error:
        log.add(Failed(message=_traceback(error), hint=None, exit_code=int(ExitStatus.UNEXPECTED)))
        raise
    finally:
        try:
            stream.close()
        except OSError as error:
            log.failure = log.failure or error.strerror
        if log.failure is not None:
            tell(f"bulk-upload: the log {printable(path)} is incomplete: {printable(log.failure)}")
            tell("  hint: the ledger has all results; free some space, or choose another --log-file")


def _failed(error: BulkUploadError) -> Failed:
    findings = error.findings if isinstance(error, ManifestInvalid) else ()
    is_bug = error.exit_status is ExitStatus.UNEXPECTED
    return Failed(
        message=_traceback(error) if is_bug else str(error),
        hint=error.hint,
        exit_code=int(error.exit_status),
        findings=findings,
        finding_count=error.finding_count if isinstance(error, ManifestInvalid) else 0,
    )


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)).rstrip()


def _beside(ledger: str) -> str:
    return f"{ledger.removesuffix('.ledger.db').removesuffix('.db')}.log"


def _to_stderr(line: str) -> None:
    click.echo(line, nl=False, err=True)


def _utc_now() -> str:
    return utc_text(time.time())


LOG_FILE_HELP = (
    f"Append the log to FILE and keep text on stderr; {BESIDE}: <manifest stem>.log beside the ledger."
)


def run_started(*, manifest: str, connection: Connection, settings_from: str | None) -> RunStarted:
    """Return the record of what is known before anything is read."""
    return RunStarted(
        version=__version__,
        pid=os.getpid(),
        manifest=manifest,
        endpoint=connection.endpoint,
        profile=connection.profile.name,
        team=connection.team,
        settings_from=settings_from,
    )


def run_ended(result: Result, elapsed_s: float, results_path: str | None) -> RunEnded:
    """Return the record of a run's result; `results_path` is the path of its mapping, if it was written."""
    return RunEnded(
        exit_code=int(result.status),
        exit_name=result.status.name,
        states=result.states,
        stop=None if result.stop is None else result.stop.reason,
        elapsed_s=elapsed_s,
        ledger=result.ledger,
        results=results_path,
        dropped_count=result.dropped_count,
    )
