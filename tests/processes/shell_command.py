"""`bulk-upload` for a shell: asks a `shell_server` to fork the command, passes signals on and ends as the command does.

The command gets this process's arguments, variables, folder and open files. What a fork cannot take over (`world`) is
compared: where it differs from the server's, the command is started as usual. Starting Python is most of the time that
this saves, so it imports hardly anything.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # `signal` makes enumerations, which takes as long as the rest
import _socket
import fcntl
import marshal
import os
import resource
import sys
import termios
from typing import NoReturn

AT_START = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_", "SSL_", "OPENSSL_", "AIOHTTP_")
AT_START_NAMES = ("LANG", "LANGUAGE", "TZ")
"""The variables that Python, the C library and imported packages read once."""

AT_TERMINAL = "--at-terminal"
"""As the first argument: the command leads a session, which the terminal that its standard input is controls."""

PASSED_ON = ("SIGHUP", "SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
HIGHEST = 255
"""The highest number of an open file that a command is given."""


def world() -> dict[str, object]:
    """Return what a process has from the one that starts it, and one that is forked elsewhere has not."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "session": os.getsid(0),
        "ids": (os.getuid(), os.geteuid(), os.getgid(), os.getegid()),
        "umask": umask,
        "mounts": os.readlink("/proc/self/ns/mnt"),
        "niceness": os.nice(0),
        "limits": [
            (name, resource.getrlimit(getattr(resource, name)))
            for name in dir(resource)
            if name.startswith("RLIMIT_") and name != "RLIMIT_CORE"
        ],
        "most core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "ignored": [
            number for number in range(1, _signal.NSIG) if _signal.getsignal(number) == _signal.SIG_IGN
        ],
        "blocked": sorted(int(number) for number in _signal.pthread_sigmask(_signal.SIG_BLOCK, ())),
        "variables": sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.startswith(AT_START) or name in AT_START_NAMES
        ),
    }


def open_files() -> list[int] | None:
    """Return the numbers of the open files that a command gets; None if a fork cannot have them all.

    It has no terminal that controls it, and Python makes something of a standard stream that is closed.
    """
    found = []
    for name in os.listdir("/proc/self/fd"):
        number = int(name)
        try:
            if not os.get_inheritable(number):
                continue
        except OSError:
            # The folder that was listed.
            continue
        if number > HIGHEST or _controls(number):
            return None
        found.append(number)
    return found if {0, 1, 2} <= set(found) else None


def _controls(number: int) -> bool:
    try:
        os.tcgetpgrp(number)
    except OSError:
        return False
    return True


def be_at_terminal() -> None:
    """Lead a session that the terminal of standard input controls: only then is Ctrl-C a signal."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def start_as_usual(arguments: list[str]) -> NoReturn:
    """Become the command."""
    if arguments[:1] == [AT_TERMINAL]:
        be_at_terminal()
        arguments = arguments[1:]
    os.execv(sys.executable, [sys.executable, "-m", "bulk_upload", *arguments])


def ask(address: str, arguments: list[str], files: list[int]) -> tuple[_socket.socket, int]:
    """Return the channel on which the command's end comes, and its pid; 0 if it was not forked."""
    request = marshal.dumps(
        {
            "arguments": arguments,
            "variables": dict(os.environb),
            "folder": os.getcwdb(),
            "files": files,
            # A test of a command that holds a key leaves it lower.
            "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "world": world(),
        }
    )
    channel = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    channel.connect(address)
    numbers = b"".join(number.to_bytes(4, sys.byteorder) for number in files)
    channel.sendmsg([len(request).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, numbers)])
    channel.sendall(request)
    return channel, int.from_bytes(channel.recv(4), "big")


def end_as(status: int) -> NoReturn:
    """End with an exit code, or by the signal that minus `status` is the number of."""
    if status < 0:
        if -status not in {_signal.SIGKILL, _signal.SIGSTOP}:
            _signal.signal(-status, _signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main() -> None:
    """Run the command that the arguments after the server's address name."""
    address, *arguments = sys.argv[1:]
    files = open_files()
    if files is None:
        start_as_usual(arguments)
    channel, pid = ask(address, arguments, files)
    if not pid:
        start_as_usual(arguments)
    for name in PASSED_ON:
        number = getattr(_signal, name)
        if _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, lambda number, _frame: os.kill(pid, number))
    answer = channel.recv(4)
    if len(answer) != 4:
        sys.exit("the server that forks commands has ended")
    end_as(int.from_bytes(answer, "big", signed=True))


if __name__ == "__main__":
    main()
