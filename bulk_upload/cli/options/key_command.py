"""`--api-key-command`: runs a program that prints the key, within a time limit and never longer than the run itself."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bulk_upload.cli.options.key_processes import COMMAND_S_MAX, RUNNING, end_key_commands, end_process
from bulk_upload.core.text.printable import printable
from bulk_upload.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_PRINTED_BYTES_MAX = 10_000
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TRY_IT = "try the command in a shell"


def printed_by(command: str) -> bytes:
    """Return what a command prints. Raises UsageError where it cannot be run, fails or does not end in time."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise UsageError(
            "--api-key-command is not a command", hint="write it as in a shell, and close quotes"
        )
    name = printable(words[0])
    ends_s = time.monotonic() + COMMAND_S_MAX
    with _started(words, name) as process:
        try:
            data = _read(process, ends_s)
            status = process.wait(max(0.0, ends_s - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            raise UsageError(
                f"--api-key-command {name} did not end within {COMMAND_S_MAX:g} s",
                hint=f"{_TRY_IT}; a program that needs input can write the key to a file, for --api-key-file",
            ) from None
    if len(data) > _PRINTED_BYTES_MAX:
        raise UsageError(f"--api-key-command {name} prints more than a key", hint=_TRY_IT)
    if status == -signal.SIGINT and threading.current_thread() is threading.main_thread():
        # It had the terminal, so Ctrl-C went to it and is meant for both.
        raise KeyboardInterrupt
    if status:
        raise UsageError(f"--api-key-command {name} exited with {status}", hint=_TRY_IT)
    return data


@contextmanager
def _started(words: list[str], name: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program in a process group of its own, which is ended if the block raises."""
    with _signals_end_it() as received:
        try:
            # Its stderr goes where ours goes; its standard output is a secret.
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it contains an invalid character"
            raise UsageError(f"cannot run --api-key-command {name}: {reason}", hint=_TRY_IT) from None
        RUNNING.add(process)
        try:
            if received:
                # The signal came before there was a process to end.
                end_process(process)
            with _in_the_foreground(process):
                yield process
        except BaseException:
            end_process(process)
            raise
        finally:
            RUNNING.discard(process)
            if process.stdout is not None:
                process.stdout.close()
            if process.poll() is None:
                end_process(process)


def _read(process: subprocess.Popen[bytes], ends_s: float) -> bytes:
    """Return what a process prints, truncated beyond the length of a key. Raises TimeoutError."""
    if process.stdout is None:
        return b""
    descriptor = process.stdout.fileno()
    data = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while len(data) <= _PRINTED_BYTES_MAX:
            left_s = ends_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                raise TimeoutError
            piece = os.read(descriptor, 4096)
            if not piece:
                return bytes(data)
            data += piece
    end_process(process)
    return bytes(data)


@contextmanager
def _signals_end_it() -> Iterator[list[int]]:
    """Let a signal end the command, and then have its own effect; yield the signals received so far.

    Outside the main thread a run is active, which handles signals and ends the commands when it ends.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def on_signal(number: int, _: FrameType | None) -> None:
        received.append(number)
        end_key_commands()

    former = {one: signal.getsignal(one) for one in _SIGNALS}
    # Ignored signals, as under nohup, stay ignored.
    caught = [one for one, handler in former.items() if handler not in (signal.SIG_IGN, None)]
    for one in caught:
        signal.signal(one, on_signal)
    try:
        yield received
    finally:
        for one in caught:
            signal.signal(one, former[one])
        if signal.SIGINT in received:
            raise KeyboardInterrupt
        for number in received:
            signal.raise_signal(number)


@contextmanager
def _in_the_foreground(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Give a program our terminal, so that it can ask for a password; take the terminal back afterwards.

    Only at the start of a command: during a run Ctrl-C belongs to the run.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    try:
        terminal = os.open(os.ctermid(), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        ours = os.tcgetpgrp(terminal) == os.getpgrp()
        if ours:
            _hand_over(terminal, process.pid)
            # It may have read from the terminal already, and was stopped for that.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            if ours:
                _hand_over(terminal, os.getpgrp())
    finally:
        os.close(terminal)


def _hand_over(terminal: int, group: int) -> None:
    # A process in the background is stopped by this call, unless it blocks the signal.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
    try:
        with suppress(OSError):
            os.tcsetpgrp(terminal, group)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
