"""The independent record of what reached the sandbox: one line for every request, faulted ones too."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from bulk_upload.edge.output import open_to_append
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO


class RecordKind(StrEnum):
    """What a record is about.

    `UPLOAD` is a request to an upload path. `CALL` is any other request. `UNEXPECTED` are bytes where no
    request may start: after a body and before its answer, or something that is no HTTP request at all.
    """

    UPLOAD = "upload"
    CALL = "call"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentFile:
    """One file part of a request. `sha256` is None when the part did not arrive whole."""

    filename: str
    file_bytes: int
    sha256: str | None = None
    file_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One request, or one piece of unexpected bytes.

    `number` counts in order of arrival, while records stand in the order in which they were finished; each is
    written before its answer leaves. `connection` counts accepted connections. `body_bytes` is what was read of
    the body; `complete` says that the whole form arrived. `filename`, `file_bytes`, `sha256` and `file_id`
    belong to a single upload; a bulk upload has `bulk_files` in their place. `file_id` is set if, and only if,
    the file was stored, whatever the answer said. `status` is None when no answer was given; `fault` is the
    step in its text form, or the limit that refused it: `max-in-flight`, `rate`, `body-max` or `no-bulk`.
    """

    kind: RecordKind
    number: int
    time: str
    connection: int
    method: str | None = None
    path: str | None = None
    auth_ok: bool | None = None
    team_id: str | None = None
    filename: str | None = None
    purpose: str | None = None
    fields: tuple[tuple[str, str], ...] = ()
    content_length: int | None = None
    body_bytes: int = 0
    complete: bool = False
    file_bytes: int | None = None
    sha256: str | None = None
    file_id: str | None = None
    bulk_files: tuple[SentFile, ...] = ()
    status: int | None = None
    fault: str | None = None
    note: str | None = None

    def as_json(self) -> str:
        """Return the record as one line of ASCII JSON, without what is None or empty."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["bulk_files"] = [
            {name: getattr(file, name) for name in file.__slots__} for file in self.bulk_files
        ]
        return json.dumps({name: value for name, value in values.items() if value not in (None, (), [])})


def utc_now() -> datetime:
    """Return the wall-clock time in UTC."""
    return datetime.now(UTC)


class Journal:
    """Records in memory and, where a path is given, as JSON Lines on disk. Safe to read from any thread.

    A line is one `write` call on a descriptor opened for appending, so a reader sees whole lines even after the
    server was killed. Lines are not synced to the disk: they survive the process, not the machine.

    Raises:
        UsageError: the journal file cannot be opened.
    """

    def __init__(self, path: str | None = None, *, now: Callable[[], datetime] = utc_now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._records: list[JournalRecord] = []
        self._count = 0
        self._stream: BinaryIO | None = None
        if path is not None:
            try:
                self._stream = open_to_append(path)
            except OSError as error:
                raise UsageError(
                    f"the journal {path} cannot be opened: {error.strerror}",
                    hint="name a file in a folder that exists and can be written",
                ) from error

    def arrived(self) -> tuple[int, str]:
        """Return the number and the time of a request that just arrived."""
        with self._lock:
            self._count += 1
            return self._count, self._now().isoformat(timespec="microseconds")

    def write(self, record: JournalRecord) -> None:
        """Keep a record, and append it to the file."""
        with self._lock:
            self._records.append(record)
            if self._stream is not None:
                os.write(self._stream.fileno(), record.as_json().encode("ascii") + b"\n")

    @property
    def records(self) -> tuple[JournalRecord, ...]:
        """All records so far."""
        with self._lock:
            return tuple(self._records)

    def close(self) -> None:
        """Close the file. Records stay readable in memory."""
        with self._lock:
            if self._stream is not None:
                self._stream.close()
                self._stream = None
