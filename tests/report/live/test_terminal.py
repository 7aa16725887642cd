from __future__ import annotations

import io
import sys
import time
from pathlib import Path
from typing import cast

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console, RenderableType

from bulk_upload.core.events import BodyNow, Draining, Noticed, Paused, Preparing
from bulk_upload.core.model import EntryState, Throttled, Unavailable
from bulk_upload.report.live.frame import REST_STYLE, Look, bar_of, path_cell
from bulk_upload.report.live.terminal import LiveProgress
from tests.report.scripted_run import FILE_BYTES, ScriptedRun, ended, plan, settled, started

BAR = "\u2501"


def _console(*, width: int = 80, **environ: str) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=25,
        _environ={"TERM": "xterm-256color", **environ},
    )


def _written(console: Console) -> str:
    return cast("io.StringIO", console.file).getvalue()


def _frame(console: Console, display: LiveProgress) -> list[str]:
    """The lines as they stand, without styles."""
    with console.capture() as capture:
        console.print(display._draw(), no_wrap=True)
    return Console(file=io.StringIO()).render_str(capture.get(), markup=False).plain.splitlines()


def _plain(run: ScriptedRun, width: int) -> tuple[Console, LiveProgress]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    return console, LiveProgress(console, run.snapshot, run.now)


def _busy(run: ScriptedRun, display: LiveProgress) -> None:
    display.on_event(plan(10_000, settled_count=2_000))
    display._draw()
    for number in range(4_200):
        display.on_event(settled(f"f{number}"))
    display.on_event(started("x"))
    display.on_event(ended("x", Unavailable(reason="reset"), retry_in_s=1.0))
    display.on_event(settled("x", EntryState.REJECTED, reason="HTTP 400"))
    display.on_event(settled("z", EntryState.IN_DOUBT, reason="lost"))
    run.moves(seconds=60.0, in_flight=12, wire_bytes=4_200 * FILE_BYTES)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_display_is_a_few_lines_that_fit(width: int) -> None:
    """At common widths all numbers are seen, each once, in lines that never wrap."""
    run = ScriptedRun()
    console, display = _plain(run, width)
    _busy(run, display)
    lines = _frame(console, display)
    assert len(lines) == {60: 8, 80: 6, 120: 5}[width]
    assert all(len(line) <= width for line in lines)
    text = " ".join(lines)
    for number in (
        "6,201 of 10,000", "62 %", "6.2 GB of 10.0 GB", "elapsed 1 min 00 s", "ETA 55 s", "\u2713 4,200 accepted",
        "\u21bb 1 retried", "? 1 in doubt", "\u2717 1 rejected", "2,000 settled before", "in flight 12/8", "70.0 MB/s now, 70.0 MB/s mean",
        "4.2 GB accepted, 4.2 GB sent",
    ):  # fmt: skip
        assert number in text
    assert lines[-1] == "8 in flight, as set"


def test_the_bars_have_one_width_whatever_the_numbers_are() -> None:
    """Both begin and end in the same columns from the first file to the last."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    display.on_event(plan(1_000_000))
    places = set()
    for step in range(4):
        for number in range(333_333):
            display._progress.tally.ended[EntryState.ACCEPTED] = step * 333_333 + number
        run.moves(seconds=3_600.0)
        for line in _frame(console, display)[:2]:
            places.add((line.index("  ") + 2, len(line[7:].partition(" ")[0])))
    assert places == {(7, 18)}


def test_the_times_stand_still_while_the_amounts_grow() -> None:
    """From the first file to the last they begin in one column."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    display.on_event(plan(1_234))
    places = set()
    for count in (0, 9, 99, 999, 1_234):
        display._progress.tally.ended[EntryState.ACCEPTED] = count
        display._progress.tally.accepted_bytes = count * FILE_BYTES
        run.moves(seconds=60.0)
        files, bytes_ = _frame(console, display)[:2]
        places |= {files.index("elapsed"), bytes_.index("ETA")}
    assert len(places) == 1


