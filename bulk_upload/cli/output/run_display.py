"""What a person sees during a run."""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from bulk_upload.cli.output.streams import tell
from bulk_upload.core.events import Noticed, PlanMade, Snapshot
from bulk_upload.core.text.printable import printable
from bulk_upload.report.live.plain_lines import WITHOUT_LINES, LineProgress
from bulk_upload.report.live.verbose import verbose_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from rich.console import Console

    from bulk_upload.core.api.connection import Connection
    from bulk_upload.core.events import Event
    from bulk_upload.job_run import JobRun

_NOTHING_YET = Snapshot(
    in_flight=0, limit=0, limit_reason="starting", pause_s=0.0, parked_count=0, wire_bytes=0, partial_bytes=0
)


class Display(Protocol):
    """Shows a run."""

    def on_event(self, event: Event) -> None:
        """Show an event."""

    def tick(self) -> None:
        """Show the state of the run; called about once a second."""

    def say(self, line: str) -> None:
        """Print a line, at any time."""

    def suspend(self) -> None:
        """Leave the terminal to the shell: the process is about to be stopped."""

    def resume(self) -> None:
        """Take the terminal again: the process continues."""

    def restore(self) -> None:
        """Restore the terminal, from a process that is about to exit at once."""


class Silent:
    """Shows no progress, and prints only messages."""

    def on_event(self, event: Event) -> None:
        """Show nothing."""

    def tick(self) -> None:
        """Show nothing."""

    def say(self, line: str) -> None:
        """Print a line."""
        tell(line)

    def suspend(self) -> None:
        """Do nothing: nothing is drawn."""

    def resume(self) -> None:
        """Do nothing: nothing is drawn."""

    def restore(self) -> None:
        """Do nothing: the terminal was not changed."""


class PlainLines(Silent):
    """Prints plain lines, for logs and for terminals that cannot do more."""

    def __init__(self, run: JobRun, heading: Heading) -> None:
        self._lines = LineProgress(tell, lambda: snapshot_of(run), time.monotonic, counted=lambda: run.tally)
        self._heading = heading

    def on_event(self, event: Event) -> None:
        """Print what an event changes."""
        if isinstance(event, WITHOUT_LINES):
            return
        self._heading.print_before(event, self.say)
        self._lines.on_event(event)

    def tick(self) -> None:
        """Print a line when one is due."""
        self._lines.tick()


class Live:
    """Draws on a terminal, and redraws as the run progresses."""

    def __init__(self, run: JobRun, heading: Heading, closing: ExitStack) -> None:
        from rich.text import Text  # noqa: PLC0415

        from bulk_upload.report.live.terminal import SHOW_CURSOR, LiveProgress  # noqa: PLC0415

        self._console = terminal_console()
        self._text = Text
        self._show_cursor = SHOW_CURSOR
        self._heading = heading
        self._live = closing.enter_context(
            LiveProgress(
                self._console,
                lambda: snapshot_of(run),
                time.monotonic,
                lambda: run.bodies,
                counted=lambda: run.tally,
            )
        )

    def on_event(self, event: Event) -> None:
        """Draw what an event changes."""
        self._heading.print_before(event, self.say)
        self._live.on_event(event)

    def tick(self) -> None:
        """Raise an error of the thread that draws."""
        self._live.check()

    def say(self, line: str) -> None:
        """Print a line above the drawing, through its console: otherwise the drawing would overwrite it."""
        self._console.print(self._text(line))

    def suspend(self) -> None:
        """Remove the drawing and show the cursor."""
        self._live.suspend()

    def resume(self) -> None:
        """Draw again, below what the shell wrote."""
        self._live.resume()

    def restore(self) -> None:
        """Show the cursor."""
        write_now(self._show_cursor)


def terminal_console() -> Console:
    """Return a console on stderr that always has the size of the terminal."""
    from rich.console import Console  # noqa: PLC0415 - costs start-up time where there is no terminal

    # An exported COLUMNS does not follow the terminal's size, as the drawing must.
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return Console(stderr=True, _environ=environ)


class Heading:
    """Names the server, and the file that settings came from, before the plan and all that is noticed."""

    def __init__(self, connection: Connection, settings_from: str | None) -> None:
        self._connection = connection
        self._settings_from = settings_from
        self._is_printed = False

    def print_before(self, event: Event, say: Callable[[str], None]) -> None:
        """Print the heading, once, if `event` is the plan or a notice."""
        if self._is_printed or not isinstance(event, PlanMade | Noticed):
            return
        self._is_printed = True
        if self._settings_from is not None:
            say(printable(f"settings: {self._settings_from}"))
        team = "" if self._connection.team is None else f", team {self._connection.team}"
        say(printable(f"server: {self._connection.endpoint}{team}"))


def display_of(run: JobRun, heading: Heading, closing: ExitStack, *, live: bool, silent: bool) -> Display:
    """Return the display that fits where stderr goes; `closing` ends it."""
    if silent:
        return Silent()
    if live and sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        return Live(run, heading, closing)
    return PlainLines(run, heading)


def printing_verbosely(display: Display, verbosity: int) -> Callable[[Event], None]:
    """Return a listener that prints accepted entries and retries, and, from a `verbosity` of 2, each request."""

    def on_event(event: Event) -> None:
        if line := verbose_line(event, verbosity):
            display.say(line)

    return on_event


def snapshot_of(run: JobRun) -> Snapshot:
    """Return the state of a run, also before its plan is made."""
    return run.snapshot or _NOTHING_YET


def write_now(data: bytes) -> None:
    """Write to the terminal, unless that would block: one stopped with Ctrl-S accepts nothing."""
    with suppress(OSError, ValueError):
        if select.select((), (sys.stderr.fileno(),), (), 0)[1]:
            os.write(sys.stderr.fileno(), data)
