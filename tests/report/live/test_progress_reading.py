from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.events import BodyNow, Draining, Paused, PlanMade, Reconciling, Snapshot
from bulk_upload.core.limits.capped import PAUSED_BY_HAND
from bulk_upload.core.model import EntryState, Unavailable
from bulk_upload.report.live.eta import time_range, whole_seconds
from bulk_upload.report.live.progress import Progress
from tests.report.scripted_run import FILE_BYTES, LOST, ScriptedRun, ended, plan, settled, started


def _progress(run: ScriptedRun) -> Progress:
    return Progress(run.snapshot, run.now)


def test_bodies_that_are_sent_again_never_move_the_bar_back_or_past_the_end() -> None:
    """The bytes of a failed attempt stay on the screen until a later attempt has caught up with them."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    progress.on_event(started("a"))
    run.moves(wire_bytes=900_000, partial_bytes=900_000)
    assert progress.read().done_bytes == 900_000
    progress.on_event(ended("a", Unavailable(reason="reset"), retry_in_s=1.0))
    run.moves(partial_bytes=0)
    assert progress.read().done_bytes == 900_000
    run.moves(wire_bytes=1_900_000, partial_bytes=FILE_BYTES)
    assert progress.read().done_bytes == FILE_BYTES
    progress.on_event(settled("a"))
    progress.on_event(settled("b"))
    reading = progress.read()
    assert (reading.done_bytes, reading.share, reading.percent) == (2 * FILE_BYTES, 1.0, "100 %")


@given(st.lists(st.tuples(st.integers(0, 5 * FILE_BYTES), st.integers(0, 3)), max_size=30))
def test_the_bar_only_grows_and_stays_within_the_total(steps: list[tuple[int, int]]) -> None:
    """Whatever snapshots say, the share grows from 0 to at most 1."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(4, settled_count=1))
    shares = []
    for partial_bytes, accepted in steps:
        for number in range(accepted):
            progress.on_event(settled(f"f{number}"))
        run.moves(seconds=0.25, partial_bytes=partial_bytes)
        shares.append(progress.read().share)
    assert shares == sorted(shares)
    assert all(0.25 <= share <= 1.0 for share in shares)


def test_what_was_settled_before_counts_as_done_but_not_as_speed() -> None:
    """A resumed run starts where the job stands, and its ETA comes from this run alone."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.read()
    progress.on_event(plan(10, settled_count=5))
    run.moves(seconds=1.0)
    reading = progress.read()
    assert (reading.done_count, reading.done_bytes) == (5, 5 * FILE_BYTES)
    assert (reading.rate, reading.eta_s) == (0.0, None)


def test_the_eta_is_what_is_left_at_the_useful_rate_plus_the_pause() -> None:
    """Half done in ten seconds is ten seconds to go, and a pause is waited out first."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    progress.read()
    progress.on_event(settled("a"))
    run.moves(seconds=10.0, wire_bytes=3 * FILE_BYTES, pause_s=4.0)
    reading = progress.read()
    assert reading.eta_s == pytest.approx(14.0)
    assert reading.eta == "ETA 14 s"
    assert reading.rate == pytest.approx(3 * FILE_BYTES / 10)


