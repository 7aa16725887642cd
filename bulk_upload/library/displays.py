"""The progress of a run where somebody looks: in a terminal, in a notebook, and nowhere else."""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, Protocol, Self

import anyio

from bulk_upload.core.events import Snapshot
from bulk_upload.core.text.printable import printable
from bulk_upload.engine.tasks import plain_task_group
from bulk_upload.library.logs import logger
from bulk_upload.report.live.notable_events import EventLines
from bulk_upload.report.live.progress import Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bulk_upload.core.events import Event
    from bulk_upload.job_run import JobRun
    from bulk_upload.report.live.progress import Reading

UPDATES_EVERY_S = 0.5
LINES_SHOWN_MAX = 12

_NOTHING_YET = Snapshot(
    in_flight=0, limit=0, limit_reason="starting", pause_s=0.0, parked_count=0, wire_bytes=0, partial_bytes=0
)


class Picture(Protocol):
    """What draws on one kind of screen."""

    def on_event(self, event: Event) -> None:
        """Take in an event."""

    def tick(self) -> None:
        """Draw what has changed."""

    def end(self, summary: str) -> None:
        """Leave `summary` on the screen, nothing where it is empty."""


class Display:
    """Shows one run, and never ends it: where the picture fails, it is dropped and the run goes on.

    Args:
        make: returns the picture, from what returns the run; None shows nothing.
    """

    def __init__(self, make: Callable[[Callable[[], JobRun | None]], Picture] | None) -> None:
        self._make = make
        self._picture: Picture | None = None
        self._run: JobRun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        picture = self._picture
        if picture is not None:
            result = None if self._run is None else self._run.result
            self._guarded(lambda: picture.end("" if result is None else result.summary()))

    def follow(self, run: JobRun) -> None:
        """Show a run from now on."""
        self._run = run
        if self._make is not None:
            self._guarded(self._begin)

    def on_event(self, event: Event) -> None:
        """Show an event."""
        picture = self._picture
        if picture is not None:
            self._guarded(lambda: picture.on_event(event))

    def tick(self) -> None:
        """Show the state of the run; called a few times a second."""
        if self._picture is not None:
            self._guarded(self._picture.tick)

    @property
    def shows(self) -> bool:
        """Whether there is anything to draw."""
        return self._picture is not None

    def _begin(self) -> None:
        if self._make is not None:
            self._picture = self._make(lambda: self._run)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever a screen may raise
            self._picture = None
            logger.debug("the progress display has failed, and the run goes on", exc_info=True)


class TerminalPicture:
    """The live display of the command line."""

    def __init__(self, run: Callable[[], JobRun | None]) -> None:
        from rich.console import Console  # noqa: PLC0415 - costs start-up time where there is no terminal

        from bulk_upload.report.live.terminal import LiveProgress  # noqa: PLC0415

        self._console = Console(stderr=True)
        self._live = LiveProgress(
            self._console,
            partial(_snapshot, run),
            time.monotonic,
            lambda: () if (one := run()) is None else one.bodies,
        )
        self._live.__enter__()

    def on_event(self, event: Event) -> None:
        """Hand an event to the display, which draws on a thread of its own."""
        self._live.on_event(event)

    def tick(self) -> None:
        """Raise an error of the thread that draws."""
        self._live.check()

    def end(self, summary: str) -> None:
        """Take the display away."""
        self._live.__exit__(None, None, None)
        if summary:
            self._console.print(printable(summary), markup=False, highlight=False)


class NotebookPicture:
    """A bar and a few lines below the cell, redrawn in place."""

    def __init__(self, run: Callable[[], JobRun | None]) -> None:
        from IPython.display import display  # noqa: PLC0415 - not a dependency: the notebook has it

        self._progress = Progress(partial(_snapshot, run), time.monotonic)
        self._event_lines = EventLines()
        self._lines: list[str] = []
        self._next_at = 0.0
        self._handle = display(_cell(self._progress.read(), ()), raw=True, display_id=True)

    def on_event(self, event: Event) -> None:
        """Count an event, and keep the lines for people that it has."""
        self._progress.on_event(event)
        lines = [str(one) for one in self._event_lines.lines_of(event)]
        self._lines = [*self._lines, *lines][-LINES_SHOWN_MAX:]

    def tick(self) -> None:
        """Draw, twice a second at most."""
        at = time.monotonic()
        if at >= self._next_at:
            self._next_at = at + UPDATES_EVERY_S
            self._handle.update(_cell(self._progress.read(), self._lines), raw=True)

    def end(self, summary: str) -> None:
        """Draw for the last time."""
        lines = [*self._lines, printable(summary)] if summary else self._lines
        self._handle.update(_cell(self._progress.read(), lines), raw=True)


def display_for(*, progress: bool) -> Display:
    """Return the display that fits where the program runs; one that shows nothing without `progress`."""
    if not progress:
        return Display(None)
    if _in_notebook():
        return Display(NotebookPicture)
    return Display(TerminalPicture if _in_terminal() else None)


@asynccontextmanager
async def showing(display: Display) -> AsyncIterator[None]:
    """Draw regularly while the body runs."""
    if not display.shows:
        yield
        return

    async def repeat() -> None:
        while True:
            await anyio.sleep(UPDATES_EVERY_S)
            display.tick()

    async with plain_task_group() as tasks:
        tasks.start_soon(repeat)
        yield
        tasks.cancel_scope.cancel()


def _in_notebook() -> bool:
    """Whether this is a kernel: only a program that has imported IPython can be one."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _in_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:
        return False


def _snapshot(run: Callable[[], JobRun | None]) -> Snapshot:
    one = run()
    return (None if one is None else one.snapshot) or _NOTHING_YET


def _cell(reading: Reading, lines: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """Return the state of a run as the formats that a notebook may show."""
    numbers = f"{reading.percent}, {reading.files}, {reading.volume}, {reading.speed}, {reading.eta}"
    words = [numbers if reading.planned else "", reading.why, *lines]
    shown = [one for one in words if one]
    bar = f'<progress value="{reading.share:.4f}" max="1" style="width:100%"></progress>'
    return {
        "text/plain": "\n".join(shown),
        "text/html": bar + "".join(f"<div>{escape(one)}</div>" for one in shown),
    }
