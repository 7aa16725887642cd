"""Threads for reading files, where a read that hangs for ever costs one thread and nothing else."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from bulk_upload.core.machine.shortage import no_thread
from bulk_upload.core.run.source import SourceError
from bulk_upload.core.text.printable import human_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

P = ParamSpec("P")
T = TypeVar("T")


class ReadingPool(Executor):
    """An executor whose calls can be abandoned.

    The standard one has two problems: a thread that hangs in a read on a dead mount keeps its place for
    ever, and the interpreter waits for it at exit. Here another thread takes the place of one that hangs, and
    all threads are daemons.

    Args:
        thread_count: how many calls may run at once, those that hang not counted.
    """

    def __init__(self, thread_count: int) -> None:
        self._thread_count = thread_count
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started_count = 0
        self._spare_count = 0
        """Idle threads, or calls without a thread when negative; a thread that has yet to wake does not count as
        idle."""
        self._hung: set[Future[Any]] = set()
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call on one of the threads. Raises RuntimeError after `shutdown`, ResourceShortage without a thread."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("the reading pool is closed")
            self._calls.put((future, lambda: fn(*args, **kwargs)))
            self._spare_count -= 1
            if not self._start_if_needed():
                future.cancel()
                raise no_thread()
        return future

    def give_up(self, future: Future[Any]) -> bool:
        """Stop waiting for a call; return whether it hangs, as opposed to not having begun.

        A thread that hangs does not count among the others until its call returns.
        """
        if future.cancel():
            return False
        with self._lock:
            # Checked under the lock: a thread whose call returned has already read the set of hung threads, or will
            # find itself there.
            if future.done():
                return False
            self._hung.add(future)
            self._start_if_needed()
        return True

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002
        """Accept no more calls; those already submitted are still made. Never waits: a call may hang for ever."""
        with self._lock:
            self._closed = True
        self._calls.put(None)

    def _start_if_needed(self) -> bool:
        """Return whether a thread will run the latest call; starts a new one where needed and possible."""
        living_count = self._started_count - len(self._hung)
        if living_count >= self._thread_count or self._spare_count >= 0:
            return True
        try:
            threading.Thread(target=self._serve, name="bulk-upload-read", daemon=True).start()
        except RuntimeError:
            # Fewer threads than requested are slower, but no reason to end a run.
            return living_count > 0
        self._started_count += 1
        self._spare_count += 1
        return True

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                _make(future, function)
            # Keep no reference to a call while the thread waits for the next one: it may hold a whole file.
            del call, function
            if not self._goes_on_after(future):
                return
            del future
        # Passed on to the next thread: their number is not known, since one may yet replace one that hangs.
        self._calls.put(None)
        with self._lock:
            self._started_count -= 1

    def _goes_on_after(self, future: Future[Any]) -> bool:
        """Whether this thread is still needed: not if it hung and another one replaced it meanwhile."""
        with self._lock:
            self._hung.discard(future)
            if self._started_count - len(self._hung) > self._thread_count:
                self._started_count -= 1
                return False
            self._spare_count += 1
            return True


class FileCalls(Executor):
    """One caller's access to the reading pool: one call at a time, with a time limit."""

    def __init__(self, pool: ReadingPool, stuck_s: float) -> None:
        self._pool = pool
        self._stuck_s = stuck_s
        self._latest: Future[Any] | None = None

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call on the pool."""
        future = self._pool.submit(fn, *args, **kwargs)
        self._latest = future
        return future

    def let_go(self, call: Callable[[], object]) -> None:
        """Run a last call that is not awaited, and is made even if an earlier one hangs or fails.

        Raises RuntimeError after the pool was shut down.
        """
        self._pool.submit(call)

    async def result_of(self, call: Awaitable[T]) -> T:
        """Wait for a call that was made here, up to the time limit. Raises SourceError, and what the call raises."""
        patience = asyncio.timeout(self._stuck_s)
        try:
            async with patience:
                return await call
        except asyncio.CancelledError:
            self.give_up()
            raise
        except TimeoutError:
            # A call may raise it, too: network file systems do.
            if not patience.expired():
                raise
            # A call that never began waited for threads that hang: its own file is not to blame.
            hangs = self.give_up()
            raise SourceError(
                f"the file system did not answer for {human_seconds(self._stuck_s)}",
                local_limit=not hangs,
                transient=hangs,
            ) from None

    def give_up(self) -> bool:
        """Stop waiting for the latest call; return whether it hangs, as opposed to not having begun."""
        return self._latest is not None and self._pool.give_up(self._latest)


def _make(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - raised to the caller that awaits the future
        future.set_exception(error)
    else:
        future.set_result(result)
