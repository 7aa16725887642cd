"""What the lines of the live display say."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from bulk_upload.core.events import BodyNow, Noticed, Paused, Preparing
from bulk_upload.core.model import EntryState, Throttled, Unavailable
from bulk_upload.report.live.frame import REST_STYLE, Look, bar_of, path_cell
from bulk_upload.report.live.terminal import LiveProgress
from tests.report.live.terminal_stage import BAR, console_of, frame, keep_busy, plain_display, written
from tests.report.scripted_run import FILE_BYTES, ScriptedRun, ended, plan, settled, started


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_display_is_a_few_lines_that_fit(width: int) -> None:
    """At common widths all numbers are seen, each once, in lines that never wrap."""
    run = ScriptedRun()
    console, display = plain_display(run, width)
    keep_busy(run, display)
    lines = frame(console, display)
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
    console, display = plain_display(run, 80)
    display.on_event(plan(1_000_000))
    places = set()
    for step in range(4):
        for number in range(333_333):
            display._progress.tally.ended[EntryState.ACCEPTED] = step * 333_333 + number
        run.moves(seconds=3_600.0)
        for line in frame(console, display)[:2]:
            places.add((line.index("  ") + 2, len(line[7:].partition(" ")[0])))
    assert places == {(7, 18)}


def test_the_times_stand_still_while_the_amounts_grow() -> None:
    """From the first file to the last they begin in one column."""
    run = ScriptedRun()
    console, display = plain_display(run, 80)
    display.on_event(plan(1_234))
    places = set()
    for count in (0, 9, 99, 999, 1_234):
        display._progress.tally.ended[EntryState.ACCEPTED] = count
        display._progress.tally.accepted_bytes = count * FILE_BYTES
        run.moves(seconds=60.0)
        files, bytes_ = frame(console, display)[:2]
        places |= {files.index("elapsed"), bytes_.index("ETA")}
    assert len(places) == 1


def test_what_failed_has_the_colour_of_its_counter() -> None:
    """The first word of its line; the rest is as it is, and without colours all of it."""
    for console, head in (
        (console_of(), "\x1b[31mrejected:\x1b[0m a"),
        (console_of(NO_COLOR="1"), "rejected: a"),
    ):
        run = ScriptedRun()
        with LiveProgress(console, run.snapshot, run.now) as display:
            display.on_event(plan(2))
            display.on_event(settled("a", EntryState.REJECTED, reason="HTTP 400"))
            display.on_event(Noticed(message="as it is"))
        assert head in written(console)
        assert "note: as it is" in written(console)


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
    console, display = plain_display(run, 80)
    keep_busy(run, display)
    run.state = replace(run.state, validating_count=3, validated_count=40, validated_bytes=7_400 * FILE_BYTES)
    assert frame(console, display)[-2] == "validated ahead: 40 files, 7.4 GB; validating 3 more"
    run.state = replace(run.state, validating_count=0, validated_count=43)
    run.moves(seconds=4.0)
    assert frame(console, display)[-2] == "validated ahead: 43 files, 7.4 GB"
    run.moves(seconds=1.0)
    assert not any("validated" in line for line in frame(console, display))


def test_those_that_back_off_are_counted_beside_the_reason() -> None:
    """In a storm of refusals few are in flight: the others are not lost, they wait."""
    run = ScriptedRun()
    console, display = plain_display(run, 80)
    display.on_event(plan(20))
    display.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    for number in range(9):
        display.on_event(started(f"{number}"))
        display.on_event(ended(f"{number}", Throttled(http_status=429, retry_after_s=12.0), retry_in_s=12.0))
    run.moves(pause_s=12.0, parked_count=10)
    assert frame(console, display)[-1] == "HTTP 429 from the server: waiting 12 s; 10 parked, 9 backing off"


def test_where_all_that_wait_back_off_one_word_says_it() -> None:
    """They are parked, too; two counts of the same entries would look like two kinds."""
    run = ScriptedRun()
    console, display = plain_display(run, 80)
    display.on_event(plan(20))
    for number in range(5):
        display.on_event(started(f"{number}"))
        display.on_event(ended(f"{number}", Throttled(http_status=429, retry_after_s=12.0), retry_in_s=12.0))
    run.moves(parked_count=5)
    assert frame(console, display)[-1] == "8 in flight, as set; 5 backing off"


def test_before_the_plan_the_display_says_so() -> None:
    """While the manifest is read there is a moving bar, the reason, and no number but how far it is."""
    console, display = plain_display(ScriptedRun(), 80)
    assert frame(console, display)[1:] == ["reading the manifest"]
    display.on_event(Preparing(entry_count=12_800))
    assert frame(console, display)[1:] == ["reading the manifest: 12,800 entries so far"]


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
    lines = frame(console, display)
    first, second, third = lines[5:8]
    assert "conversation-0.jsonl" in first
    assert len(lines) == 5 + 9
    for line, doing in ((first, "sending"), (second, "backing off, 8 s"), (third, "awaiting the answer")):
        assert doing in line
    assert all(one.rstrip().endswith("1 min 05 s") for one in (first, second, third))
    narrow = Console(file=io.StringIO(), width=60, height=24, color_system=None)
    display._console = narrow
    names = [line for line in frame(narrow, display) if line.startswith("...")]
    assert "on-0.jsonl  " in names[0]


@pytest.mark.parametrize(("height", "count"), [(7, 0), (24, 11), (50, 31), (80, 40)])
def test_as_many_uploads_are_shown_as_the_height_allows(height: int, count: int) -> None:
    """A quarter of the terminal stays for messages; those without a line are counted."""
    run = ScriptedRun()
    console = Console(file=io.StringIO(), width=80, height=height, color_system=None)
    display = LiveProgress(console, run.snapshot, run.now)
    _slow(run, display, 40)
    lines = frame(console, display)
    assert sum("/shards/" in line or "conversation-" in line for line in lines) == count
    assert len(lines) <= max(6, height - height // 4)
    assert (lines[-1] == f"and {40 - count} more") == (0 < count < 40)


def test_the_pause_stands_in_the_reason_line() -> None:
    """A person sees who asked for the pause and how long it still lasts."""
    run = ScriptedRun()
    console, display = plain_display(run, 80)
    display.on_event(plan(1))
    display.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    run.moves(pause_s=11.5)
    assert frame(console, display)[-1] == "HTTP 429 from the server: waiting 12 s"


@pytest.mark.parametrize(
    "path", ["short.jsonl", "folder/" * 9 + "end.jsonl", "\u65e5\u672c" * 20 + ".jsonl", "e\u0301" * 50]
)
def test_a_path_has_its_cells_whatever_its_letters_take(path: str) -> None:
    """The columns beside it line up; its end is what is kept."""
    cell = path_cell(path, 30)
    assert cell_len(cell) == 30
    assert cell.rstrip().endswith(path[-9:])
