"""The files the sandbox has taken: their metadata in memory, their bytes on disk or in memory, or only their digest."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from bulk_upload.errors import UsageError
from bulk_upload.sandbox.dialects.dialect import Habit
from bulk_upload.sandbox.journal import utc_now
from bulk_upload.sandbox.stored_file import StoredFile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime


class _Room:
    """How much memory is left for the bytes of files."""

    def __init__(self, byte_count: int) -> None:
        self._left = byte_count

    def take(self, byte_count: int) -> bool:
        """Take so much, if it is there."""
        if byte_count > self._left:
            return False
        self._left -= byte_count
        return True

    def give_back(self, byte_count: int) -> None:
        """Give back so much."""
        self._left += byte_count


class StagedFile:
    """A file part on its way in: hashed, counted and, where bytes are kept, written to a temporary name or to memory.

    `room` None keeps no bytes in memory. `stored_name` is the name the file is stored under, where it is not its own.
    """

    def __init__(self, filename: str, path: str | None, room: _Room | None = None) -> None:
        self.filename = filename
        self.stored_name: str | None = None
        self.path = path
        self.size = 0
        self._room = room
        self._kept = None if room is None else bytearray()
        self._hash = hashlib.sha256()
        self._file = open(path, "xb") if path is not None else None  # noqa: SIM115 - open across many calls

    def write(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        self._hash.update(data)
        if self._file is not None:
            self._file.write(data)
        if self._kept is not None and self._room is not None:
            if self._room.take(len(data)):
                self._kept += data
            else:
                self._forget()

    def take_content(self) -> bytes | None:
        """Return the bytes, which are the caller's then, with their room; None where they are not in memory."""
        content = None if self._kept is None else bytes(self._kept)
        self._kept = None
        return content

    def _forget(self) -> None:
        if self._kept is not None and self._room is not None:
            self._room.give_back(len(self._kept))
        self._kept = None

    def close(self) -> str:
        """Close the part and return its SHA-256."""
        if self._file is not None:
            self._file.close()
        return self._hash.hexdigest()

    def discard(self) -> None:
        """Forget the part, its temporary file and its bytes."""
        self.close()
        self._forget()
        if self.path is not None and os.path.exists(self.path):
            os.unlink(self.path)


class FileStore:
    """The stored files by id, oldest first. Safe to read from any thread.

    Raises:
        UsageError: the directory cannot be made or written.
    """

    def __init__(
        self,
        directory: str | None,
        *,
        memory_bytes: int = 0,
        habits: Collection[Habit] = (),
        now: Callable[[], datetime] = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._room = _Room(memory_bytes)
        self._habits = habits
        self._now = now
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._files: dict[str, StoredFile] = {}
        self._last: datetime | None = None
        if directory is not None:
            _make_writable(directory)

    def stage(self, filename: str) -> StagedFile:
        """Start to take a file part."""
        if self._directory is None:
            return StagedFile(filename, None, self._room)
        return StagedFile(filename, os.path.join(self._directory, f".staged-{uuid.uuid4()}"))

    def store(
        self,
        staged: StagedFile,
        *,
        purpose: str,
        team_id: str | None,
        fields: tuple[tuple[str, str], ...],
        number: int,
        list_lag_s: float,
        file_id: str,
    ) -> StoredFile:
        """Make a staged part a file of its own, also where the same content is there already."""
        path = None
        sha256 = staged.close()
        if self._directory is not None and staged.path is not None:
            path = os.path.join(self._directory, file_id)
            os.rename(staged.path, path)
        with self._lock:
            file = StoredFile(
                file_id=file_id,
                created_at=self._next_moment().isoformat(timespec="microseconds"),
                filename=self._name(staged.stored_name or staged.filename),
                purpose=purpose,
                bytes=staged.size,
                sha256=sha256,
                team_id=team_id,
                vector_database_id=dict(fields).get("vector_database_id"),
                fields=fields,
                number=number,
                path=path,
                content=staged.take_content(),
                listed_from_s=self._monotonic() + list_lag_s,
            )
            self._drop_content(self._files.get(file_id))
            self._files[file_id] = file
        return file

    def get(self, file_id: str, team_id: str | None) -> StoredFile | None:
        """Return a file of that team, or None."""
        with self._lock:
            file = self._files.get(file_id)
        return file if file is not None and file.team_id == team_id else None

    def first(self) -> StoredFile | None:
        """Return the oldest file of all, or None."""
        with self._lock:
            return next(iter(self._files.values()), None)

    def listed(self, team_id: str | None) -> list[StoredFile]:
        """Return that team's files, oldest first, without those whose list lag is not over."""
        now_s = self._monotonic()
        return [file for file in self.files if file.team_id == team_id and file.listed_from_s <= now_s]

    def with_content(self, sha256: str, team_id: str | None) -> StoredFile | None:
        """Return that team's first file with that content, or None."""
        return next((file for file in self.files if (file.sha256, file.team_id) == (sha256, team_id)), None)

    def rename(self, file: StoredFile, filename: str) -> StoredFile:
        """Give a file another name."""
        renamed = replace(file, filename=filename)
        with self._lock:
            self._files[file.file_id] = renamed
        return renamed

    def replace_content(self, file_id: str, content: bytes) -> None:
        """Give a file other bytes. Raises KeyError for one that is not there."""
        with self._lock:
            file = self._files[file_id]
            if file.path is not None:
                with open(file.path, "wb") as on_disk:
                    on_disk.write(content)
            kept = None
            if file.content is not None:
                self._drop_content(file)
                kept = content if self._room.take(len(content)) else None
            self._files[file_id] = replace(
                file, bytes=len(content), sha256=hashlib.sha256(content).hexdigest(), content=kept
            )

    def delete(self, file: StoredFile) -> None:
        """Forget a file and its bytes."""
        with self._lock:
            self._drop_content(self._files.pop(file.file_id, None))
        if file.path is not None and os.path.exists(file.path):
            os.unlink(file.path)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """All files, oldest first."""
        with self._lock:
            return tuple(self._files.values())

    def _drop_content(self, file: StoredFile | None) -> None:
        if file is not None and file.content is not None:
            self._room.give_back(len(file.content))

    def _name(self, sent: str) -> str:
        if Habit.SANITISED_NAMES not in self._habits:
            return sent
        return re.sub(r"^\.|\.\.", "_", re.sub(r"[^A-Za-z0-9._-]", "_", sent))

    def _next_moment(self) -> datetime:
        moment = self._now()
        if Habit.EQUAL_TIMES in self._habits:
            return moment.replace(microsecond=0)
        if self._last is not None and moment <= self._last:
            moment = self._last + timedelta(microseconds=1)
        self._last = moment
        return moment


def _make_writable(directory: str) -> None:
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the sandbox folder {directory} cannot be made: {error.strerror}", hint="name another folder"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError(f"the sandbox folder {directory} cannot be written", hint="name another folder")
