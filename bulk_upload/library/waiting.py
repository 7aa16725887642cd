"""A run on a thread of its own while the caller waits, however the wait is interrupted."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bulk_upload.core.machine.shortage import naming_shortage

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulk_upload.job_run import JobRun, Result
    from bulk_upload.library.uploader import Uploader

LOOKS_EVERY_S = 0.25
"""How often the waiting thread wakes: for the display, and for exceptions that another thread sets."""

PLAN_ENDS_S = 5.0
"""How long to wait for the thread of a plan that was given up. It looks after every few hundred entries."""

_CANCEL = 2
_GIVE_UP = 4


class BackgroundRun:
    """A run on a thread with an event loop of its own; `wait` is called by one thread, once.

    That thread's event loop, if it has one, and the signal handlers of the process are left alone: an interrupt is
    whatever exception the wait raises. That is KeyboardInterrupt in a script or a notebook, and what the handler of a
    task runner raises at SIGTERM. asyncio.run() answers the first Ctrl-C with a cancellation of its task, and nothing is
    raised while that task waits here: the cancellation counts as a KeyboardInterrupt.

    Args:
        uploader: is closed at the end.
        run: has not begun.
    """

    def __init__(self, uploader: Uploader, run: JobRun) -> None:
        self._uploader = uploader
        self._run = run
        self._loop = asyncio.new_event_loop()
        self._over = threading.Event()
        self._refused = False
        self._caller: asyncio.Task[object] | None = None
        self._cancels = 0
        self._result: Result | None = None
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._work,), name="bulk-upload-run", daemon=True
        )

    def wait(self, tick: Callable[[], None]) -> Result:
        """Run to the end and return the result, or raise what the run raised.

        The first KeyboardInterrupt lets uploads in flight finish, the second aborts and records them, the third waits
        only for what cannot be left; a fourth leaves a thread behind that waits for a disk. Any other exception aborts
        and records at once: nobody would send a second. The first exception is raised again when the run is over.
        A caller in another thread than the main one also ends its run when the main thread ends.

        `tick` is called about four times a second.
        """
        interrupts: list[BaseException] = []
        with suppress(RuntimeError):
            self._caller = asyncio.current_task()
        self._cancels = self._cancel_count()
        while True:
            # Whatever is raised between two lines, the interrupts alone say how firmly the run is ended.
            try:
                if not interrupts:
                    self._start()
                self._watch(tick, _stage_after(interrupts))
                break
            except BaseException as error:  # noqa: BLE001 - raised again below
                interrupts.append(error)
                if self._thread.ident is None:
                    break
        if interrupts:
            interrupts[0].add_note("bulk-upload: the ledger has what was sent; the same call resumes the job")
            raise interrupts[0]
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise AssertionError("a run without result and error")
        return self._result

    def _start(self) -> None:
        try:
            with naming_shortage():
                self._thread.start()
        except BaseException:
            # An interrupt may come between the start of the thread and its first line.
            self._refused = True
            if self._thread.ident is None:
                self._loop.close()
            else:
                self._refused = False
            raise

    def _watch(self, tick: Callable[[], None], stage: int) -> None:
        """Return when the run is over, or at once where it was given up."""
        main = threading.main_thread()
        if stage:
            self._end(stage)
        while stage < _GIVE_UP and not self._over.wait(LOOKS_EVERY_S):
            tick()
            if self._cancel_count() > self._cancels:
                self._cancels = self._cancel_count()
                raise KeyboardInterrupt
            if stage < _CANCEL and not main.is_alive():
                # The interpreter is about to end, and waits for this thread.
                stage = _CANCEL
                self._end(stage)
        if stage < _GIVE_UP:
            self._thread.join()

    def _cancel_count(self) -> int:
        """Return how often the task was cancelled that waits: by a signal handler, for its loop is blocked."""
        return 0 if self._caller is None else self._caller.cancelling()

    def _end(self, stage: int) -> None:
        # The loop is closed when the run is over.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._run.interrupt, stage)

    def _work(self) -> None:
        if self._refused:
            return
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                self._result = runner.run(self._whole())
        except BaseException as error:  # noqa: BLE001 - raised by `wait`
            self._error = error
        finally:
            self._over.set()

    async def _whole(self) -> Result:
        try:
            async with self._uploader:
                return await self._run
        finally:
            await self._uploader.settled(PLAN_ENDS_S)


def _stage_after(interrupts: list[BaseException]) -> int:
    """Return how firmly the run is ended after these exceptions: 0 not at all."""
    stage = 0
    for one in interrupts:
        stage = stage + 1 if isinstance(one, KeyboardInterrupt) else max(stage + 1, _CANCEL)
    return stage
