"""`bulk-upload serve`: the live page of a run, for browsers."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.output.streams import put, tell
from bulk_upload.core.text.printable import printable
from bulk_upload.edge.ledger import require_ledger
from bulk_upload.errors import BulkUploadError, UsageError
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from bulk_upload.cli.output.live_state import LiveState
    from bulk_upload.edge.live_server import LiveServer

STATE_EVERY_S = 1.0
_STARTING = (
    b'{"phase":"starting","title":"Starting","why":"The ledger is not there yet.","files":[0,0],"bytes":[0,0,0],'
    b'"files_text":"0 of 0","bytes_text":"","states":[],"numbers":[],"points":[],"uploads":[],"failures":[],'
    b'"failure_count":0,"may_change":false,"paused_by_hand":false,"ledger":""}'
)


@click.command("serve")
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@click.option(
    "--address",
    metavar="ADDRESS",
    default="127.0.0.1:0",
    show_default=True,
    help="Listen here: PORT, HOST:PORT or [IPV6]:PORT; port 0 is any free one.",
)
@click.option("--control", is_flag=True, help="Let the page pause, resume and limit the run.")
@click.option("--with-run", is_flag=True, help="End when standard input ends; `run --serve` uses this.")
def serve(ledger: str, *, address: str, control: bool, with_run: bool) -> int:
    """Serve a live page about the job of LEDGER until Ctrl-C (exit code 0): figures, charts, uploads in flight, failures.

    Open the printed address; what follows # is a token, so treat the address like a password. Only this machine can
    reach the page unless --address names another of its addresses; it is HTTP without TLS, so use a tunnel or a proxy
    then. The page survives the end of a run and shows the next one. The run is not disturbed.

    \b
    Examples:
      bulk-upload serve manifest.ledger.db
      bulk-upload serve manifest.ledger.db --address 8099 --control
    """
    import anyio  # noqa: PLC0415 - help must not wait for an event loop

    from bulk_upload.cli.output.serving import address_of  # noqa: PLC0415

    if not with_run:
        require_ledger(ledger, may_be_new=False)
    host, port = address_of(address)
    try:
        anyio.run(partial(_serve, ledger, host, port, control=control, with_run=with_run))
    except OSError as error:
        raise UsageError(
            # asyncio's own text names the address again.
            f"cannot listen at {printable(address)}: {os.strerror(error.errno) if error.errno else error}",
            hint="choose another address or port",
        ) from None
    return ExitStatus.DONE


async def _serve(ledger: str, host: str, port: int, *, control: bool, with_run: bool) -> None:
    import anyio  # noqa: PLC0415

    from bulk_upload.cli.output.live_state import LiveState, change  # noqa: PLC0415 - help needs no HTTP library
    from bulk_upload.cli.output.watched_run import WatchedLedger  # noqa: PLC0415
    from bulk_upload.edge.live_server import LiveServer  # noqa: PLC0415
    from bulk_upload.edge.signals import staged_signals, status_after  # noqa: PLC0415
    from bulk_upload.report.page.live_page import live_page  # noqa: PLC0415

    async def act(asked: dict[str, object]) -> list[str]:
        return await anyio.to_thread.run_sync(change, ledger, asked)

    page, policy = live_page()
    server = LiveServer(page, policy, act=act if control else None)
    live = LiveState(ledger, WatchedLedger(ledger, time.monotonic), time.monotonic, may_change=control)
    stopped = anyio.Event()
    with ExitStack() as signals:
        if not with_run:
            # A service that is stopped has done what it was asked to: it ends well.
            stages = (lambda _: stopped.set(),)
            signals.enter_context(staged_signals(stages, leave=status_after))
        async with server.listening(host, port) as where:
            if with_run:
                put(f"live page: {where}\n")
                sys.stdout.flush()
            else:
                tell(f"Live page: {where}")
                tell("Treat the address like a password. Ctrl-C ends the page, not the run.")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_keep_publishing, server, live)
                if with_run:
                    await _standard_input_ends()
                    server.publish(await anyio.to_thread.run_sync(_state, live))
                    # The last state is on its way to who watches.
                    await anyio.sleep(0.2)
                else:
                    await stopped.wait()
                tasks.cancel_scope.cancel()


async def _keep_publishing(server: LiveServer, live: LiveState) -> None:
    import anyio  # noqa: PLC0415

    while True:
        server.publish(await anyio.to_thread.run_sync(_state, live))
        await anyio.sleep(STATE_EVERY_S)


def _state(live: LiveState) -> bytes:
    try:
        return live.state()
    except BulkUploadError:
        # Before a run has made its ledger, or while its disk does not answer: the next look may succeed.
        return _STARTING


async def _standard_input_ends() -> None:
    import anyio  # noqa: PLC0415

    # On a thread: not every kind of file can be waited for.
    while await anyio.to_thread.run_sync(os.read, sys.stdin.fileno(), 4096, abandon_on_cancel=True):
        pass
