"""The live display of a run on a terminal."""

from __future__ import annotations

from collections import deque
from typing import IO, TYPE_CHECKING, Any, cast

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulk_upload.report.progress import Progress
from bulk_upload.report.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from rich.console import Console, RenderableType

    from bulk_upload.core.events import Event, Snapshot
    from bulk_upload.report.progress import Reading
    from bulk_upload.report.telling import Told

REFRESHES_PER_S = 4.0
BAR_COLUMNS_MIN = 10


class LiveProgress:
    """Three lines at the bottom of a terminal: the bar, the counts, and what holds the run back.

    A context manager. Events only change numbers; all drawing is done by the display's own thread, so neither a
    burst of events nor a terminal that stands still holds up the run. `snapshot` and `now` are called from
    that thread. A terminal that goes away ends the display, not the run. For a console that is not
    `is_interactive` (a pipe, a dumb terminal) use `LineProgress`.

    Args:
        console: where to draw; meant for stderr.
        snapshot: how the run stands.
        now: monotonic seconds.
    """

    def __init__(self, console: Console, snapshot: Callable[[], Snapshot], now: Callable[[], float]) -> None:
        self._console = console
        self._progress = Progress(snapshot, now)
        self._teller = Teller()
        self._told: deque[Told] = deque()
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
        """Take one event of the run in."""
        self._progress.on_event(event)
        if told := self._teller.tell(event):
            self._told.extend(told)

    def refresh(self) -> None:
        """Draw now instead of at the next tick of the display."""
        if self._display is not None:
            self._display.refresh()

    def _draw(self) -> RenderableType:
        reading = self._progress.read()
        return Group(_bar_line(reading), _counts_line(reading), _line(reading.why, "dim"))


class _Display(Live):
    """A live display that prints what it was told above itself, both in one write."""

    def __init__(self, console: Console, told: deque[Told], draw: Callable[[], RenderableType]) -> None:
        super().__init__(
            console=console,
            get_renderable=draw,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            # stdout carries data (`--results -`), which must never be drawn on stderr.
            redirect_stdout=False,
        )
        self._told = told

    def refresh(self) -> None:
        with self.console:
            lines = []
            while self._told:
                lines.append(self._fitted(self._told.popleft()))
            if lines:
                self.console.print(Group(*lines))
            super().refresh()

    def _fitted(self, told: Told) -> Text:
        # What names a file is one of many and gets one line; the plan and warnings may take the room they need.
        return Text(str(told)) if told.path is None else _line(told.fitted(self.console.width))


class _UntilHangup:
    """A text stream that goes silent once its reader is gone."""

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
    line = Table.grid(expand=True, padding=(0, 2, 0, 0))
    line.add_column(ratio=1, min_width=BAR_COLUMNS_MIN)
    cells: list[RenderableType] = [
        ProgressBar(total=1.0 if reading.planned else None, completed=reading.share)
    ]
    if reading.planned:
        cells += [_line(one) for one in (reading.percent, reading.volume, reading.speed, reading.eta)]
    for _ in cells[1:]:
        line.add_column(no_wrap=True, justify="right")
    line.add_row(*cells)
    return line


def _counts_line(reading: Reading) -> Text:
    if not reading.planned:
        return _line("")
    line = _line(reading.files)
    if reading.failed_count:
        line.append(f"  {reading.failed_count:,} failed", "red")
    if reading.in_doubt_count:
        line.append(f"  {reading.in_doubt_count:,} in doubt", "yellow")
    line.append(f"  in flight {reading.in_flight}/{reading.limit}")
    if reading.retry_count:
        line.append(f"  {reading.retries}")
    return line


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
