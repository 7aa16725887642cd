from __future__ import annotations

from msgspec.structs import replace

from bulk_upload.core.events import Draining, Noticed, Paused, Preparing, Reconciling
from bulk_upload.core.model import EntryState, Unavailable
from bulk_upload.report.live.plain_lines import LineProgress
from tests.report.scripted_run import FILE_BYTES, ScriptedRun, ended, plan, settled, started


def _display(run: ScriptedRun) -> tuple[LineProgress, list[str]]:
    lines: list[str] = []
    return LineProgress(lines.append, run.snapshot, run.now), lines


def test_the_numbers_are_written_every_thirty_seconds() -> None:
    """A tick a second makes one line in thirty."""
    run = ScriptedRun()
    display, lines = _display(run)
    display.on_event(plan(10))
    lines.clear()
    for _ in range(95):
        run.moves(seconds=1.0)
        display.tick()
    assert len(lines) == 3


def test_a_line_has_all_the_numbers() -> None:
    """Share, files, bytes, rate, ETA, slots, failures, doubts, retries and the reason stand in one line."""
    run = ScriptedRun()
    display, lines = _display(run)
    display.on_event(plan(4))
    display.tick()
    display.on_event(started("a"))
    display.on_event(ended("a", Unavailable(reason="reset"), retry_in_s=1.0))
    display.on_event(settled("a"))
    display.on_event(settled("b", EntryState.REJECTED, reason="HTTP 400"))
    display.on_event(settled("c", EntryState.IN_DOUBT, reason="lost"))
    run.moves(seconds=30.0, in_flight=3, wire_bytes=3 * FILE_BYTES)
    display.tick()
    assert lines[-1] == (
        "progress: 50 %, 2 of 4 files, 2.0 MB of 4.0 MB, 100.0 kB/s now, 100.0 kB/s mean, ETA 30 s; "
        "in flight 3 of 8, 1 rejected, 1 in doubt, 1 retried; 8 in flight, as set"
    )


def test_files_that_are_looked_into_ahead_are_in_the_line() -> None:
    """For as long as some are."""
    run = ScriptedRun()
    display, lines = _display(run)
    display.on_event(plan(4))
    run.state = replace(run.state, validating_count=1, validated_count=3, validated_bytes=3 * FILE_BYTES)
    run.moves(seconds=30.0)
    display.tick()
    assert "; in flight 0 of 8, validated ahead: 3 files, 3.0 MB; validating 1 more; " in lines[-1]


def test_before_the_plan_there_are_no_numbers() -> None:
    """While the manifest is read, the line says only that."""
    run = ScriptedRun()
    display, lines = _display(run)
    run.moves(seconds=31.0)
    display.tick()
    assert lines == ["progress: reading the manifest"]
    display.on_event(Preparing(entry_count=512_000))
    run.moves(seconds=30.0)
    display.tick()
    assert lines[1:] == ["progress: reading the manifest: 512,000 entries so far"]


def test_what_matters_is_written_at_once() -> None:
    """The plan, a long pause, a look at the list, a notice and a drain do not wait for the next line."""
    run = ScriptedRun()
    display, lines = _display(run)
    display.on_event(plan(2))
    display.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    display.on_event(Reconciling(waiting_count=2))
    display.on_event(Noticed(message="the server named it 'b'", path="a"))
    display.on_event(Draining(reason="Ctrl-C"))
    assert lines[1:] == [
        "paused: HTTP 429 from the server: waiting 12 s",
        "reconciling: searching the server's list for 2 in doubt",
        "note: a: the server named it 'b'",
        "draining: Ctrl-C; finishing uploads in flight, starting nothing new",
    ]


def test_short_pauses_and_repeated_ones_are_not_written() -> None:
    """Only a pause of more than five seconds has a line, and only one until it is over."""
    run = ScriptedRun()
    display, lines = _display(run)
    display.on_event(Paused(pause_s=5.0, reason="HTTP 429"))
    for _ in range(100):
        display.on_event(Paused(pause_s=20.0, reason="HTTP 429"))
    assert len(lines) == 1
    run.moves(seconds=20.0)
    display.on_event(Paused(pause_s=6.0, reason="HTTP 429"))
    assert len(lines) == 2


def test_repeated_looks_at_the_list_share_the_rhythm() -> None:
    """Reconciling looks every few seconds; a line every thirty is enough."""
    run = ScriptedRun()
    display, lines = _display(run)
    for _ in range(20):
        run.moves(seconds=2.0)
        display.on_event(Reconciling(waiting_count=1))
    assert len(lines) == 2


def test_a_wait_for_late_files_is_told_once() -> None:
    """Nothing is sent for half a minute: a person learns why, and how long at most."""
    run = ScriptedRun()
    display, lines = _display(run)
    for wait_s in (0.0, 30.0, 22.5, 15.0):
        run.moves(seconds=7.5)
        display.on_event(Reconciling(waiting_count=1, wait_max_s=wait_s))
    told = [one for one in lines if one.startswith("in doubt: ")]
    assert told == ["in doubt: waiting up to 30 s for files that the server shows late"]


def test_a_reader_that_is_gone_does_not_end_the_run() -> None:
    """After a write fails, events are still counted and nothing more is written."""
    run = ScriptedRun()
    calls = []

    def write(line: str) -> None:
        calls.append(line)
        raise BrokenPipeError

    display = LineProgress(write, run.snapshot, run.now)
    display.on_event(plan(2))
    display.on_event(Draining(reason="Ctrl-C"))
    assert len(calls) == 1
