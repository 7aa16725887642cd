"""Streams the results of a run: one line of JSON or CSV for each settled entry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO, Self

from bulk_upload.core.events import AttemptStarted, EntrySettled, Event, ReceiptWithdrawn
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.output import open_to_append
from bulk_upload.report.files.rows import CSV_HEADER, csv_line, json_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


READER_GONE = "the reader closed the pipe before the last result"

_LINE_BYTES_MAX = 1024 * 1024
"""Longer than any row: a path has at most 4 kB, and a reason is one line of an answer."""


class ResultStream:
    """Writes an export row, as JSON or CSV, for each entry the run settles, and another one for an entry whose receipt is
    withdrawn; a context manager that closes nothing it did not open.

    Each line is written whole and at once. A failure to write, also for a reader that exits (`| head`), silences the
    stream and is kept in `failure`: the ledger has every result, so the run continues.
    `first_seen_utc` is not available here, only in the ledger.

    Args:
        stream: where lines go, such as `sys.stdout.buffer`.
        utc_now: the time as UTC text, for entries without a receipt.
        line_of: makes a line of a row.
    """

    def __init__(
        self,
        stream: BinaryIO,
        utc_now: Callable[[], str],
        line_of: Callable[[ExportRow], bytes] = json_line,
    ) -> None:
        self.failure: str | None = None
        self._line_of = line_of
        self._stream = stream
        self._utc_now = utc_now
        self._owned = False
        self._silent = False
        self._attempts: dict[str, AttemptStarted] = {}

    @classmethod
    def append_to(cls, path: str, utc_now: Callable[[], str], *, private: bool = False) -> Self:
        """Open a file to add lines to; a line cut off by a crash is ended first.

        A name that ends in `.csv` takes CSV, any other JSON Lines. A private file is for its owner alone.

        Raises:
            OSError: the file cannot be opened for writing.
        """
        stream = open_to_append(path, private=private)
        is_csv = path.lower().endswith(".csv")
        results = cls(stream, utc_now, csv_line if is_csv else json_line)
        results._owned = True
        tail = _tail(path)
        if tail and not tail.endswith(b"\n"):
            last_line = tail[tail.rfind(b"\n") + 1 :]
            # A cell that was cut off would continue in the next line.
            results._put(b'"\n' if is_csv and last_line.count(b'"') % 2 else b"\n")
        if is_csv and not tail:
            results._put(CSV_HEADER)
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
        """Handle one event of the run."""
        match event:
            case AttemptStarted():
                self._attempts[event.path] = event
            case EntrySettled():
                last = self._attempts.pop(event.path, None)
                if event.state.settled:
                    self.write(self._row(event, last))
            case ReceiptWithdrawn():
                self.write(self._withdrawn_row(event))
            case _:
                pass

    def write(self, row: ExportRow) -> None:
        """Write one row."""
        self._put(self._line_of(row))

    def _row(self, event: EntrySettled, last: AttemptStarted | None) -> ExportRow:
        receipt = event.receipt
        attempts, agent = (0, None) if last is None else (last.attempt_no, last.agent)
        if receipt is None:
            return ExportRow(
                path=event.path,
                purpose=event.purpose,
                status=event.state,
                bytes=event.file_bytes or None,  # 0 also means a file that could not be inspected
                attempts=attempts,
                http_status=event.http_status,
                reason=event.reason,
                settled_utc=self._utc_now(),
                agent=agent,
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
            agent=agent,
            blake3=receipt.blake3,
        )

    def _withdrawn_row(self, event: ReceiptWithdrawn) -> ExportRow:
        return ExportRow(
            path=event.path,
            purpose=event.purpose,
            status=event.state,
            bytes=event.file_bytes,
            reason=event.reason,
            settled_utc=self._utc_now() if event.state.settled else None,
        )

    def _put(self, line: bytes) -> None:
        if self._silent:
            return
        try:
            self._stream.write(line)
            self._stream.flush()
        except BrokenPipeError:
            self._silent = True
            self.failure = READER_GONE
            _point_at_nothing(self._stream)
        except (OSError, ValueError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._silent = True
        self.failure = self.failure or printable(str(error))


def _point_at_nothing(stream: BinaryIO) -> None:
    """Discard what is left in the stream's buffer: Python flushes stdout once more when it exits."""
    try:
        target = stream.fileno()
    except (OSError, ValueError):
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, target)
    finally:
        os.close(nothing)


def _tail(path: str) -> bytes:
    """Return the end of a file, its last line included; empty for anything but a regular file."""
    if not os.path.isfile(path):
        return b""
    with open(path, "rb") as stream:
        stream.seek(max(0, os.path.getsize(path) - _LINE_BYTES_MAX))
        return stream.read()
