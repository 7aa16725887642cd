"""The live display of a run on a terminal."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Group
from rich.live import Live
from rich.segment import ControlType, Segment
from rich.text import Text

from bulk_upload.core.model import EntryState
from bulk_upload.report.live.frame import head_lines, look_of, upload_lines
from bulk_upload.report.live.marks import STATE_MARKS, STATE_WORDS
from bulk_upload.report.live.notable_events import AGENT_LOST, EventLines
from bulk_upload.report.live.progress import Progress
from bulk_upload.report.live.slow_uploads import Uploads
from bulk_upload.report.live.status_line import FREE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from rich.console import Console, ConsoleOptions, RenderableType

    from bulk_upload.core.events import BodyNow, Event, Snapshot
    from bulk_upload.core.report.tally import Tally
    from bulk_upload.report.live.notable_events import EventLine

REFRESHES_PER_S = 4.0
DRAWING_SHARE_MAX = 0.01
"""How much of a processor drawing may take: where a frame is large or the machine slow, fewer are drawn."""

FRAMES_KEPT = 8
"""A terminal that gets narrower may report it up to two seconds later, on a busy machine."""

_NO_WRAP = Segment("\x1b[?7l", None, [(ControlType.ENABLE_ALT_SCREEN,)])
_WRAP = Segment("\x1b[?7h", None, [(ControlType.DISABLE_ALT_SCREEN,)])
_HEAD_STYLES = {word: STATE_MARKS[state].style for state, word in STATE_WORDS.items()}
_HEAD_STYLES[AGENT_LOST] = STATE_MARKS[EntryState.IN_DOUBT].style
SUSPEND_S = 1.0
"""How long a frame that is being written may delay Ctrl-Z: a blocked terminal never finishes it."""

SHOW_CURSOR = b"\r\n\x1b[?25h"
"""Shows the cursor again, for a process that exits at once."""


class LiveProgress:
    """A few lines at the bottom of a terminal: bars, counts, speed, what holds the run back, the longest uploads.

    A context manager. Events only change numbers; all drawing is done by the display's own thread, so neither a
    burst of events nor a blocked terminal delays the run. `snapshot` and `now` are called from
    that thread. A terminal that is closed ends the display, not the run. For a console that is not
    `is_interactive` (a pipe, a dumb terminal) use `LineProgress`.

    Args:
        console: where to draw; meant for stderr.
        snapshot: returns the state of the run.
        now: monotonic seconds.
        bodies: the requests in flight.
        counted: returns the numbers of the run, where somebody else counts its events.
    """

    def __init__(
        self,
        console: Console,
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        bodies: Callable[[], Iterable[BodyNow]] = tuple,
        *,
        counted: Callable[[], Tally] | None = None,
    ) -> None:
        self._console = console
        self._progress = Progress(snapshot, now, bodies, counted=counted)
        self._uploads = Uploads(bodies, now)
        self._event_lines = EventLines()
        self._told: deque[EventLine] = deque()
        self._display: _Display | None = None
        self._file = console.file

    def __enter__(self) -> Self:
        self._file = self._console.file
        self._console.file = cast("IO[str]", _UntilHangup(self._file))
        self._display = _Display(self._console, self._told, self._draw)
        self._display.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None
            self._console.file = self._file

    def on_event(self, event: Event) -> None:
        """Handle one event of the run. Raises the error that stopped the display's thread."""
        self.check()
        self._progress.on_event(event)
        self._uploads.on_event(event)
        if told := self._event_lines.lines_of(event):
            self._told.extend(told)

    def take(
        self, tally: Tally, running: Iterable[tuple[str, int, float]], *, running_s: float, draining: bool
    ) -> None:
        """Show a run in another process: its numbers, and path, bytes and seconds of each upload, oldest first."""
        self.check()
        self._progress.take(tally, running_s=running_s, draining=draining)
        self._uploads.take(running)

    def check(self) -> None:
        """Raise the error that stopped the display's thread."""
        if self._display is not None and self._display.error is not None:
            raise self._display.error

    def refresh(self) -> None:
        """Draw now instead of at the next tick of the display."""
        if self._display is not None:
            self._display.refresh()

    def suspend(self) -> None:
        """Remove the display before the process is stopped, and show the cursor; may be called by a signal handler."""
        if self._display is not None:
            self._display.suspend()

    def resume(self) -> None:
        """Draw again, below whatever was written meanwhile."""
        if self._display is not None:
            self._display.resume()

    def _draw(self) -> RenderableType:
        reading = self._progress.read(self._uploads.backing_off_count())
        look = look_of(self._console, FREE_COLUMNS)
        lines = head_lines(reading, look)
        uploads = self._uploads.longest(look.upload_rows(len(lines) + 1))
        more = max(0, self._uploads.slow_count() - len(uploads))
        return Group(*lines, *upload_lines(uploads, more, look))


