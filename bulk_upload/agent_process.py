"""An agent as a process of its own, started by `--processes`: it ends with the process that started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import msgspec

from bulk_upload.agent_runner import AgentRunner
from bulk_upload.edge.descriptors import raise_descriptor_limit
from bulk_upload.edge.fleet import AgentStart
from bulk_upload.edge.memory import share_one_arena
from bulk_upload.errors import BulkUploadError
from bulk_upload.exit_status import ExitStatus

PATIENCE_S = 60.0
"""The coordinator is on this machine; where it is gone, standard input says so at once."""


def main() -> None:
    """Serve the coordinator that standard input names; exit with a status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise_descriptor_limit()
    share_one_arena()
    line = sys.stdin.buffer.readline()
    if not line:
        # The coordinator is gone, or needs no agent.
        os._exit(ExitStatus.DONE)
    start = msgspec.json.decode(line, type=AgentStart)
    try:
        status = asyncio.run(_serve(start))
    except BulkUploadError as error:
        status = error.exit_status
    # Not `sys.exit`: a thread that hangs in a read must not keep the process.
    os._exit(status)


async def _serve(start: AgentStart) -> ExitStatus:
    runner = AgentRunner(start.url, start.secret, patience_s=PATIENCE_S)
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            runner.abandon("the coordinator is gone")
            os._exit(ExitStatus.DONE)

    loop.add_reader(sys.stdin.fileno(), on_input)
    loop.add_signal_handler(signal.SIGTERM, runner.leave, "the agent was asked to end")
    return (await runner.run()).status