def test_an_eta_is_a_range_where_lately_and_on_average_differ() -> None:
    """A run that got slower will take from what the mean says to what the last minute says."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(1000))
    for number in range(500):
        progress.on_event(settled(f"f{number}"))
        if number % 100 == 0:
            run.moves(seconds=30.0)
            progress.read()
    run.moves(seconds=600.0)
    progress.on_event(settled("x"))
    reading = progress.read()
    assert reading.eta_s is not None
    assert reading.eta_most_s is not None
    assert reading.eta_s < reading.eta_most_s
    assert " to " in reading.eta


def test_while_draining_only_what_is_in_flight_counts_for_the_eta() -> None:
    """Neither the rest of the manifest nor a pause is waited for: a drain of one body takes as long as that body."""
    run = ScriptedRun()
    body = BodyNow(path="b", body_bytes=FILE_BYTES, left_bytes=FILE_BYTES // 2, waiting=False)
    progress = Progress(run.snapshot, run.now, lambda: [body])
    progress.on_event(plan(1000))
    progress.read()
    for number in range(10):
        progress.on_event(settled(f"f{number}"))
    run.moves(seconds=10.0, in_flight=1, pause_s=60.0)
    before = progress.read()
    assert before.eta_s is not None
    assert before.eta_s > 900
    progress.on_event(Draining(reason="received SIGINT"))
    reading = progress.read()
    assert reading.draining
    assert reading.eta_most_s is not None
    assert reading.eta_most_s < 2.0


def test_a_person_s_pause_has_no_eta() -> None:
    """Nobody knows when it ends."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    progress.read()
    progress.on_event(settled("a"))
    run.moves(seconds=10.0)
    assert progress.read().eta == "ETA 10 s"
    run.state = replace(run.state, limit_reason=PAUSED_BY_HAND)
    reading = progress.read()
    assert (reading.eta, reading.paused) == ("ETA -", True)


def test_a_pause_does_not_make_the_recent_rate_look_slower() -> None:
    """Its end is known: it is added to the estimate, and not taken for slowness too."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(1000))
    progress.read()
    for number in range(100):
        progress.on_event(settled(f"f{number}"))
        run.moves(seconds=1.0)
        progress.read()
    before = progress.read()
    for _ in range(30):
        run.moves(seconds=1.0, pause_s=1.0)
        progress.read()
    run.moves(pause_s=0.0)
    after = progress.read()
    assert before.eta_s is not None
    assert after.eta_s == pytest.approx(before.eta_s, abs=30.0)
    assert after.eta_most_s is not None
    assert after.eta_s is not None
    assert after.eta_most_s > after.eta_s


def test_the_eta_moves_gradually() -> None:
    """A burst of small files does not halve it at once; a minute later it has followed."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(10_000))
    progress.read()
    shown = []
    for second in range(600):
        for number in range(1 if second < 300 else 10):
            progress.on_event(settled(f"{second}-{number}"))
        run.moves(seconds=1.0)
        reading = progress.read()
        if reading.eta_s is not None:
            shown.append(reading.eta_s)
    jumps = [abs(after - before) / before for before, after in pairwise(shown)]
    assert max(jumps[10:]) < 0.06
    assert shown[-1] < shown[299] / 4


def test_sent_and_acknowledged_bytes_are_counted_apart() -> None:
    """A body that was sent twice is twice on the wire and once acknowledged."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    run.moves(seconds=10.0, wire_bytes=2 * FILE_BYTES)
    progress.on_event(settled("a"))
    reading = progress.read()
    assert reading.traffic == "1.0 MB accepted, 2.0 MB sent"
    assert reading.percent == "50 %"
    assert reading.mean_rate == pytest.approx(2 * FILE_BYTES / 10)


def test_failures_are_done_and_in_doubt_is_not() -> None:
    """An entry that failed is over, so the bar can reach its end; one in doubt is not over."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    progress.on_event(settled("a", EntryState.REJECTED, reason="HTTP 400"))
    progress.on_event(settled("b", EntryState.IN_DOUBT, reason="lost"))
    reading = progress.read()
    assert (reading.done_count, reading.failed_count, reading.in_doubt_count) == (1, 1, 1)
    assert reading.percent == "50 %"


def test_in_doubt_counts_entries_that_are_in_doubt_now() -> None:
    """A lost answer is in doubt until the entry is settled or sent again."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    for path in ("a", "b"):
        progress.on_event(started(path))
        progress.on_event(ended(path, LOST))
    assert progress.read().in_doubt_count == 2
    progress.on_event(settled("a"))
    progress.on_event(started("b", attempt_no=2))
    assert progress.read().in_doubt_count == 0


def test_empty_files_are_counted_by_number() -> None:
    """Where there are no bytes to count, the share is that of the files."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(
        PlanMade(entry_count=4, total_bytes=0, settled_count=0, settled_bytes=0, send_count=4, send_bytes=0,
                 doubt_count=0, blocked_count=0)
    )  # fmt: skip
    progress.on_event(settled("a"))
    assert progress.read().percent == "25 %"


