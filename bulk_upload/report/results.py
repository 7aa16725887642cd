"""The results of a run as they come: one JSON line for each entry that is settled."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Self

from bulk_upload.core.display import printable
from bulk_upload.core.events import AttemptStarted, EntrySettled, Event
from bulk_upload.core.export import ExportRow
from bulk_upload.edge.output import open_to_append
from bulk_upload.report.rows import json_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


class ResultStream:
    """Writes an export row, as JSON, for each entry the run settles; a context manager that closes nothing it
    did not open.

    Each line is handed over whole and at once. A reader that goes away (`| head`) silences the stream; any other
    failure to write does too, and is kept in `failure`: the ledger has every result, so the run goes on.
    `first_seen_utc` is null here, only the ledger knows it.

    Args:
        stream: where lines go, such as `sys.stdout.buffer`.
        utc_now: the time as UTC text, for entries without a receipt.
    """

    def __init__(self, stream: BinaryIO, utc_now: Callable[[], str]) -> None:
        self.failure: str | None = None
        self._stream = stream
        self._utc_now = utc_now
        self._owned = False
        self._silent = False
        self._attempts: dict[str, int] = {}

    @classmethod
    def append_to(cls, path: str, utc_now: Callable[[], str], *, private: bool = False) -> Self:
        """Open a file to add lines to; a line that a crash cut off is ended first. A private one is for its owner alone.

        Raises:
            OSError: the file cannot be opened for writing.
        """
        stream = open_to_append(path, private=private)
        results = cls(stream, utc_now)
        results._owned = True
        if _ends_within_line(path):
            results._put(b"\n")
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._owned:
            try:
                self._stream.close()
            except OSError as error:
                self._fail(error)

    def on_event(self, event: Event) -> None:
        """Take one event of the run in."""
        match event:
            case AttemptStarted():
                self._attempts[event.path] = event.attempt_no
            case EntrySettled():
                attempts = self._attempts.pop(event.path, 0)
                if event.state.settled:
                    self.write(self._row(event, attempts))
            case _:
                pass

    def write(self, row: ExportRow) -> None:
        """Write one row."""
        self._put(json_line(row))

    def _row(self, event: EntrySettled, attempts: int) -> ExportRow:
        receipt = event.receipt
        if receipt is None:
            return ExportRow(
                path=event.path,
                purpose=event.purpose,
                status=event.state,
                bytes=event.file_bytes or None,  # 0 also stands for a file that could not be looked at
                attempts=attempts,
                http_status=event.http_status,
                reason=event.reason,
                settled_utc=self._utc_now(),
            )
        return ExportRow(
            path=event.path,
            purpose=event.purpose,
            status=event.state,
            file_id=receipt.file_id,
            bytes=receipt.file_bytes,
            sha256=receipt.sha256,
            sent_name=receipt.sent_name,
            attempts=attempts,
            http_status=event.http_status,
            reason=event.reason,
            settled_utc=receipt.settled_utc,
        )

    def _put(self, line: bytes) -> None:
        if self._silent:
            return
        try:
            self._stream.write(line)
            self._stream.flush()
        except BrokenPipeError:
            self._silent = True
            _point_at_nothing(self._stream)
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._silent = True
        self.failure = self.failure or printable(str(error))


def _point_at_nothing(stream: BinaryIO) -> None:
    """Let what is left in the stream's buffer go nowhere: Python flushes stdout once more when it exits."""
    try:
        target = stream.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, target)
    finally:
        os.close(nothing)


def _ends_within_line(path: str) -> bool:
    if not os.path.isfile(path) or os.path.getsize(path) == 0:
        return False
    with open(path, "rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
