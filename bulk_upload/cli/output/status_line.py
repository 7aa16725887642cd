"""Shows the progress of a long command: one live line on a terminal, a plain line every 30 s elsewhere."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

from bulk_upload.cli.output.streams import tell, with_status_line
from bulk_upload.report.live.command_progress import HeadwayLine
from bulk_upload.report.live.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bulk_upload.report.live.command_progress import CommandProgress

SHOWN_AFTER_S = 1.0
"""Shorter commands show nothing."""

SHOWN_EVERY_S = 0.25
TOLD_EVERY_S = 30.0


class HeadwayShown:
    """Decides when to show what. `tick` is called a few times a second.

    Args:
        line: formats the progress.
        screen: the terminal's line; None where there is no terminal that can be drawn on.
        say: writes a line to a log.
        now: monotonic seconds.
    """

    def __init__(
        self,
        line: HeadwayLine,
        screen: StatusLine | None,
        say: Callable[[str], None],
        now: Callable[[], float],
    ) -> None:
        self._line = line
        self._screen = screen
        self._say = say
        self._now = now
        self._next_at = now() + (TOLD_EVERY_S if screen is None else SHOWN_AFTER_S)

    def tick(self) -> None:
        """Called as time passes; shows what is due."""
        at = self._now()
        if at < self._next_at:
            return
        if self._screen is None:
            self._next_at = at + TOLD_EVERY_S
            self._say(self._line.words())
        else:
            self._next_at = at + SHOWN_EVERY_S
            self._screen.draw(self._line.words(self._screen.room))


@contextmanager
def command_progress_shown(
    look: Callable[[], CommandProgress], *, quiet: bool = False, now: Callable[[], float] = time.monotonic
) -> Iterator[None]:
    """Show the progress that `look` returns until the block ends; then remove it.

    A thread of its own calls `look`, so that work of any kind can be shown; the work itself only counts.
    """
    if quiet:
        yield
        return
    screen = StatusLine(_draw, _columns) if _can_draw() else None
    shown = HeadwayShown(HeadwayLine(look, now), screen, tell, now)
    over = threading.Event()

    def keep_showing() -> None:
        while not over.wait(SHOWN_EVERY_S):
            shown.tick()

    thread = threading.Thread(target=keep_showing, name="bulk-upload-progress", daemon=True)
    with with_status_line(screen):
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            if screen is not None:
                screen.erase()


def _can_draw() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 80


def _draw(text: str) -> None:
    with suppress(OSError, ValueError):
        click.echo(text, err=True, nl=False)