def test_what_failed_has_the_colour_of_its_counter() -> None:
    """The first word of its line; the rest is as it is, and without colours all of it."""
    for console, head in (
        (_console(), "\x1b[31mrejected:\x1b[0m a"),
        (_console(NO_COLOR="1"), "rejected: a"),
    ):
        run = ScriptedRun()
        with LiveProgress(console, run.snapshot, run.now) as display:
            display.on_event(plan(2))
            display.on_event(settled("a", EntryState.REJECTED, reason="HTTP 400"))
            display.on_event(Noticed(message="as it is"))
        assert head in _written(console)
        assert "note: as it is" in _written(console)


def test_a_bar_has_the_colour_of_what_it_counts() -> None:
    """Accepted green, failures in the colour of their counter, the rest grey; never red while all is well."""
    look = Look(columns=97, rows=40, has_unicode=True, has_colour=True)
    bar = bar_of([(0.5, "green"), (0.25, "magenta")], look)
    assert bar.plain == BAR * 28 + "\u2578" + BAR * 9
    assert [(one.start, one.end, one.style) for one in bar.spans] == [
        (0, 19, "green"),
        (19, 28, "magenta"),
        (28, 29, "magenta"),
        (29, 38, REST_STYLE),
    ]
    assert bar_of([(0.999, "green")], look).plain[-1] == "\u2578"
    assert bar_of([(1.0, "green")], replace(look, has_colour=False)).plain == BAR * 38
    assert bar_of([(0.5, "green")], replace(look, has_unicode=False)).plain == "#" * 19 + "-" * 19


def test_files_that_are_looked_into_ahead_have_a_line_while_some_are() -> None:
    """It stays for some seconds after the last: where uploads are slow another follows, and nothing should jump."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    _busy(run, display)
    run.state = replace(run.state, validating_count=3, validated_count=40, validated_bytes=7_400 * FILE_BYTES)
    assert _frame(console, display)[-2] == "validated ahead: 40 files, 7.4 GB; validating 3 more"
    run.state = replace(run.state, validating_count=0, validated_count=43)
    run.moves(seconds=4.0)
    assert _frame(console, display)[-2] == "validated ahead: 43 files, 7.4 GB"
    run.moves(seconds=1.0)
    assert not any("validated" in line for line in _frame(console, display))


def test_those_that_back_off_are_counted_beside_the_reason() -> None:
    """In a storm of refusals few are in flight: the others are not lost, they wait."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    display.on_event(plan(20))
    display.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    for number in range(9):
        display.on_event(started(f"{number}"))
        display.on_event(ended(f"{number}", Throttled(http_status=429, retry_after_s=12.0), retry_in_s=12.0))
    run.moves(pause_s=12.0, parked_count=10)
    assert _frame(console, display)[-1] == "HTTP 429 from the server: waiting 12 s; 10 parked, 9 backing off"


