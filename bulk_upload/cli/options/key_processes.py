"""The commands that print keys and are still running: they end with whatever started them."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

COMMAND_S_MAX = 30.0
"""How long the program may take, a person who types a password for it included."""

RUNNING: set[subprocess.Popen[bytes]] = set()


def end_key_commands() -> None:
    """End every command that is still running, with its children: its key is no longer needed."""
    for process in tuple(RUNNING):
        end_process(process)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a command with its children."""
    from subprocess import TimeoutExpired  # noqa: PLC0415 - most keys come from elsewhere

    # Until it is waited for, its number cannot be another group's.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutExpired):
        process.wait(1.0)
