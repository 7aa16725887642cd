"""A process that has imported every command, and forks for each that is asked for.

Most of a short command's time Python starts and imports. Run as a script with the number of a socket, on which each
line is one request or one answer in JSON:

    {"arguments": [...], "env": {...}, "cwd": "...", "stdout": "...", "stderr": "..."}  -> {"pid": 17}
    {"pid": 17, "wait": false}  -> {"status": null}, or the exit code, or minus the number of the signal that ended it

The process that is forked is one of its own in every other respect; the streams go to files.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
import sysconfig
import traceback
from typing import Any

COMMAND = os.path.join(sysconfig.get_path("scripts"), "bulk-upload")
LATE = (
    "bulk_upload.cli.run_job",
    "bulk_upload.engine.assembly",
    "bulk_upload.job_runner",
    "bulk_upload.edge.memory",
    "anyio._backends._asyncio",
    "rich.progress",
    "rich.table",
)
"""Modules that a command imports on its way."""


def import_all() -> None:
    """Import what commands need."""
    from bulk_upload.cli.main import COMMANDS  # noqa: PLC0415 - the path is put right first

    for name in (*(module.partition(":")[0] for module in COMMANDS.values()), *LATE):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def serve(channel: socket.socket) -> None:
    """Answer requests until the other side is gone."""
    with channel.makefile("rb") as requests:
        for line in requests:
            asked = json.loads(line)
            answer = {"status": _status_of(**asked)} if "pid" in asked else {"pid": _start(channel, asked)}
            channel.sendall(json.dumps(answer).encode() + b"\n")


def _status_of(pid: int, *, wait: bool) -> int | None:
    found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _start(channel: socket.socket, asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.close(channel.detach())
        _become(**asked)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(70)


def _become(*, arguments: list[str], env: dict[str, str], cwd: str, stdout: str, stderr: str) -> None:
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    writing = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (stdout, writing), (stderr, writing))):
        descriptor = os.open(path, flags, 0o666)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - these are open to the end
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv[:] = [COMMAND, *arguments]
    from bulk_upload.cli import main  # noqa: PLC0415 - as above

    main()


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(COMMAND)
    import_all()
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        serve(channel)