class _Display(Live):
    """A live display that prints lines above itself, both in one write."""

    def __init__(self, console: Console, told: deque[EventLine], draw: Callable[[], RenderableType]) -> None:
        self.error: Exception | None = None
        self._told = told
        self._draw = draw
        self._width = console.width
        self._frames: deque[list[int]] = deque(maxlen=FRAMES_KEPT)
        """The widths of the lines of the last frames."""
        self._suspended = False
        self._again_at = 0.0
        # Last: it requests a frame at once.
        super().__init__(
            console=console,
            get_renderable=self._frame,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            # stdout carries data (`--results -`), which must never be drawn on stderr.
            redirect_stdout=False,
        )

    def refresh(self) -> None:
        if threading.current_thread() is self._refresh_thread and not self.is_due():
            return
        try:
            with self._lock, self.console:
                if self._suspended or _in_background(self.console.file):
                    return
                began_s = time.thread_time()
                self._follow_width()
                lines = []
                while self._told:
                    lines.append(self._fitted(self._told.popleft()))
                if lines:
                    self.console.print(Group(*lines))
                super().refresh()
                self._again_at = time.monotonic() + (time.thread_time() - began_s) / DRAWING_SHARE_MAX
        except Exception as error:  # noqa: BLE001 - on a thread of its own: raised to the caller that feeds the display
            self.error = self.error or error

    def is_due(self) -> bool:
        """Whether the next frame may be drawn without taking more than its share of a processor."""
        return time.monotonic() >= self._again_at

    def suspend(self) -> None:
        """Erase the frame and show the cursor, past the console: the thread in the midst of a write is this one."""
        held = self._lock.acquire(timeout=SUSPEND_S)
        self._suspended = True
        # Private: rich before 14.3 has no public way to ask for the height.
        _, rows = self._live_render._shape or (0, 0)  # noqa: SLF001
        self._live_render._shape = None  # noqa: SLF001 - nothing is drawn now
        if held:
            up = "\x1b[1A\x1b[2K" * (rows - 1)
            self._put_now(f"\r\x1b[2K{up}\x1b[?25h")
            self._lock.release()
        else:
            self._put_now("\x1b[?7h\x1b[?25h\r\n")

    def resume(self) -> None:
        """Hide the cursor; the next frame is drawn where it stands."""
        with self._lock:
            if not self._suspended and self._frames:
                # It was stopped without notice: what it drew stays where it is.
                self._live_render._shape = None  # noqa: SLF001 - as above
                self._put_now("\r\n")
            self._frames.clear()
            self._suspended = False
            self._put_now("\x1b[?25l")

    def _put_now(self, text: str) -> None:
        if self.console.is_interactive:
            with suppress(OSError, ValueError):
                os.write(self.console.file.fileno(), text.encode())

    def _frame(self) -> RenderableType:
        options = self.console.options.update(width=max(1, self._width - FREE_COLUMNS))
        lines = self.console.render_lines(self._draw(), options, pad=False)
        self._frames.append([len("".join(part.text for part in line).rstrip()) for line in lines])
        return _Drawn(lines)

    def _follow_width(self) -> None:
        """Take back all rows of the last frame: a terminal that got narrower has wrapped its lines.

        It may have done so some frames ago, and report it only now: then the rows that those frames did not take back
        are above the last one.
        """
        width = self.console.width
        if width < self._width and self._frames:
            last = len(self._frames[-1])
            rows = max(last + _rows(one, width) - len(one) for one in self._frames)
            self._live_render._shape = (width, rows)  # noqa: SLF001 - the next frame overwrites it
            self._frames.clear()
        self._width = width

    def _fitted(self, told: EventLine) -> Text:
        # Messages about single files get one line each; the plan and warnings may take more.
        text = Text(str(told)) if told.path is None else _line(told.fitted(self.console.width))
        if told.head in _HEAD_STYLES:
            text.stylize(_HEAD_STYLES[told.head], 0, len(told.head) + 1)
        return text


def _rows(line_columns: list[int], width: int) -> int:
    return sum(max(1, math.ceil(one / width)) for one in line_columns)


def _in_background(stream: IO[str]) -> bool:
    """Whether a shell has put the process into the background of the terminal, where another program writes."""
    try:
        return os.tcgetpgrp(stream.fileno()) != os.getpgrp()
    except (OSError, ValueError):
        return False


class _Drawn:
    """Lines rendered in advance.

    The terminal does not wrap them (DECAWM is off while they are written): one that has just become narrower, and
    has not reported it yet, would give a line two rows, and the next frame would leave one of them behind.
    """

    def __init__(self, lines: list[list[Segment]]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        if not console.is_dumb_terminal:
            yield _NO_WRAP
        for number, line in enumerate(self._lines):
            if number:
                yield Segment.line()
            yield from line
        if not console.is_dumb_terminal:
            yield _WRAP


class _UntilHangup:
    """A text stream that drops output once its reader is gone."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        if not self._gone:
            try:
                self._stream.write(text)
            except (OSError, ValueError):
                self._gone = True
        return len(text)

    def flush(self) -> None:
        if not self._gone:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._gone = True

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._stream, name)


def _line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
