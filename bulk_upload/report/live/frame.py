"""The lines of the live display, from the numbers of one moment to what rich draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from rich.cells import cell_len
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulk_upload.core.model import EntryState
from bulk_upload.core.run.control import AgentState
from bulk_upload.core.text.printable import COLUMNS_MAX, human_bytes, printable
from bulk_upload.report.agents import agents_words, doing_words
from bulk_upload.report.live.eta import whole_seconds
from bulk_upload.report.live.marks import RETRIED, STATE_MARKS, STATE_WORDS, UNCHANGED, has_unicode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, RenderableType

    from bulk_upload.report.live.marks import Mark
    from bulk_upload.report.live.progress import Reading
    from bulk_upload.report.live.slow_uploads import UploadReading

BAR_COLUMNS_MIN, BAR_COLUMNS_MAX = 8, 40
BESIDE_BAR_COLUMNS = 59
"""The label, the percentage, the amount and the times, at their usual widths: a bar's width follows from the terminal's
alone."""

NARROW_COLUMNS = 66
"""Below this, the times have a line of their own."""

UPLOAD_BAR_COLUMNS, SHORT_UPLOAD_BAR_COLUMNS = 12, 8
GAP_COLUMNS = 2
PATH_COLUMNS_MIN = 4
WIDE_COLUMNS = 90
"""From here on, uploads have their sizes and longer bars."""

AGENT_SHOWN_COLUMNS, UPLOAD_AGENT_COLUMNS_MAX = 100, 24
"""From here on, uploads have the agents that send them."""

MESSAGE_ROWS_SHARE = 4
"""At least a quarter of the terminal stays free for messages above the display."""

AGENT_ROWS_SHARE = 6
"""At most a sixth of the terminal is for agents."""

AGENT_COLUMNS_MAX = 40
DOING_COLUMNS = len("99 in flight")

REST_STYLE = "grey37"
SENT_STYLE = "cyan"
HELD_STYLE = "yellow"


class Look(msgspec.Struct, frozen=True):
    """What a terminal can show: its size, marks and bars beyond ASCII, and colours."""

    columns: int
    rows: int
    has_unicode: bool
    has_colour: bool

    @property
    def bar_columns(self) -> int:
        """The width of both bars."""
        if self.columns < NARROW_COLUMNS:
            return min(BAR_COLUMNS_MAX, max(BAR_COLUMNS_MIN, self.columns - BESIDE_BAR_COLUMNS + 20))
        return min(BAR_COLUMNS_MAX, max(BAR_COLUMNS_MIN, self.columns - BESIDE_BAR_COLUMNS))

    @property
    def agent_rows(self) -> int:
        """Return how many lines agents may have: uploads need most of the rest."""
        return max(1, self.rows // AGENT_ROWS_SHARE)

    def upload_rows(self, line_count: int) -> int:
        """Return how many uploads fit below `line_count` lines."""
        return max(0, self.rows - self.rows // MESSAGE_ROWS_SHARE - line_count - 1)


def look_of(console: Console, free_columns: int = 0) -> Look:
    """Return what a console can show; `free_columns` stay free at its right edge."""
    return Look(
        columns=max(1, min(console.width - free_columns, COLUMNS_MAX)),
        rows=console.height,
        has_unicode=has_unicode(console.encoding),
        has_colour=console.color_system is not None and not console.no_color,
    )


def head_lines(reading: Reading, look: Look) -> list[RenderableType]:
    """Return the bars, the counts, the speeds and what holds the run back."""
    style = HELD_STYLE if reading.draining or reading.paused else "dim"
    if not reading.planned:
        bar = ProgressBar(total=None, width=look.bar_columns, pulse_style=SENT_STYLE)
        line = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        line.add_row(bar, _line(f"elapsed {whole_seconds(reading.elapsed_s)}"))
        return [line, _line(reading.why, style)]
    lines = _bar_lines(reading, look)
    lines += _packed(_counts(reading, look.has_unicode), look.columns)
    bundled = f"  {reading.bundled}" if reading.bundled else ""
    lines.append(_line(f"in flight {reading.in_flight}/{reading.limit}{bundled}  {reading.speeds}"))
    traffic = f"  {reading.traffic}"
    if lines[-1].cell_len + len(traffic) <= look.columns:
        lines[-1].append(traffic)
    else:
        lines.append(_line(reading.traffic))
    if reading.validated:
        lines.append(_line(reading.validated))
    lines += agent_lines(reading, look)
    return [*lines, _line(reading.why, style)]


def agent_lines(reading: Reading, look: Look) -> list[Text]:
    """Return how many agents there are, and a line for each at work, as far as they have room; none without agents."""
    if not reading.agents:
        return []
    lines = [_line(agents_words(reading.agents, reading.agents_left_out))]
    # Who needs a look comes first.
    named = sorted(
        (one for one in reading.agents if not one.is_gone), key=lambda one: one.state is AgentState.LIVE
    )
    room = look.agent_rows - 1
    shown = named if len(named) <= room else named[: max(0, room - 1)]
    name_columns = min(AGENT_COLUMNS_MAX, max((cell_len(printable(one.agent)) for one in shown), default=0))
    for one in shown:
        is_live = one.state is AgentState.LIVE
        line = _line(f"  {path_cell(printable(one.agent), name_columns)}")
        line.append(f"{doing_words(one):>{GAP_COLUMNS + DOING_COLUMNS}}", "" if is_live else HELD_STYLE)
        line.append(f"  {human_bytes(one.wire_bytes):>8} sent  {one.accepted_count:,} accepted", "dim")
        lines.append(line)
    if shown and len(named) > len(shown):
        lines.append(_line(f"  and {len(named) - len(shown):,} more", "dim"))
    return lines


def upload_lines(uploads: Sequence[UploadReading], more_count: int, look: Look) -> Iterator[RenderableType]:
    """Yield a line per upload, and one for those that have no room."""
    if not uploads:
        return
    is_wide, is_narrow = look.columns >= WIDE_COLUMNS, look.columns < NARROW_COLUMNS
    bar_columns = UPLOAD_BAR_COLUMNS if is_wide else SHORT_UPLOAD_BAR_COLUMNS
    times = [whole_seconds(one.since_s) for one in uploads]
    doing_columns = max(len("awaiting the answer"), *(len(one.doing) for one in uploads))
    time_columns = max(len("59 s"), *(len(one) for one in times))
    taken = doing_columns + time_columns + 2 * GAP_COLUMNS
    taken += len("999.9 MB") + GAP_COLUMNS if is_wide else 0
    taken += 0 if is_narrow else bar_columns + GAP_COLUMNS
    agents = [one.agent or "" for one in uploads] if look.columns >= AGENT_SHOWN_COLUMNS else []
    agent_columns = min(UPLOAD_AGENT_COLUMNS_MAX, max(map(cell_len, agents), default=0))
    taken += agent_columns + GAP_COLUMNS if agent_columns else 0
    path_columns = max(PATH_COLUMNS_MIN, look.columns - taken)
    gap = " " * GAP_COLUMNS
    # By hand: rich's tables take many times as long, four times a second and for each upload.
    for one, time in zip(uploads, times, strict=True):
        line = _line(path_cell(one.path, path_columns))
        if is_wide:
            line.append(f"{gap}{human_bytes(one.file_bytes):>8}", "dim")
        if not is_narrow:
            line.append(gap)
            line.append_text(_upload_bar(one, look, bar_columns))
        line.append(f"{gap}{one.doing:<{doing_columns}}", HELD_STYLE if one.is_held else "dim")
        line.append(f"{gap}{time:>{time_columns}}", "dim")
        if agent_columns:
            line.append(f"{gap}{path_cell(one.agent or '', agent_columns)}", "dim")
        yield line
    if more_count > 0:
        yield _line(f"and {more_count:,} more", "dim")


def _bar_lines(reading: Reading, look: Look) -> list[Text]:
    rows = [
        ("files", _files_bar(reading, look), reading.files_percent, reading.files_amount),
        ("bytes", _bytes_bar(reading, look), reading.percent, reading.volume),
    ]
    times = [f"elapsed {whole_seconds(reading.elapsed_s)}", reading.eta]
    # As wide as they become: the times beside them stand still.
    amount_columns = max(
        len(f"{reading.entry_count:,} of {reading.entry_count:,}"),
        len(f"999.9 MB of {human_bytes(reading.total_bytes)}"),
    )
    lines = []
    for (label, bar, percent, amount), time in zip(rows, times, strict=True):
        line = _line(f"{label}  ")
        line.append_text(bar)
        line.append(f"  {percent:>5}  {amount:<{amount_columns}}")
        if look.columns >= NARROW_COLUMNS:
            line.append(f"  {time}", "bold" if time.startswith("ETA") else "")
        line.rstrip()
        lines.append(line)
    return lines if look.columns >= NARROW_COLUMNS else [*lines, _line("  ".join(times))]


def _files_bar(reading: Reading, look: Look) -> Text:
    total = reading.entry_count
    parts = [
        (reading.before_count + reading.unchanged_count + reading.states.get(EntryState.ACCEPTED, 0), "green")
    ]
    parts += [
        (count, STATE_MARKS[state].style)
        for state, count in reading.states.items()
        if state.settled and state is not EntryState.ACCEPTED
    ]
    return bar_of([(count / total if total else 0.0, style) for count, style in parts], look)


def _bytes_bar(reading: Reading, look: Look) -> Text:
    """Acknowledged bytes are green, those sent and not yet acknowledged are not."""
    if not reading.total_bytes:
        return bar_of([(reading.share, "green")], look)
    safe = min(reading.done_bytes, reading.before_bytes + reading.acknowledged_bytes)
    return bar_of(
        [
            (safe / reading.total_bytes, "green"),
            ((reading.done_bytes - safe) / reading.total_bytes, SENT_STYLE),
        ],
        look,
    )


def bar_of(parts: Iterable[tuple[float, str]], look: Look, columns: int | None = None) -> Text:
    """Return a bar of fixed width whose parts, shares of 1 in order, have the styles given; the rest is grey."""
    columns = look.bar_columns if columns is None else columns
    full, half, rest = ("\u2501", "\u2578", "\u2501") if look.has_unicode else ("#", "", "-")
    if look.has_unicode and not look.has_colour:
        rest = "\u2500"
    bar = Text(no_wrap=True)
    share = 0.0
    style = ""
    for part, part_style in parts:
        if part <= 0:
            continue
        share, style = share + part, part_style
        # A share just below a whole cell is not full.
        bar.append(full * (int(columns * min(1.0, share) + 1e-9) - len(bar)), part_style)
    if half and len(bar) < columns and columns * share - len(bar) >= 0.5:
        bar.append(half, style)
    bar.append(rest * (columns - len(bar)), REST_STYLE)
    return bar


def _counts(reading: Reading, unicode: bool) -> Iterator[Text]:
    def count_of(mark: Mark, count: int, word: str) -> Text:
        return Text(f"{mark.text(has_unicode=unicode)} {count:,} {word}", mark.style)

    accepted = STATE_MARKS[EntryState.ACCEPTED]
    yield count_of(accepted, reading.states.get(EntryState.ACCEPTED, 0), STATE_WORDS[EntryState.ACCEPTED])
    if reading.unchanged_count:
        yield count_of(UNCHANGED, reading.unchanged_count, "unchanged")
    if reading.retry_count:
        yield count_of(RETRIED, reading.retry_count, "retried")
    if reading.in_doubt_count:
        yield count_of(
            STATE_MARKS[EntryState.IN_DOUBT], reading.in_doubt_count, STATE_WORDS[EntryState.IN_DOUBT]
        )
    for state, mark in STATE_MARKS.items():
        count = reading.states.get(state, 0)
        if count and state.settled and state is not EntryState.ACCEPTED:
            yield count_of(mark, count, STATE_WORDS[state])
    if reading.before_count:
        yield Text(f"{reading.before_count:,} settled before", "dim")


def _packed(pieces: Iterable[Text], columns: int) -> list[Text]:
    """Return the pieces in as few lines as they need."""
    lines = [_line("")]
    for one in pieces:
        if lines[-1] and lines[-1].cell_len + 2 + one.cell_len > columns:
            lines.append(_line(""))
        if lines[-1]:
            lines[-1].append("  ")
        lines[-1].append_text(one)
    return lines


def _upload_bar(upload: UploadReading, look: Look, columns: int) -> Text:
    if upload.share is None:
        return Text(" " * columns)
    return bar_of([(upload.share, SENT_STYLE)], look, columns)


def path_cell(path: str, columns: int) -> str:
    """Return a path in exactly so many cells: where space is short its beginning is cut, for its end tells files apart."""
    text = path if cell_len(path) <= columns else f"...{end_that_fits(path, max(0, columns - 3))}"
    return text + " " * (columns - cell_len(text))


def end_that_fits(text: str, columns: int) -> str:
    """Return the longest end of `text` that fits into `columns` cells of a terminal."""
    begin = len(text)
    while begin and (columns := columns - cell_len(text[begin - 1])) >= 0:
        begin -= 1
    return text[begin:]


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")