def test_where_all_that_wait_back_off_one_word_says_it() -> None:
    """They are parked, too; two counts of the same entries would look like two kinds."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    display.on_event(plan(20))
    for number in range(5):
        display.on_event(started(f"{number}"))
        display.on_event(ended(f"{number}", Throttled(http_status=429, retry_after_s=12.0), retry_in_s=12.0))
    run.moves(parked_count=5)
    assert _frame(console, display)[-1] == "8 in flight, as set; 5 backing off"


def test_before_the_plan_the_display_says_so() -> None:
    """While the manifest is read there is a moving bar, the reason, and no number but how far it is."""
    console, display = _plain(ScriptedRun(), 80)
    assert _frame(console, display)[1:] == ["reading the manifest"]
    display.on_event(Preparing(entry_count=12_800))
    assert _frame(console, display)[1:] == ["reading the manifest: 12,800 entries so far"]


def _slow(run: ScriptedRun, display: LiveProgress, count: int) -> None:
    display.on_event(plan(20))
    for number in range(count):
        display.on_event(started(f"folder/of/shards/conversation-{number}.jsonl"))
    run.moves(seconds=65.0, in_flight=count)
    display.on_event(
        ended("folder/of/shards/conversation-1.jsonl", Unavailable(reason="reset"), retry_in_s=7.5)
    )


def test_the_longest_uploads_have_lines_of_their_own() -> None:
    """What each is doing stands beside its bar, and how long it has been at it; its name keeps its end."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=80, height=24, color_system=None)
    bodies = [
        BodyNow(
            path=f"folder/of/shards/conversation-{number}.jsonl",
            body_bytes=100,
            left_bytes=left,
            waiting=False,
        )
        for number, left in ((0, 50), (2, 100))
    ]
    display = LiveProgress(console, run.snapshot, run.now, lambda: bodies)
    _slow(run, display, 9)
    lines = _frame(console, display)
    first, second, third = lines[5:8]
    assert "conversation-0.jsonl" in first
    assert len(lines) == 5 + 9
    for line, doing in ((first, "sending"), (second, "backing off, 8 s"), (third, "awaiting the answer")):
        assert doing in line
    assert all(one.rstrip().endswith("1 min 05 s") for one in (first, second, third))
    narrow = Console(file=io.StringIO(), width=60, height=24, color_system=None)
    display._console = narrow
    names = [line for line in _frame(narrow, display) if line.startswith("...")]
    assert "on-0.jsonl  " in names[0]


@pytest.mark.parametrize(("height", "count"), [(7, 0), (24, 11), (50, 31), (80, 40)])
def test_as_many_uploads_are_shown_as_the_height_allows(height: int, count: int) -> None:
    """A quarter of the terminal stays for messages; those without a line are counted."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=80, height=height, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now)
    _slow(run, display, 40)
    lines = _frame(console, display)
    assert sum("/shards/" in line or "conversation-" in line for line in lines) == count
    assert len(lines) <= max(6, height - height // 4)
    assert (lines[-1] == f"and {40 - count} more") == (0 < count < 40)


def test_a_wide_terminal_does_not_tear_lines_apart() -> None:
    """Beyond a readable width an upload's state is still near its name."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=200, height=24, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now)
    _slow(run, display, 3)
    assert all(len(line.rstrip()) <= 100 for line in _frame(console, display))


def test_a_terminal_that_got_narrower_is_cleared_of_the_wrapped_frame() -> None:
    """The next frame is drawn over all the rows that the last one has now, not only over its lines."""
    run = ScriptedRun()
    console = _console(width=80)
    with LiveProgress(console, run.snapshot, run.now) as display:
        _busy(run, display)
        display.refresh()
        before = len(_written(console))
        console.width = 40
        display.refresh()
        # Of 62 to 76 columns, but for the last two.
        assert _written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") == 4 * 2 + 1 + 1 - 1


def test_a_terminal_that_reports_late_that_it_got_narrower_is_cleared_too() -> None:
    """A frame drawn in between took back as many rows as it has lines: the rest is above it, and goes with the next."""
    run = ScriptedRun()
    console = _console(width=80)
    with LiveProgress(console, run.snapshot, run.now) as display:
        _busy(run, display)
        display.refresh()
        # The terminal has 40 columns from here on; the program does not know.
        display.refresh()
        before = len(_written(console))
        console.width = 40
        display.refresh()
        assert _written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") == 4 * 2 + 1 + 1 - 1


def test_a_width_that_changes_while_a_frame_is_drawn_is_followed() -> None:
    """The width is read once for a frame: a change after that is found by the next one."""
    run = ScriptedRun()
    current = [80]

    class _Narrowing(Console):
        @property
        def width(self) -> int:
            return current[0]

        @width.setter
        def width(self, width: int) -> None:
            current[0] = width

    console = _Narrowing(
        file=io.StringIO(), force_terminal=True, height=25, _environ={"TERM": "xterm-256color"}
    )
    with LiveProgress(console, run.snapshot, run.now) as display:
        _busy(run, display)
        display.refresh()
        assert display._display is not None
        drawing = display._display._draw

        def draw_and_narrow() -> RenderableType:
            drawn = drawing()
            current[0] = 40
            return drawn

        display._display._draw = draw_and_narrow
        display.refresh()
        before = len(_written(console))
        display.refresh()
        assert _written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") > 6 - 1


