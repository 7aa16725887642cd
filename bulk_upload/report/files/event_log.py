"""A run's events as lines of a log: JSON or text, to any stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bulk_upload.core.model import EntryState
from bulk_upload.core.report.log_records import Level, Progress, log_record, logfmt
from bulk_upload.core.report.log_records import level_of as _level_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.core.events import Snapshot
    from bulk_upload.core.report.log_records import Record
    from bulk_upload.core.report.tally import Tally

PROGRESS_EVERY_S = 30.0
_encode = json.JSONEncoder(ensure_ascii=True, allow_nan=False).encode


class EventLog:
    """Writes a line for each record of at least a given level.

    All lines are ASCII, so that no name in them can control a terminal: a byte of a file name that is not UTF-8 is the
    escape `\\udcXX`, as in manifests and exports. When a line cannot be written the log stops and the run
    continues; `failure` then says why.

    Args:
        write: takes one line with its newline. Raises OSError or ValueError when it cannot be written.
        utc_now: the time as text.
        clean: removes secrets from a text.
        least: records of a lower level are left out.
        as_json: JSON Lines instead of text.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        utc_now: Callable[[], str],
        clean: Callable[[str], str],
        least: Level,
        as_json: bool,
    ) -> None:
        self.failure: str | None = None
        self._write = write
        self._utc_now = utc_now
        self._clean = clean
        self._least = least
        self._as_json = as_json

    def add(self, record: Record) -> None:
        """Write one record."""
        if self.failure is not None or _level_of(record) < self._least:
            return
        values = log_record(record, at_utc=self._utc_now(), clean=self._clean)
        line = _encode(values) if self._as_json else logfmt(values, _encode)
        try:
            # JSON does not escape this one control character.
            self._write(line.replace("\x7f", "\\u007f") + "\n")
        except (OSError, ValueError) as error:
            self.failure = str(error) or type(error).__name__


def least_level(*, verbosity: int, quiet: bool) -> Level:
    """Return the lowest level to log: warnings when quiet, info by default, ended requests with -v, all with -vv."""
    if quiet:
        return Level.WARNING
    return (Level.INFO, Level.DEBUG, Level.TRACE)[min(verbosity, 2)]


def progress_of(tally: Tally, snapshot: Snapshot) -> Progress:
    """Return the state of a run as a record."""
    return Progress(
        snapshot=snapshot,
        to_send_count=tally.to_send_count,
        to_send_bytes=tally.to_send_bytes,
        to_compare_count=tally.to_compare_count,
        to_compare_bytes=tally.to_compare_bytes,
        accepted_count=tally.count(EntryState.ACCEPTED),
        accepted_bytes=tally.accepted_bytes,
        unchanged_count=tally.unchanged_count,
        failed_count=tally.failed_count,
        in_doubt_count=tally.in_doubt_count,
        attempt_count=tally.attempt_count,
        request_count=tally.request_count,
        retry_count=tally.retry_count,
        throttled_count=tally.throttled_count,
    )