def test_percent_is_rounded_down() -> None:
    """100 % is said only when nothing is left."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(1))
    run.moves(partial_bytes=FILE_BYTES - 1)
    assert progress.read().percent == "99 %"
    run.moves(partial_bytes=FILE_BYTES, in_flight=1)
    assert progress.read().percent == "99 %"
    run.moves(in_flight=0)
    assert progress.read().percent == "100 %"


def test_the_reason_line_tells_what_holds_the_run_back() -> None:
    """A drain outranks a pause, a pause the list, and the limit's reason is what is left."""
    run = ScriptedRun()
    progress = _progress(run)
    assert progress.read().why == "reading the manifest"
    progress.on_event(plan(2))
    assert progress.read().why == "8 in flight, as set"
    run.moves(parked_count=3)
    assert progress.read().why == "8 in flight, as set; 3 parked"
    progress.on_event(Reconciling(waiting_count=2))
    assert progress.read().why == "searching the server's list for 2 in doubt"
    progress.on_event(Paused(pause_s=12.0, reason="HTTP 429 from the server"))
    run.moves(pause_s=11.2)
    assert progress.read().why == "HTTP 429 from the server: waiting 12 s; 3 parked"
    progress.on_event(Draining(reason="Ctrl-C"))
    run.moves(in_flight=5)
    assert progress.read().why == "draining: 5 uploads in flight"


def test_the_list_is_mentioned_for_a_short_while_only() -> None:
    """A look at the server's list does not hide the limit's reason for ever."""
    run = ScriptedRun()
    progress = _progress(run)
    progress.on_event(plan(2))
    progress.on_event(Reconciling(waiting_count=2))
    run.moves(seconds=11.0)
    assert progress.read().why == "8 in flight, as set"


def test_a_snapshot_that_raced_with_the_run_shows_the_picture_before() -> None:
    """A snapshot taken from another thread may fail now and then; the display goes on."""
    run = ScriptedRun()
    answers: list[Snapshot | None] = [run.state, None]

    def snapshot() -> Snapshot:
        answer = answers.pop(0)
        if answer is None:
            raise RuntimeError("dictionary changed size during iteration")
        return answer

    progress = Progress(snapshot, run.now)
    assert progress.read().limit == progress.read().limit == 8


def test_a_snapshot_that_never_worked_is_an_error() -> None:
    """Without any picture there is nothing to show."""

    def snapshot() -> Snapshot:
        raise RuntimeError("no run")

    with pytest.raises(RuntimeError, match="no run"):
        Progress(snapshot, ScriptedRun().now).read()


@pytest.mark.parametrize(
    ("least_s", "most_s", "text"),
    [
        (10.0, 100.0, "1 min 40 s"), (300.0, 350.0, "5 min 50 s"), (300.0, 780.0, "5 to 13 min"), (20.0, 130.0, "1 to 3 min"),
        (5_000.0, 8_000.0, "1 to 3 h"), (86_400.0, 180_000.0, "24 to 50 h"),
    ],
)  # fmt: skip
def test_a_range_has_one_unit_and_is_shown_where_it_helps(least_s: float, most_s: float, text: str) -> None:
    """Two estimates that are near, or short, are one: the longer."""
    assert time_range(least_s, most_s) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (0.2, "1 s"), (12.0, "12 s"), (59.5, "1 min 00 s"), (3700, "1 h 01 min")],
)
def test_waits_are_whole_seconds_rounded_up(seconds: float, text: str) -> None:
    """A countdown reads like a clock and ends at zero."""
    assert whole_seconds(seconds) == text