def test_ctrl_z_removes_the_display_and_the_next_frame_takes_nothing_back(tmp_path: Path) -> None:
    """The shell writes meanwhile: what it wrote stays, and the cursor is there while the process is stopped."""
    run = ScriptedRun()
    with (tmp_path / "tty").open("w+") as stream:
        console = Console(
            file=stream, force_terminal=True, width=80, height=25, _environ={"TERM": "xterm-256color"}
        )
        with LiveProgress(console, run.snapshot, run.now) as display:
            _busy(run, display)
            display.refresh()
            stream.flush()
            drawn = (tmp_path / "tty").read_text()
            display.suspend()
            gone = (tmp_path / "tty").read_text()[len(drawn) :]
            display.refresh()
            assert (tmp_path / "tty").read_text() == drawn + gone
            display.resume()
            display.refresh()
            stream.flush()
            again = (tmp_path / "tty").read_text()[len(drawn + gone) :]
    assert gone.count("\x1b[1A") == 6 - 1
    assert gone.endswith("\x1b[?25h")
    assert again.startswith("\x1b[?25l")
    assert "\x1b[1A" not in again
    assert "accepted" in again


def test_lines_do_not_wrap_while_they_are_drawn_and_do_afterwards() -> None:
    """A terminal that narrows in the midst keeps one row a line; between frames it is as it was."""
    run = ScriptedRun()
    console = _console()
    with LiveProgress(console, run.snapshot, run.now) as display:
        _busy(run, display)
        display.refresh()
    text = _written(console)
    assert text.count("\x1b[?7l") == text.count("\x1b[?7h") > 0
    assert text.rindex("\x1b[?7h") > text.rindex("\x1b[?7l")


def test_the_pause_stands_in_the_reason_line() -> None:
    """A person sees who asked for the pause and how long it still lasts."""
    run = ScriptedRun()
    console, display = _plain(run, 80)
    display.on_event(plan(1))
    display.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    run.moves(pause_s=11.5)
    assert _frame(console, display)[-1] == "HTTP 429 from the server: waiting 12 s"


def test_failures_scroll_by_above_the_bar_one_line_each() -> None:
    """The first failures are printed in full words, the rest is only counted."""
    run = ScriptedRun()
    console = _console()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(1000))
        for number in range(500):
            display.on_event(settled(f"f{number}", EntryState.REJECTED, reason="HTTP 400: " + "long " * 50))
        display.refresh()
        text = _written(console)
    assert text.count("rejected:\x1b[0m f") == 10
    assert text.count("more failures") == 1
    assert "500 rejected" in text


def test_where_a_frame_takes_long_fewer_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing has a bounded share of a processor, whatever the machine; what is asked for is drawn all the same."""
    run = ScriptedRun()
    console = _console()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(3))
        assert display._display is not None
        monkeypatch.setattr("bulk_upload.report.live.terminal.DRAWING_SHARE_MAX", 1e-9)
        display.refresh()
        assert not display._display.is_due()
        before = len(_written(console))
        display.refresh()
        assert len(_written(console)) > before
        monkeypatch.setattr("bulk_upload.report.live.terminal.DRAWING_SHARE_MAX", 1e9)
        display.refresh()
        assert display._display.is_due()


@pytest.mark.parametrize(
    "path", ["short.jsonl", "folder/" * 9 + "end.jsonl", "\u65e5\u672c" * 20 + ".jsonl", "e\u0301" * 50]
)
def test_a_path_has_its_cells_whatever_its_letters_take(path: str) -> None:
    """The columns beside it line up; its end is what is kept."""
    cell = path_cell(path, 30)
    assert cell_len(cell) == 30
    assert cell.rstrip().endswith(path[-9:])


def test_events_write_nothing_themselves() -> None:
    """Only the display's thread writes, so a terminal that stands still cannot hold up the run."""
    run = ScriptedRun()
    console = _console()
    with LiveProgress(console, run.snapshot, run.now) as display:
        before = _written(console)
        display.on_event(plan(3))
        display.on_event(settled("a", EntryState.REJECTED, reason="HTTP 400"))
        assert _written(console) == before


