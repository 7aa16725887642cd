"""From a ledger's rows to numbers: whatever is counted adds up."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.controller import chance_words
from bulk_upload.core.model import EntryState
from bulk_upload.core.report.export import ExportRow
from bulk_upload.core.report.history import AttemptFacts, LimitChange, RunFacts
from bulk_upload.core.run.records import OUTCOME_NAMES
from bulk_upload.core.text.timestamps import utc_text
from bulk_upload.report.page.distribution import Distribution
from bulk_upload.report.page.figures import ACCEPTED, NOT_SENT, OPEN, figures_of
from bulk_upload.report.page.page import OTHER_STATES, causes_of
from bulk_upload.report.page.timeline import Timeline, WorkAxis

BEGAN_S = 1_780_000_000.0
moments = st.floats(0, 100_000).map(lambda one: BEGAN_S + one)


@st.composite
def attempts(draw: st.DrawFn) -> AttemptFacts:
    outcome = draw(st.sampled_from([None, *OUTCOME_NAMES.values()]))
    start = draw(moments)
    return AttemptFacts(
        run_id=draw(st.integers(1, 3)),
        attempt_no=draw(st.integers(1, 4)),
        size=draw(st.integers(0, 10**12)),
        intent_utc=utc_text(start),
        ended_utc=None if outcome is None else utc_text(start + draw(st.floats(-5, 500))),
        outcome=outcome,
        http_status=draw(st.sampled_from([None, 200, 429, 503])),
        reason=draw(st.sampled_from([None, "HTTP 429", "reset", "line 3 of 'a'", "line 4 of 'b'"])),
    )


def _runs(rows: list[AttemptFacts]) -> list[RunFacts]:
    runs = []
    for number in (1, 2, 3):
        times = [(one.intent_utc, one.ended_utc or one.intent_utc) for one in rows if one.run_id == number]
        began, over = (min(t[0] for t in times), max(t[1] for t in times)) if times else (None, None)
        runs.append(RunFacts(number, "1.0", utc_text(BEGAN_S), None, None, began, over))
    return runs


@given(st.lists(attempts(), max_size=40))
def test_every_attempt_is_counted_once_in_each_way(rows: list[AttemptFacts]) -> None:
    """Outcomes, runs, causes and distributions each add up to what went in."""
    figures = figures_of(_runs(rows), rows, [])
    accepted = [one for one in rows if one.outcome == ACCEPTED]
    assert sum(figures.outcomes.values()) == figures.attempt_count == len(rows)
    assert sum(one.attempt_count for one in figures.runs.values()) == len(rows)
    assert sum(one.count for one in figures.causes.values()) + len(accepted) == len(rows)
    assert sum(one.count for one in figures.latency_s.bins()) == figures.sizes.count == len(accepted)
    assert figures.accepted_bytes == sum(one.size for one in accepted)
    assert sum(figures.bytes_accepted.totals()) == pytest.approx(figures.accepted_bytes, rel=1e-6, abs=1.0)
    assert sum(figures.files_accepted.totals()) == pytest.approx(len(accepted))
    assert figures.outcomes[OPEN] == sum(one.outcome is None for one in rows)


@given(st.lists(st.tuples(moments, st.floats(0, 1000)), min_size=1, max_size=5), moments, st.floats(0, 5e4))
def test_an_amount_is_spread_and_none_of_it_lost(
    spans: list[tuple[float, float]], start: float, took_s: float
) -> None:
    """Wherever an attempt lies on the axis, what the bins have together is its amount, and no bin has less than 0."""
    axis = WorkAxis([(one, one + length) for one, length in spans], 16)
    line = Timeline(axis)
    line.spread(axis.place_s(start), axis.place_s(start + took_s), 1000.0)
    totals = line.totals()
    assert sum(totals) == pytest.approx(1000.0)
    assert min(totals) >= 0


@given(st.lists(moments, min_size=2, max_size=20))
def test_the_axis_never_runs_backwards(at: list[float]) -> None:
    """A later moment never lies further left, whatever lies between runs."""
    axis = WorkAxis([(BEGAN_S + 10, BEGAN_S + 500), (BEGAN_S + 40_000, BEGAN_S + 41_000)], 8)
    places = [axis.place_s(one) for one in sorted(at)]
    assert places == sorted(places)
    assert all(0 <= one <= axis.work_s for one in places)


def test_nights_between_runs_are_left_out() -> None:
    """Two runs of a minute with a day between them are two minutes at work."""
    axis = WorkAxis([(0, 60), (86_400, 86_460)], 10)
    assert (axis.work_s, axis.borders_s) == (120, [0, 60])
    assert axis.place_s(40_000) == 60


def test_an_even_upload_is_an_even_line() -> None:
    """100 MB in ten seconds are 10 MB/s in each of the bins they cover."""
    axis = WorkAxis([(0, 10)], 5)
    line = Timeline(axis)
    line.spread(0, 10, 100e6)
    assert line.per_second() == pytest.approx([10e6] * 5)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=60), st.sampled_from([1, 2, 5, 10]))
def test_bins_hold_what_lies_between_their_bounds(values: list[float], joined: int) -> None:
    """Joined or not, bins follow each other, count everything, and percentiles lie between the extremes."""
    spread = Distribution(1.0)
    for one in values:
        spread.add(one)
    bins = spread.bins(joined)
    assert sum(one.count for one in bins) == len(values)
    assert all(a.high == pytest.approx(b.low) for a, b in pairwise(bins))
    assert min(values) <= spread.percentile(50) <= max(values)
    assert spread.percentile(0) <= spread.percentile(50) <= spread.percentile(100)


def test_a_percentile_is_right_within_a_bin() -> None:
    """The median of 1 to 1000 is 500, give or take the width of a bin."""
    spread = Distribution(1.0)
    for one in range(1, 1001):
        spread.add(one)
    assert math.isclose(spread.percentile(50), 500, rel_tol=0.03)


def test_attempts_that_were_never_sent_take_no_time() -> None:
    """An intent that was withdrawn is no attempt in flight."""
    row = AttemptFacts(1, 1, 10, utc_text(BEGAN_S), utc_text(BEGAN_S + 60), NOT_SENT)
    assert sum(figures_of(_runs([row]), [row], []).seconds_open.totals()) == 0


def test_an_attempt_is_in_flight_from_its_request_on() -> None:
    """An intent that was recorded a minute ahead is a minute in which nothing was in flight."""
    row = AttemptFacts(
        1, 1, 100, utc_text(BEGAN_S), utc_text(BEGAN_S + 61), ACCEPTED, began_utc=utc_text(BEGAN_S + 60)
    )
    figures = figures_of(_runs([row]), [row], [])
    assert figures.latency_s.percentile(50) == pytest.approx(1.0)
    assert sum(figures.seconds_open.totals()) == pytest.approx(1.0)


def test_the_limit_is_carried_on_until_it_changes() -> None:
    """Between two changes the limit is what it was, and before the first one nobody knows it."""
    row = AttemptFacts(1, 1, 10, utc_text(BEGAN_S), utc_text(BEGAN_S + 160), ACCEPTED)
    changes = [LimitChange(1, utc_text(BEGAN_S + at), limit, "why") for at, limit in ((10.5, 4), (80.5, 8))]
    limits = figures_of(_runs([row]), [row], changes).limits()
    assert (limits[9], limits[10], limits[79], limits[80], limits[159]) == (None, 4, 4, 8, 8)


def test_the_last_word_on_chance_counts() -> None:
    """What a run took back later is not said of it."""
    row = AttemptFacts(1, 1, 10, utc_text(BEGAN_S), utc_text(BEGAN_S + 160), ACCEPTED)
    said = f"8 in flight; {chance_words(0.0112)}"
    changes = [
        LimitChange(1, utc_text(BEGAN_S + at), 8, why) for at, why in ((1, "why"), (2, said), (3, "why"))
    ]
    assert figures_of(_runs([row]), [row], changes[:2]).chance_words == {1: chance_words(0.0112)}
    assert figures_of(_runs([row]), [row], changes).chance_words == {1: None}


@given(
    st.lists(
        st.tuples(st.sampled_from(OTHER_STATES), st.sampled_from([None, "line 1", "line 2", "reset"])),
        max_size=30,
    )
)
def test_causes_add_up_to_the_entries(rows: list[tuple[EntryState, str | None]]) -> None:
    """No entry that is not accepted is without a cause, and none has two."""
    causes = causes_of(
        ExportRow(path=str(n), purpose="p", status=state, reason=why) for n, (state, why) in enumerate(rows)
    )
    counted = {state: sum(one.entry_count for one in causes if one.state is state) for state in OTHER_STATES}
    assert counted == {state: sum(one[0] is state for one in rows) for state in OTHER_STATES}
