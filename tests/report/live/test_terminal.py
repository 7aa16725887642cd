"""The live display on a terminal: frames are drawn over one another, and nothing is left behind."""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from bulk_upload.core.events import Draining, Noticed, Preparing
from bulk_upload.core.model import EntryState
from bulk_upload.report.live.terminal import LiveProgress
from tests.report.live.terminal_stage import console_of, frame, keep_busy, written
from tests.report.live.test_terminal_frames import _slow
from tests.report.scripted_run import ScriptedRun, ended, plan, settled, started


def test_a_wide_terminal_does_not_tear_lines_apart() -> None:
    """Beyond a readable width an upload's state is still near its name."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=200, height=24, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now)
    _slow(run, display, 3)
    assert all(len(line.rstrip()) <= 100 for line in frame(console, display))


def test_a_terminal_that_got_narrower_is_cleared_of_the_wrapped_frame() -> None:
    """The next frame is drawn over all the rows that the last one has now, not only over its lines."""
    run = ScriptedRun()
    console = console_of(width=80)
    with LiveProgress(console, run.snapshot, run.now) as display:
        keep_busy(run, display)
        display.refresh()
        before = len(written(console))
        console.width = 40
        display.refresh()
        # Of 62 to 76 columns, but for the last two.
        assert written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") == 4 * 2 + 1 + 1 - 1


def test_a_terminal_that_reports_late_that_it_got_narrower_is_cleared_too() -> None:
    """A frame drawn in between took back as many rows as it has lines: the rest is above it, and goes with the next."""
    run = ScriptedRun()
    console = console_of(width=80)
    with LiveProgress(console, run.snapshot, run.now) as display:
        keep_busy(run, display)
        display.refresh()
        # The terminal has 40 columns from here on; the program does not know.
        display.refresh()
        before = len(written(console))
        console.width = 40
        display.refresh()
        assert written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") == 4 * 2 + 1 + 1 - 1


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
        keep_busy(run, display)
        display.refresh()
        assert display._display is not None
        drawing = display._display._draw

        def draw_and_narrow() -> RenderableType:
            drawn = drawing()
            current[0] = 40
            return drawn

        display._display._draw = draw_and_narrow
        display.refresh()
        before = len(written(console))
        display.refresh()
        assert written(console)[before:].split("\x1b[?7l")[0].count("\x1b[1A") > 6 - 1


def test_ctrl_z_removes_the_display_and_the_next_frame_takes_nothing_back(tmp_path: Path) -> None:
    """The shell writes meanwhile: what it wrote stays, and the cursor is there while the process is stopped."""
    run = ScriptedRun()
    with (tmp_path / "tty").open("w+") as stream:
        console = Console(
            file=stream, force_terminal=True, width=80, height=25, _environ={"TERM": "xterm-256color"}
        )
        with LiveProgress(console, run.snapshot, run.now) as display:
            keep_busy(run, display)
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
    console = console_of()
    with LiveProgress(console, run.snapshot, run.now) as display:
        keep_busy(run, display)
        display.refresh()
    text = written(console)
    assert text.count("\x1b[?7l") == text.count("\x1b[?7h") > 0
    assert text.rindex("\x1b[?7h") > text.rindex("\x1b[?7l")


def test_failures_scroll_by_above_the_bar_one_line_each() -> None:
    """The first failures are printed in full words, the rest is only counted."""
    run = ScriptedRun()
    console = console_of()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(1000))
        for number in range(500):
            display.on_event(settled(f"f{number}", EntryState.REJECTED, reason="HTTP 400: " + "long " * 50))
        display.refresh()
        text = written(console)
    assert text.count("rejected:\x1b[0m f") == 10
    assert text.count("more failures") == 1
    assert "500 rejected" in text


def test_where_a_frame_takes_long_fewer_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing has a bounded share of a processor, whatever the machine; what is asked for is drawn all the same."""
    run = ScriptedRun()
    console = console_of()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(3))
        assert display._display is not None
        monkeypatch.setattr("bulk_upload.report.live.terminal.DRAWING_SHARE_MAX", 1e-9)
        display.refresh()
        assert not display._display.is_due()
        before = len(written(console))
        display.refresh()
        assert len(written(console)) > before
        monkeypatch.setattr("bulk_upload.report.live.terminal.DRAWING_SHARE_MAX", 1e9)
        display.refresh()
        assert display._display.is_due()


