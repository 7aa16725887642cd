"""SIGINT, SIGTERM and SIGHUP in stages, the last of which needs neither the event loop nor the main thread; Ctrl-Z."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from bulk_upload.core.machine.shortage import naming_shortage
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANGS_S = 30.0
"""How long, once a signal came, the event loop may be blocked before its process is ended: it may be for ever."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def status_after(number: signal.Signals) -> ExitStatus:
    """Return the exit code of a command that a signal ended."""
    return ExitStatus.INTERRUPTED if number == signal.SIGINT else ExitStatus.TERMINATED


@contextmanager
def staged_signals(
    stages: tuple[Callable[[signal.Signals], None], ...], *, leave: Callable[[signal.Signals], int]
) -> Iterator[None]:
    """Call the first stage at the first signal, the second at the second; end the process at the one after them.

    The stages run on the event loop. `leave` returns the exit code; it is called on a thread of its own while the
    loop or the main thread may hang, so it must not wait for either, nor for any stream. A signal that is ignored
    at the beginning, as under `nohup`, stays ignored.

    Handlers and wakeup descriptor are restored at the end. Raises RuntimeError without a running event loop in the
    main thread, ResourceShortage where no thread can be started.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("signals arrive in the main thread only")
    heard = tuple(one for one in _SIGNALS if _may_be_taken(one))
    with ExitStack() as undo:
        with naming_shortage():
            listener = _Listener(asyncio.get_running_loop(), heard, stages, leave)
        undo.callback(listener.close)
        listener.take_wakeups()
        for one in heard:
            undo.callback(signal.signal, one, signal.signal(one, _on_signal))
            # Restart what the signal interrupts in C code, as asyncio's own handlers do.
            signal.siginterrupt(one, False)
        yield


@contextmanager
def stoppable(suspend: Callable[[], None], resume: Callable[[], None]) -> Iterator[None]:
    """Call `suspend` before Ctrl-Z (SIGTSTP) stops the process, and `resume` when it continues, however it was stopped.

    `resume` may be called twice for one stop. Both are called in the main thread, between any two of its instructions. A SIGTSTP that is ignored at the beginning
    stays ignored. The handlers are restored at the end.
    """

    is_stopping = False

    def on_stop(number: int, _frame: object) -> None:
        nonlocal is_stopping
        is_stopping = True
        suspend()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here once it continues, or at once where nobody could make it continue (an orphaned process group). The next
        # Ctrl-Z may come as soon as somebody sees that the process is back.
        signal.signal(number, on_stop)
        is_stopping = False
        resume()

    def on_continue(*_: object) -> None:
        if not is_stopping:
            resume()

    with ExitStack() as undo:
        if _may_be_taken(signal.SIGTSTP) and _may_be_taken(signal.SIGCONT):
            for number, handler in (
                (signal.SIGTSTP, on_stop),
                (signal.SIGCONT, on_continue),
            ):
                undo.callback(signal.signal, number, signal.signal(number, handler))
                signal.siginterrupt(number, False)
        yield


def _may_be_taken(number: signal.Signals) -> bool:
    # None: set by code that is not Python's, which could not be restored.
    return signal.getsignal(number) not in (signal.SIG_IGN, None)


def _on_signal(number: int, frame: object) -> None:
    """Do nothing: the wakeup descriptor has the signal's number already, and the main thread may hang."""


class _Listener:
    """The thread that reads signal numbers as they come, and counts them.

    The interpreter writes each number from the C handler, in whatever thread the signal arrives. Each is passed on
    to the descriptor that was there before: uvloop and asyncio learn of other signals by it.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        heard: tuple[signal.Signals, ...],
        stages: tuple[Callable[[signal.Signals], None], ...],
        leave: Callable[[signal.Signals], int],
    ) -> None:
        self._loop = loop
        self._heard = heard
        self._stages = stages
        self._leave = leave
        self._former_fd = -1
        self._over = False
        self._latest: signal.Signals | None = None
        self._is_asked = False
        """Whether the loop has yet to call what it was given last."""
        self._numbers, self._wakeup = socket.socketpair()
        self._numbers.setblocking(True)
        self._wakeup.setblocking(False)
        self._thread = threading.Thread(target=self._listen, name="bulk-upload-signals", daemon=True)
        try:
            self._thread.start()
        except BaseException:
            self._numbers.close()
            self._wakeup.close()
            raise

    def take_wakeups(self) -> None:
        """Have the interpreter write signal numbers here."""
        self._former_fd = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Restore the wakeup descriptor, and wait for the thread, which waits for nothing else."""
        self._over = True
        current_fd = signal.set_wakeup_fd(self._former_fd)
        if current_fd != self._wakeup.fileno():
            # Other code has replaced it by now, and must restore it.
            signal.set_wakeup_fd(current_fd)
        self._wakeup.close()
        self._thread.join()
        self._numbers.close()

    def _listen(self) -> None:
        received = 0
        while data := self._receive():
            if self._former_fd >= 0:
                with suppress(OSError):
                    os.write(self._former_fd, data)
            for byte in data:
                if byte in self._heard and not self._over:
                    self._on_number(received, signal.Signals(byte))
                    received += 1

    def _receive(self) -> bytes:
        """Return the next numbers, empty at the end. After a signal, ends the process once the loop is blocked."""
        while True:
            self._numbers.settimeout(None if self._latest is None else HANGS_S)
            try:
                return self._numbers.recv(64)
            except TimeoutError:
                if self._latest is None or self._over:
                    continue
                if self._is_asked:
                    self._end(self._latest)
                self._ask(self._answer)

    def _on_number(self, received: int, number: signal.Signals) -> None:
        if received >= len(self._stages):
            self._end(number)
        self._latest = number
        self._ask(self._call, self._stages[received], number)

    def _ask(self, call: Callable[..., None], *arguments: object) -> None:
        """Have the loop call something, and know by that whether it is blocked."""
        self._is_asked = True
        # The loop is closed when the process is about to end anyway.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _answer(self) -> None:
        self._is_asked = False

    def _end(self, number: signal.Signals) -> NoReturn:
        status = int(ExitStatus.UNEXPECTED)
        try:
            status = self._leave(number)
        finally:
            os._exit(status)

    def _call(self, stage: Callable[[signal.Signals], None], number: signal.Signals) -> None:
        self._answer()
        if not self._over:
            stage(number)
