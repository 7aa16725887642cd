"""What a command costs as a process of its own: wall time, CPU time of user and system, peak memory."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024
_ERROR_BYTES_MAX = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one child process took.

    `began_s` is when it was started, by the monotonic clock; `errors` the end of what it wrote to stderr, empty where that was
    a terminal.
    """

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int
    exit_code: int
    began_s: float
    errors: str = ""


def cost_of(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, terminal: bool = False
) -> Cost:
    """Run a command and return its cost; its output goes nowhere, or to a terminal that nobody looks at."""
    environment = {**os.environ, **(environment or {})}
    # Everybody is measured as installed: pip compiles what it installs, a checkout compiles itself on its first run.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if terminal:
        return _cost_on_a_terminal(command, environment)
    with tempfile.TemporaryFile() as errors:
        cost = _cost(command, environment, output=subprocess.DEVNULL, errors=errors.fileno())
        errors.seek(max(0, errors.tell() - _ERROR_BYTES_MAX))
        last_errors = errors.read().decode(errors="replace")
    return Cost(
        wall_s=cost.wall_s,
        cpu_s=cost.cpu_s,
        peak_rss_bytes=cost.peak_rss_bytes,
        exit_code=cost.exit_code,
        began_s=cost.began_s,
        errors=last_errors,
    )


def bulk_upload_command(*words: str) -> list[str]:
    """Return the command line of the bulk-upload that this interpreter has."""
    return [sys.executable, "-m", "bulk_upload", *words]


def _cost(command: Sequence[str], environment: Mapping[str, str], *, output: int, errors: int) -> Cost:
    began = time.monotonic()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment
    ) as child:
        # Of this child alone; RUSAGE_CHILDREN would give the highest peak of all children so far.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return Cost(
            wall_s=time.monotonic() - began,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=usage.ru_maxrss * _RSS_UNIT_BYTES,
            exit_code=child.returncode,
            began_s=began,
        )


def _cost_on_a_terminal(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    ours, theirs = pty.openpty()

    def drain() -> None:
        with suppress(OSError):  # the terminal's other end was closed
            while os.read(ours, 65536):
                pass

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        environment = {**environment, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        return _cost(command, environment, output=theirs, errors=theirs)
    finally:
        os.close(theirs)
        reader.join()
        os.close(ours)