def test_what_was_told_last_is_printed_before_the_display_goes() -> None:
    """Nothing told between two refreshes is lost at the end, and the cursor comes back."""
    run = ScriptedRun()
    console = _console()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(Noticed(message="the last word"))
    text = _written(console)
    assert "note: the last word" in text
    assert text.rstrip().rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_a_block_that_raises_still_gives_the_terminal_back() -> None:
    """The cursor and the console's file are restored whatever happens inside."""
    run = ScriptedRun()
    console = _console()
    stream = console.file
    with pytest.raises(ZeroDivisionError), LiveProgress(console, run.snapshot, run.now):
        raise ZeroDivisionError
    assert console.file is stream
    assert "\x1b[?25h" in _written(console)


def test_names_are_never_markup_and_never_steer_the_terminal() -> None:
    """A file called like markup or holding an escape is shown as it is spelled."""
    run = ScriptedRun()
    console = _console(NO_COLOR="1")
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(settled("[red]a[/oops]\x1b[2J:smile:", EntryState.REJECTED, reason="[b]no"))
        display.on_event(Draining(reason="[/]\x1b]0;title"))
        display.refresh()
        text = _written(console)
    assert r"rejected: [red]a[/oops]\x1b[2J:smile:: [b]no" in text
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text


def test_no_color_means_no_color() -> None:
    """With NO_COLOR set, no colour code is written."""
    run = ScriptedRun()
    console = _console(NO_COLOR="1")
    with LiveProgress(console, run.snapshot, run.now) as display:
        _busy(run, display)
        display.refresh()
        text = _written(console)
    assert not any(f"\x1b[{code}m" in text for code in (31, 33, "38;5;197", "38;5;237"))


def test_a_dumb_terminal_gets_no_control_sequences() -> None:
    """Where the cursor cannot move, nothing tries to move it."""
    run = ScriptedRun()
    console = _console(TERM="dumb")
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(2))
        display.refresh()
    assert "\x1b" not in _written(console)


def test_stdout_stays_what_it_is() -> None:
    """Data on stdout is never taken for text to draw."""
    run = ScriptedRun()
    stdout = sys.stdout
    with LiveProgress(_console(), run.snapshot, run.now):
        assert sys.stdout is stdout


class _HungUp(io.StringIO):
    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error
        self.calls = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "Input/output error")])
def test_a_terminal_that_goes_away_ends_the_display_and_not_the_run(error: OSError) -> None:
    """After the first failed write nothing more is written, and nothing is raised, not even at the end."""
    run = ScriptedRun()
    stream = _HungUp(error)
    console = Console(file=stream, force_terminal=True, width=80, height=25)
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(2))
        display.refresh()
        display.on_event(settled("a", EntryState.REJECTED, reason="no"))
        display.refresh()
    assert stream.calls == 1


def test_events_cost_next_to_nothing() -> None:
    """Ten thousand files at full speed are folded in well under a second, whatever the display does."""
    run = ScriptedRun()
    events = [
        event
        for number in range(10_000)
        for event in (started(str(number)), ended(str(number)), settled(str(number)))
    ]
    with LiveProgress(_console(), run.snapshot, run.now) as display:
        display.on_event(plan(10_000))
        begun = time.process_time()
        for event in events:
            display.on_event(event)
        assert time.process_time() - begun < 1.0


def test_what_keeps_the_display_from_being_drawn_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread has nobody who awaits it: the next event, or the next tick, raises its error."""
    run = ScriptedRun()
    with LiveProgress(_console(), run.snapshot, run.now) as display:
        monkeypatch.setattr(display, "_progress", None)
        display.refresh()
        with pytest.raises(AttributeError):
            display.check()
        with pytest.raises(AttributeError):
            display.on_event(Preparing(entry_count=1))
