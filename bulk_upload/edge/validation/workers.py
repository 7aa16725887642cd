"""The validation processes of one run or command: started when there is work, ended when it is done."""

from __future__ import annotations

import asyncio
import os
import queue
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from bulk_upload.core.purposes import Format
from bulk_upload.edge.validation.protocol import Broken, Done, Progress, Unreadable, receive, send
from bulk_upload.edge.validation.reading import check_file
from bulk_upload.edge.validation.surroundings import surroundings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bulk_upload.core.purposes import Purpose
    from bulk_upload.core.validation.report import FileReport
    from bulk_upload.edge.validation.reading import CheckTask

SMALL_BYTES_MAX = 256 * 1024

NICENESS = 5
"""Niceness of checks, so that uploads have priority."""

# Not `-m`: the package must be imported from where this process found it. Nor multiprocessing, which would
# run the main script of the library's user a second time.
_START = (
    "import os, sys; os.nice(int(sys.argv[1])); sys.path[:] = sys.argv[2:];"
    " from bulk_upload.edge.validation.worker import main; main()"
)


class WorkerLost(Exception):
    """A check ended without an answer: its process was killed, or the check has a bug; the message says which."""


class _Worker:
    """One process and the socket to it."""

    def __init__(self, niceness: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channel = ours
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _START, str(niceness), *sys.path],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=surroundings(),
                    # A Ctrl-C at the terminal is for the uploader.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise

    def check(self, descriptor: int, task: CheckTask, on_bytes: Callable[[int], None] | None) -> FileReport:
        """Have a file checked. Raises OSError as reading it did, WorkerLost."""
        try:
            send(self._channel, task, [descriptor])
            while isinstance(answer := receive(self._channel), Progress):
                if on_bytes is not None:
                    on_bytes(answer.byte_count)
        except (EOFError, BrokenPipeError, ConnectionError):
            raise WorkerLost("the process that checked it was killed, perhaps for lack of memory") from None
        # Not above: a network file system may say that its own connection was lost.
        match answer:
            case Done(report):
                return report
            case Unreadable(error_no, reason):
                raise OSError(error_no, reason)
            case Broken(reason):
                raise WorkerLost(f"a bug in bulk-upload: {reason}")

    def kill(self) -> None:
        """End the process now; a check that waits for it raises WorkerLost."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._process.kill()

    def close(self) -> None:
        """Close the socket, so that the process ends."""
        self._channel.close()
        self._process.wait()


class FileMoved(Exception):
    """The file was written to while it was read: the findings may fit neither version."""


class CheckRequest(msgspec.Struct, frozen=True):
    """A file to check.

    `open_file` returns a fresh descriptor; it and `on_bytes`, which is called with how many more bytes were read, are
    called on another thread. `ignore_ctime` is `Job.ignore_ctime`.
    """

    open_file: Callable[[], int]
    task: CheckTask
    on_bytes: Callable[[int], None] | None = None
    ignore_ctime: bool = False


class Looked(msgspec.Struct, frozen=True):
    """The report of a file, and its stat result at that time."""

    report: FileReport
    status: os.stat_result


class Workers:
    """Checks files in up to `process_count` processes at once; small ones on threads of this process.

    Args:
        niceness: niceness of the processes relative to this one.
        small_bytes_max: up to this size a file is checked here: a hop to another process would cost more.
    """

    def __init__(
        self, process_count: int, *, niceness: int = NICENESS, small_bytes_max: int = SMALL_BYTES_MAX
    ) -> None:
        self._niceness = niceness
        self._small_bytes_max = small_bytes_max
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._busy: set[_Worker] = set()
        self._pool = ThreadPoolExecutor(process_count, thread_name_prefix="bulk-upload-check")
        self._small_pool = ThreadPoolExecutor(1, thread_name_prefix="bulk-upload-check-small")
        self._closed = False

    async def check(
        self, open_file: Callable[[], int], task: CheckTask, *, on_bytes: Callable[[int], None] | None = None
    ) -> Looked:
        """Have one file checked. Raises OSError, FileMoved, WorkerLost."""
        (result,) = await self.check_all([CheckRequest(open_file, task, on_bytes)], are_small=False)
        if isinstance(result, Exception):
            raise result
        return result

    async def check_all(
        self, requests: Sequence[CheckRequest], *, are_small: bool
    ) -> list[Looked | FileMoved | WorkerLost | OSError]:
        """Have files checked, one after the other; an error is in its place. When cancelled, the process is ended.

        Files that are probably small do not wait for those that are not.
        """
        check = _Check(self, requests)
        pool = self._small_pool if are_small else self._pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, check.run)
        except asyncio.CancelledError:
            check.cancel()
            raise

    def close(self) -> None:
        """Cancel all checks and end every process. A thread that hangs in a read is abandoned."""
        self._closed = True
        for worker in tuple(self._busy):
            worker.kill()
        for pool in (self._pool, self._small_pool):
            pool.shutdown(wait=False, cancel_futures=True)
        while not self._idle.empty():
            self._idle.get().close()

    def take(self) -> _Worker:
        """Return an idle process."""
        try:
            worker = self._idle.get_nowait()
        except queue.Empty:
            worker = _Worker(self._niceness)
        self._busy.add(worker)
        if self._closed:
            worker.kill()
        return worker

    def give_back(self, worker: _Worker, *, usable: bool) -> None:
        """Return a process to the pool, or end it when it is no longer usable."""
        self._busy.discard(worker)
        if usable and not self._closed:
            self._idle.put(worker)
        else:
            worker.kill()
            worker.close()

    def is_small(self, purpose: Purpose, path: str, byte_count: int) -> bool:
        """Whether a file is checked in this process.

        Parquet never is: what reads it takes much memory. Of documents only the beginning is read.
        """
        kind = purpose.format_of(path)
        if kind is Format.JSON_LINES:
            return byte_count <= self._small_bytes_max
        return kind is not Format.PARQUET


class _Check:
    """Checks of some files, on their thread."""

    def __init__(self, workers: Workers, requests: Sequence[CheckRequest]) -> None:
        self._workers = workers
        self._requests = requests
        self._worker: _Worker | None = None
        self._cancelled = False

    def run(self) -> list[Looked | FileMoved | WorkerLost | OSError]:
        """Open, check, and verify that the files did not change."""
        results: list[Looked | FileMoved | WorkerLost | OSError] = []
        for request in self._requests:
            try:
                results.append(self._looked(request))
            except (FileMoved, WorkerLost, OSError) as error:
                results.append(error)
        return results

    def _looked(self, request: CheckRequest) -> Looked:
        if self._cancelled:
            raise WorkerLost("cancelled before it began")
        descriptor = request.open_file()
        try:
            before = os.fstat(descriptor)
            if self._workers.is_small(request.task.purpose, request.task.path, before.st_size):
                report = check_file(descriptor, request.task, on_bytes=request.on_bytes)
            else:
                report = self._in_process(descriptor, request)
            after = os.fstat(descriptor)
            # ctime too: a writer that restores mtime cannot restore ctime.
            same_change = request.ignore_ctime or after.st_ctime_ns == before.st_ctime_ns
            if _identity(after) != _identity(before) or not same_change:
                raise FileMoved
            return Looked(report, before)
        finally:
            os.close(descriptor)

    def cancel(self) -> None:
        """End the process that works on it."""
        self._cancelled = True
        if self._worker is not None:
            self._worker.kill()

    def _in_process(self, descriptor: int, request: CheckRequest) -> FileReport:
        try:
            self._worker = worker = self._workers.take()
        except OSError:
            # No interpreter to start, or no room for a process: slower, and uploads notice it, but it is checked.
            return check_file(descriptor, request.task, on_bytes=request.on_bytes)
        # Checked after the worker is registered for `cancel`, which checks in the opposite order: one sees the other.
        if self._cancelled:
            worker.kill()
        usable = False
        try:
            report = worker.check(descriptor, request.task, request.on_bytes)
            usable = True
            return report
        except OSError:
            usable = True
            raise
        finally:
            self._worker = None
            self._workers.give_back(worker, usable=usable and not self._cancelled)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return (status.st_size, status.st_mtime_ns)
