"""A process that has imported every command, and forks one for each `shell_command` that asks.

Run as a module with the path of the socket to listen on; it ends when its standard input does.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

from tests.processes.fork_server import COMMAND, import_all
from tests.processes.shell_command import AT_TERMINAL, HIGHEST, be_at_terminal, world

_MOST_FILES = 64


class _Commands:
    """The commands that go on: the channel of each to the process that asked for it."""

    def __init__(self, listener: socket.socket, watched: selectors.BaseSelector) -> None:
        self._listener = listener
        self._watched = watched
        self._world = world()
        self._going_on: dict[int, socket.socket | None] = {}

    def take(self) -> None:
        """Fork what the next process asks for, if a fork is the same as a start."""
        channel, _ = self._listener.accept()
        asked, files = _request(channel)
        try:
            if asked.pop("world") != self._world:
                channel.sendall(bytes(4))
                channel.close()
                return
            pid = os.fork()
            if not pid:
                _become_or_end(files, asked)
        finally:
            for number in files:
                os.close(number)
        self._going_on[pid] = channel
        self._watched.register(channel, selectors.EVENT_READ, pid)
        channel.sendall(pid.to_bytes(4, "big"))

    def collect(self) -> None:
        """Say how each command ended that has ended."""
        for pid in list(self._going_on):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            channel = self._going_on.pop(pid)
            if channel is not None:
                self._watched.unregister(channel)
                with channel, suppress(OSError):
                    channel.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))

    def kill(self, pid: int) -> None:
        """End a command whose asker was killed."""
        channel = self._going_on.get(pid)
        if channel is not None:
            self._going_on[pid] = None
            self._watched.unregister(channel)
            channel.close()
            os.kill(pid, signal.SIGKILL)


def _request(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    length, files, _flags, _address = socket.recv_fds(channel, 4, _MOST_FILES)
    left, pieces = int.from_bytes(length, "big"), []
    while left:
        piece = channel.recv(left)
        if not piece:
            raise ConnectionError("half a request")
        pieces.append(piece)
        left -= len(piece)
    return marshal.loads(b"".join(pieces)), files


def _become_or_end(received: list[int], asked: dict[str, Any]) -> None:
    try:
        _become(received, **asked)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _become(
    received: list[int],
    *,
    arguments: list[str],
    variables: dict[bytes, bytes],
    folder: bytes,
    files: list[int],
    core: int,
) -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Out of the way of the numbers that they are to have.
    moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, HIGHEST + 1) for number in received]
    os.closerange(0, HIGHEST + 1)
    for source, number in zip(moved, files, strict=True):
        os.dup2(source, number)
        os.close(source)
    resource.setrlimit(resource.RLIMIT_CORE, (core, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    os.chdir(folder)
    if arguments[:1] == [AT_TERMINAL]:
        be_at_terminal()
        arguments = arguments[1:]
    os.environb.clear()
    os.environb.update(variables)
    _open_streams()
    sys.argv[:] = [COMMAND, *arguments]
    from bulk_upload.cli import main  # noqa: PLC0415 - the path is put right first

    main()


def _open_streams() -> None:
    """Make the standard streams anew, with the settings that Python gave them."""
    sys.stdin = sys.__stdin__ = _stream(0, "r", sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _stream(1, "w", sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _stream(2, "w", sys.stderr)  # type: ignore[misc]
    sys.stderr.reconfigure(line_buffering=True)


def _stream(number: int, mode: str, was: Any) -> TextIOWrapper:
    made = open(number, mode, encoding=was.encoding, errors=was.errors, closefd=False)  # noqa: SIM115 - open to the end
    assert isinstance(made, TextIOWrapper)
    made.reconfigure(write_through=was.write_through)
    return made


def serve(listener: socket.socket) -> None:
    """Fork commands until standard input ends."""
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    with selectors.DefaultSelector() as watched:
        commands = _Commands(listener, watched)
        for source in (0, listener, woken):
            watched.register(source, selectors.EVENT_READ)
        while True:
            for key, _ in watched.select():
                if key.fd == 0:
                    return
                if key.fileobj is listener:
                    commands.take()
                elif key.fileobj is woken:
                    woken.recv(4096)
                    commands.collect()
                else:
                    commands.kill(key.data)


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(COMMAND)
    import_all()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(128)
        print("listening", flush=True)
        serve(listener)