def test_events_write_nothing_themselves() -> None:
    """Only the display's thread writes, so a terminal that stands still cannot hold up the run."""
    run = ScriptedRun()
    console = console_of()
    with LiveProgress(console, run.snapshot, run.now) as display:
        before = written(console)
        display.on_event(plan(3))
        display.on_event(settled("a", EntryState.REJECTED, reason="HTTP 400"))
        assert written(console) == before


def test_what_was_told_last_is_printed_before_the_display_goes() -> None:
    """Nothing told between two refreshes is lost at the end, and the cursor comes back."""
    run = ScriptedRun()
    console = console_of()
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(Noticed(message="the last word"))
    text = written(console)
    assert "note: the last word" in text
    assert text.rstrip().rfind("\x1b[?25h") > text.rfind("\x1b[?25l")


def test_a_block_that_raises_still_gives_the_terminal_back() -> None:
    """The cursor and the console's file are restored whatever happens inside."""
    run = ScriptedRun()
    console = console_of()
    stream = console.file
    with pytest.raises(ZeroDivisionError), LiveProgress(console, run.snapshot, run.now):
        raise ZeroDivisionError
    assert console.file is stream
    assert "\x1b[?25h" in written(console)


def test_names_are_never_markup_and_never_steer_the_terminal() -> None:
    """A file called like markup or holding an escape is shown as it is spelled."""
    run = ScriptedRun()
    console = console_of(NO_COLOR="1")
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(settled("[red]a[/oops]\x1b[2J:smile:", EntryState.REJECTED, reason="[b]no"))
        display.on_event(Draining(reason="[/]\x1b]0;title"))
        display.refresh()
        text = written(console)
    assert r"rejected: [red]a[/oops]\x1b[2J:smile:: [b]no" in text
    assert "\x1b[2J" not in text
    assert "\x1b]0" not in text


def test_no_color_means_no_color() -> None:
    """With NO_COLOR set, no colour code is written."""
    run = ScriptedRun()
    console = console_of(NO_COLOR="1")
    with LiveProgress(console, run.snapshot, run.now) as display:
        keep_busy(run, display)
        display.refresh()
        text = written(console)
    assert not any(f"\x1b[{code}m" in text for code in (31, 33, "38;5;197", "38;5;237"))


def test_a_dumb_terminal_gets_no_control_sequences() -> None:
    """Where the cursor cannot move, nothing tries to move it."""
    run = ScriptedRun()
    console = console_of(TERM="dumb")
    with LiveProgress(console, run.snapshot, run.now) as display:
        display.on_event(plan(2))
        display.refresh()
    assert "\x1b" not in written(console)


def test_stdout_stays_what_it_is() -> None:
    """Data on stdout is never taken for text to draw."""
    run = ScriptedRun()
    stdout = sys.stdout
    with LiveProgress(console_of(), run.snapshot, run.now):
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
    with LiveProgress(console_of(), run.snapshot, run.now) as display:
        display.on_event(plan(10_000))
        begun = time.process_time()
        for event in events:
            display.on_event(event)
        assert time.process_time() - begun < 1.0


def test_what_keeps_the_display_from_being_drawn_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread has nobody who awaits it: the next event, or the next tick, raises its error."""
    run = ScriptedRun()
    with LiveProgress(console_of(), run.snapshot, run.now) as display:
        monkeypatch.setattr(display, "_progress", None)
        display.refresh()
        with pytest.raises(AttributeError):
            display.check()
        with pytest.raises(AttributeError):
            display.on_event(Preparing(entry_count=1))
