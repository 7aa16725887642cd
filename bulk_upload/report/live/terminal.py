"""The live display of a run on a terminal."""

from __future__ import annotations

import math
from collections import deque
from typing import IO, TYPE_CHECKING, Any, cast

from rich.cells import cell_len
from rich.console import Group
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment
from rich.table import Table
from rich.text import Text

from bulk_upload.report.live.notable_events import EventLines
from bulk_upload.report.live.progress import Progress, whole_seconds
from bulk_upload.report.live.slow_uploads import Uploads
from bulk_upload.report.live.status_line import FREE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from rich.console import Console, ConsoleOptions, RenderableType

    from bulk_upload.core.events import BodyNow, Event, Snapshot
    from bulk_upload.report.live.notable_events import EventLine
    from bulk_upload.report.live.progress import Reading
    from bulk_upload.report.live.slow_uploads import UploadReading

REFRESHES_PER_S = 4.0
BAR_COLUMNS_MIN = 10
UPLOADS_MAX = 6
ROWS_PER_UPLOAD = 8
"""One upload is shown per this many rows of the terminal."""

UPLOAD_BAR_COLUMNS = 12
_NO_WRAP = Segment("\x1b[?7l", None, [(ControlType.ENABLE_ALT_SCREEN,)])
_WRAP = Segment("\x1b[?7h", None, [(ControlType.DISABLE_ALT_SCREEN,)])
SHOW_CURSOR = b"\r\n\x1b[?25h"
"""Shows the cursor again, for a process that exits at once."""


class LiveProgress:
    """A few lines at the bottom of a terminal: the bar, speed, counts, what holds the run back, the longest uploads.

    A context manager. Events only change numbers; all drawing is done by the display's own thread, so neither a
    burst of events nor a blocked terminal delays the run. `snapshot` and `now` are called from
    that thread. A terminal that is closed ends the display, not the run. For a console that is not
    `is_interactive` (a pipe, a dumb terminal) use `LineProgress`.

    Args:
        console: where to draw; meant for stderr.
        snapshot: returns the state of the run.
        now: monotonic seconds.
        bodies: the requests in flight.
    """

    def __init__(
        self,
        console: Console,
        snapshot: Callable[[], Snapshot],
        now: Callable[[], float],
        bodies: Callable[[], Iterable[BodyNow]] = tuple,
    ) -> None:
        self._console = console
        self._progress = Progress(snapshot, now)
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

    def check(self) -> None:
        """Raise the error that stopped the display's thread."""
        if self._display is not None and self._display.error is not None:
            raise self._display.error

    def refresh(self) -> None:
        """Draw now instead of at the next tick of the display."""
        if self._display is not None:
            self._display.refresh()

    def _draw(self) -> RenderableType:
        reading = self._progress.read()
        backing_off = self._uploads.backing_off_count()
        why = f"{reading.why}, {backing_off:,} backing off" if backing_off else reading.why
        lines: list[RenderableType] = [_bar_line(reading), *_number_lines(reading), _line(why, "dim")]
        uploads = self._uploads.longest(min(UPLOADS_MAX, self._console.height // ROWS_PER_UPLOAD))
        return Group(*lines, _upload_lines(uploads)) if uploads else Group(*lines)


class _Display(Live):
    """A live display that prints lines above itself, both in one write."""

    def __init__(self, console: Console, told: deque[EventLine], draw: Callable[[], RenderableType]) -> None:
        self.error: Exception | None = None
        self._told = told
        self._draw = draw
        self._width = 0
        self._line_widths: list[int] = []
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
        try:
            with self.console:
                self._follow_width()
                lines = []
                while self._told:
                    lines.append(self._fitted(self._told.popleft()))
                if lines:
                    self.console.print(Group(*lines))
                super().refresh()
        except Exception as error:  # noqa: BLE001 - on a thread of its own: raised to the caller that feeds the display
            self.error = self.error or error

    def _frame(self) -> RenderableType:
        options = self.console.options.update(width=max(1, self.console.width - FREE_COLUMNS))
        lines = self.console.render_lines(self._draw(), options, pad=False)
        self._width = self.console.width
        self._line_widths = [len("".join(part.text for part in line).rstrip()) for line in lines]
        return _Drawn(lines)

    def _follow_width(self) -> None:
        """Take back all rows of the last frame: a terminal that got narrower has wrapped its lines."""
        width = self.console.width
        if width < self._width:
            rows = sum(max(1, math.ceil(one / width)) for one in self._line_widths)
            self._live_render._shape = (width, rows)  # noqa: SLF001 - the next frame overwrites it

    def _fitted(self, told: EventLine) -> Text:
        # Messages about single files get one line each; the plan and warnings may take more.
        return Text(str(told)) if told.path is None else _line(told.fitted(self.console.width))


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


def _bar_line(reading: Reading) -> Table:
    line = Table.grid(expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    line.add_column(ratio=1, min_width=BAR_COLUMNS_MIN)
    cells: list[RenderableType] = [
        ProgressBar(total=1.0 if reading.planned else None, completed=reading.share)
    ]
    if reading.planned:
        cells += [_line(one) for one in (reading.percent, reading.volume, reading.eta)]
    for _ in cells[1:]:
        line.add_column(no_wrap=True, justify="right")
    line.add_row(*cells)
    return line


def _number_lines(reading: Reading) -> list[Text]:
    if not reading.planned:
        return []
    counts = _line(f"in flight {reading.in_flight}/{reading.limit}")
    if reading.retry_count:
        counts.append(f"  {reading.retries}")
    if reading.in_doubt_count:
        counts.append(f"  {reading.in_doubt_count:,} in doubt", "yellow")
    if reading.failed_count:
        counts.append(f"  {reading.failed_count:,} failed", "red")
    counts.append(f"  {reading.traffic}")
    lines = [_line(f"{reading.files}  {reading.speeds}"), counts]
    return [*lines, _line(reading.validated)] if reading.validated else lines


def _upload_lines(uploads: Sequence[UploadReading]) -> Table:
    lines = Table.grid(expand=True, padding=(0, 2, 0, 0), pad_edge=False)
    lines.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    lines.add_column(width=UPLOAD_BAR_COLUMNS)
    lines.add_column(no_wrap=True)
    lines.add_column(no_wrap=True, justify="right")
    for one in uploads:
        bar = Text("") if one.share is None else ProgressBar(total=1.0, completed=one.share)
        lines.add_row(
            _PathEnd(one.path), bar, _line(one.doing, "dim"), _line(whole_seconds(one.since_s), "dim")
        )
    return lines


class _PathEnd:
    """A path whose beginning is cut where space is short: its end distinguishes files."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        text = Text(self._path, no_wrap=True)
        surplus = text.cell_len - options.max_width
        if surplus > 0:
            text = Text(f"...{end_that_fits(self._path, max(0, options.max_width - 3))}", no_wrap=True)
        yield text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(4, max(4, cell_len(self._path)))


def end_that_fits(text: str, columns: int) -> str:
    """Return the longest end of `text` that fits into `columns` cells of a terminal."""
    begin = len(text)
    while begin and (columns := columns - cell_len(text[begin - 1])) >= 0:
        begin -= 1
    return text[begin:]


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
