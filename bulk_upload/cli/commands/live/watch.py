"""`bulk-upload watch`: the display of a run in another terminal."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import click

from bulk_upload.cli.options.completion import file_names
from bulk_upload.cli.options.ledger_name import LEDGER
from bulk_upload.cli.output.streams import styled, tell
from bulk_upload.core.text.printable import human_seconds, printable
from bulk_upload.core.text.timestamps import utc_seconds
from bulk_upload.edge.ledger import LedgerReader, require_ledger
from bulk_upload.exit_status import ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bulk_upload.cli.output.watched_run import Look, WatchedLedger
    from bulk_upload.core.model import EntryState
    from bulk_upload.core.report.history import RunFacts

LOOK_EVERY_S = 0.5


class _Screen(Protocol):
    """Shows one look after the other."""

    def show(self, look: Look) -> None:
        """Show what the run has done."""


@click.command("watch")
@click.argument("ledger", type=LEDGER, shell_complete=file_names)
@click.option("--no-progress", is_flag=True, help="Print plain lines instead of a live display.")
def watch(ledger: str, *, no_progress: bool) -> int:
    """Show the run in progress on LEDGER until it ends, or how the last one ended.

    The display is that of `run`. It reads the ledger and asks the run for its numbers twice a second; the run is not
    disturbed, and Ctrl-C ends only the watching. The exit code is that of the run: 5 if it ended without one, 7 if no
    run ever worked on the ledger.

    \b
    Examples:
      bulk-upload watch manifest.ledger.db
      bulk-upload watch manifest.ledger.db && echo all accepted
    """
    from bulk_upload.cli.output.watched_run import WatchedLedger  # noqa: PLC0415 - help needs no HTTP library

    require_ledger(ledger, may_be_new=False)
    watched = WatchedLedger(ledger, time.monotonic)
    if watched.is_at_work():
        with ExitStack() as closing:
            _follow(watched, _screen_of(watched, closing, live=not no_progress))
    return _tell_end(ledger)


def _follow(watched: WatchedLedger, screen: _Screen) -> None:
    while watched.is_at_work():
        look = watched.look()
        if not watched.is_at_work():
            # It ended meanwhile: what was counted then may be half of the end.
            return
        screen.show(look)
        time.sleep(LOOK_EVERY_S)


def _screen_of(watched: WatchedLedger, closing: ExitStack, *, live: bool) -> _Screen:
    if live and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return _Live(watched, closing)
    return _Lines(watched)


class _Live:
    """Draws on a terminal."""

    def __init__(self, watched: WatchedLedger, closing: ExitStack) -> None:
        from bulk_upload.cli.output.run_display import terminal_console  # noqa: PLC0415 - only for a terminal
        from bulk_upload.edge.signals import stoppable  # noqa: PLC0415
        from bulk_upload.report.live.terminal import LiveProgress  # noqa: PLC0415

        self._live = closing.enter_context(
            LiveProgress(
                terminal_console(),
                lambda: watched.latest.snapshot,
                time.monotonic,
                lambda: watched.latest.bodies,
            )
        )
        closing.enter_context(stoppable(self._live.suspend, self._live.resume))

    def show(self, look: Look) -> None:
        """Draw it at the next refresh."""
        self._live.check()
        if look.tally is not None:
            self._live.take(look.tally, look.running, running_s=look.running_s, draining=look.draining)


class _Lines:
    """Prints a plain line every 30 seconds."""

    def __init__(self, watched: WatchedLedger) -> None:
        from bulk_upload.report.live.plain_lines import LineProgress  # noqa: PLC0415 - loads the events

        # A person who begins to watch need not wait for the first line.
        self._lines = LineProgress(tell, lambda: watched.latest.snapshot, time.monotonic, first_s=0.0)

    def show(self, look: Look) -> None:
        """Print the line that is due."""
        if look.tally is not None:
            self._lines.take(look.tally, running_s=look.running_s, draining=look.draining)
        self._lines.tick()


def _tell_end(ledger: str) -> int:
    with LedgerReader(ledger) as reader:
        run, states = reader.last_run(), reader.states()
    if run is None:
        tell("No run has worked on this ledger yet.")
        return ExitStatus.NO_RUN
    status = next((one for one in ExitStatus if one == run.exit_status), ExitStatus.UNFINISHED)
    for line in styled(_end_lines(ledger, run, states, status)):
        tell(line)
    return status


def _end_lines(
    ledger: str, run: RunFacts, states: dict[EntryState, int], status: ExitStatus
) -> Iterator[str]:
    from bulk_upload.report.live.marks import STATE_WORDS  # noqa: PLC0415 - only at the end
    from bulk_upload.report.live.verdict import state_line, verdict_line, whole  # noqa: PLC0415

    began_s, ended_s = utc_seconds(run.started_utc), utc_seconds(run.ended_utc or "")
    took = (
        "" if began_s is None or ended_s is None else f", after {human_seconds(max(0.0, ended_s - began_s))}"
    )
    ended = "" if run.exit_status is None else f" and ended {_time(run.ended_utc)}{took}"
    yield f"The last run began {_time(run.started_utc)}{ended}."
    for state in STATE_WORDS:
        if count := states.get(state, 0):
            yield state_line(f"{count:,} {STATE_WORDS[state]}", state)
    if status is not ExitStatus.DONE:
        yield "What is left, and what to do about it:"
        yield whole(f"  bulk-upload status {printable(ledger)}", "bold")
    yield verdict_line(status, None if run.exit_status is not None else "the run did not end by itself")


def _time(utc: str | None) -> str:
    return "" if utc is None else f"{utc[:19].replace('T', ' ')} UTC"
