"""Commands that start in an instant: forked off a process that has imported them."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tests.processes.shell_command import AT_TERMINAL

_SERVER = Path(__file__).with_name("fork_server.py")
_SHELL_COMMAND = Path(__file__).with_name("shell_command.py")


class _ForkServer:
    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, _SERVER, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._answers = self._channel.makefile("rb")

    def ask(self, **request: Any) -> Any:
        """Return the answer."""
        try:
            self._channel.sendall(json.dumps(request).encode() + b"\n")
            line = self._answers.readline()
        except BaseException:
            # A test that ran out of time: the answer would be taken for that to the next request.
            _server.cache_clear()
            raise
        if not line:
            raise AssertionError(f"the fork server has ended with {self._process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._answers.close()
        self._channel.close()
        self._process.wait()


@cache
def _server(_owner: int) -> _ForkServer:
    server = _ForkServer()
    atexit.register(server.close)
    return server


def shell_words() -> list[str]:
    """Return what to start in the place of `python -m bulk_upload`: the same, without the time that imports take."""
    if not sys.platform.startswith("linux"):
        return [sys.executable, "-m", "bulk_upload"]
    return _words_of_shell_command()


def terminal_words() -> list[str]:
    """Return the same for a command that leads a session, which the terminal of its standard input controls.

    Whoever starts it does not make the session.
    """
    if not sys.platform.startswith("linux"):
        return [sys.executable, "-c", _AT_TERMINAL]
    return [*_words_of_shell_command(), AT_TERMINAL]


_AT_TERMINAL = """
import fcntl, os, termios
from bulk_upload.cli.main import main
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
main()
"""


def _words_of_shell_command() -> list[str]:
    return [sys.executable, "-I", "-S", str(_SHELL_COMMAND), _shell_server(os.getpid())]


@cache
def _shell_server(_owner: int) -> str:
    folder = tempfile.TemporaryDirectory(prefix="bulk-upload-")
    address = os.path.join(folder.name, "commands")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.shell_server", address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_SERVER.parents[2],
    )
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    assert stdout.readline(), "the server that forks commands did not start"

    def end() -> None:
        with process:
            stdin.close()
        folder.cleanup()

    atexit.register(end)
    return address


class ForkedCommand:
    """A `bulk-upload` of its own process that goes on, as `subprocess.Popen` would show it."""

    def __init__(
        self, arguments: Sequence[str], *, env: Mapping[str, str], cwd: str, stdout: str, stderr: str
    ) -> None:
        self._server = _server(os.getpid())
        self.returncode: int | None = None
        self.pid: int = self._server.ask(
            arguments=list(arguments), env=dict(env), cwd=cwd, stdout=stdout, stderr=stderr
        )["pid"]

    def poll(self) -> int | None:
        """Return how it ended, None while it runs."""
        return self._ended(wait=False)

    def wait(self) -> int:
        """Wait for its end and return how it ended."""
        status = self._ended(wait=True)
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, *, wait: bool) -> int | None:
        if self.returncode is None:
            self.returncode = self._server.ask(pid=self.pid, wait=wait)["status"]
        return self.returncode
