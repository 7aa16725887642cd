"""How far the server's clock is from ours."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.server_clock import (
    AGREES_S,
    DATE_ALONE_S,
    MEASURED_S_MAX,
    REMEMBERED_MAX,
    UNKNOWN,
    ClockOffset,
    ServerClock,
)
from bulk_upload.core.clock import STEP_S, Moment
from bulk_upload.core.model import ListedFile
from bulk_upload.core.text.timestamps import utc_text

START_S = 1_781_775_000.0
SKEWS = st.sampled_from([0.0, 20.0, 3600.0, 86_400.0, -20.0, -3600.0, -86_400.0])
STEPS = st.floats(STEP_S + 0.01, 86_400.0)


class Ours:
    """A server clock with our two clocks, which a test moves."""

    def __init__(self) -> None:
        self.noted = ServerClock()
        self.utc_s = START_S
        self.monotonic_s = 1000.0
        self.accepted_count = 0
        self.noted.note_ours(self.now)

    @property
    def now(self) -> Moment:
        """The present moment."""
        return Moment(utc_s=self.utc_s, monotonic_s=self.monotonic_s)

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.utc_s += seconds
        self.monotonic_s += seconds

    def date(self, date_s: float | None) -> None:
        """Get an answer with this `Date`."""
        self.noted.note_date(date_s, self.now)

    def created(self, created_at: str | None, lasted_s: float = 1.0) -> str:
        """Get an accepted answer and return its id."""
        self.accepted_count += 1
        file_id = f"file-{self.accepted_count}"
        began_s = self.monotonic_s - lasted_s
        self.noted.note_accepted(file_id, created_at, began_s=began_s, now=self.now)
        return file_id

    def listed(self, file_id: str, created_at: str) -> None:
        """Get a list with one file."""
        self.noted.note_listed([ListedFile(file_id=file_id, created_at=created_at)])

    def offset(self, then: Moment | None = None) -> ClockOffset:
        """What is known of a moment, by default of now."""
        return self.noted.offset(then or self.now)

    def exact_s(self, then: Moment | None = None) -> float | None:
        """What is known of a moment, if files have confirmed it."""
        return self.offset(then).exact_s


def without_zone(utc_s: float) -> str:
    """Return a time that does not say its zone."""
    return utc_text(utc_s).removesuffix("Z")


def test_unknown_at_first() -> None:
    """Before any answer, and after answers without a usable time, the offset is unknown and not zero."""
    ours = Ours()
    assert ours.offset() == UNKNOWN
    ours.date(None)
    ours.created(None)
    ours.created("yesterday")
    ours.created(utc_text(START_S), lasted_s=MEASURED_S_MAX + 1)
    assert ours.offset() == UNKNOWN


@given(SKEWS, st.lists(st.floats(0, MEASURED_S_MAX), min_size=1), st.floats(0, 1), st.booleans())
def test_created_at_measures(skew_s: float, lasted: list[float], share: float, whole: bool) -> None:
    """The offset from `created_at` is never above the true one, and below it by no more than the longest request."""
    ours = Ours()
    for lasted_s in lasted:
        made_s = ours.utc_s + lasted_s * share + skew_s
        ours.wait(lasted_s)
        ours.created(utc_text(math.floor(made_s) if whole else made_s), lasted_s=lasted_s - 1e-6)
    offset_s = ours.exact_s()
    assert offset_s is not None
    assert skew_s - max(lasted) - 1.001 <= offset_s <= skew_s + 0.001


@given(SKEWS, st.lists(st.floats(0, 60), min_size=1))
def test_the_smallest_date_counts(skew_s: float, delays: list[float]) -> None:
    """An answer that was long on its way makes the offset smaller, never greater than the true one."""
    ours = Ours()
    for delay_s in delays:
        date_s = ours.utc_s + skew_s
        ours.wait(delay_s)
        ours.date(date_s)
    assert ours.offset().best_s == pytest.approx(skew_s - max(delays), abs=0.001)


def test_a_date_alone_rules_out_little() -> None:
    """Until a file of ours shows that `Date` is of the clock that writes `created_at`, only files days older are too old."""
    ours = Ours()
    ours.date(START_S)
    assert ours.offset() == ClockOffset(best_s=0.0, least_s=-DATE_ALONE_S)
    ours.created(utc_text(START_S), lasted_s=0.5)
    assert ours.offset() == ClockOffset(best_s=0.0, least_s=0.0)


def test_a_long_request_confirms_a_date() -> None:
    """A file that took an hour to send measures nothing, but its time can agree with `Date`."""
    ours = Ours()
    ours.date(START_S)
    ours.created(utc_text(START_S - 1800), lasted_s=3600)
    assert ours.exact_s() == 0.0


def test_created_at_counts_against_a_date_that_contradicts_it() -> None:
    """A server whose list is hours off its `Date` is compared by what the list shows; otherwise `Date` is more exact."""
    ours = Ours()
    ours.date(START_S)
    ours.created(utc_text(START_S - AGREES_S), lasted_s=0.0)
    assert ours.exact_s() == 0.0
    shifted = Ours()
    shifted.date(START_S)
    shifted.created(utc_text(START_S - 9 * 3600))
    assert shifted.exact_s() == -9 * 3600


def test_servers_behind_one_address_with_clocks_of_their_own() -> None:
    """The clock that is furthest behind counts: no file of any of them is too old."""
    ours = Ours()
    ours.date(START_S)
    ours.created(utc_text(START_S), lasted_s=0.5)
    ours.created(utc_text(START_S - 40), lasted_s=0.5)
    ours.date(START_S)
    assert ours.exact_s() == -40


def test_a_list_measures_what_answers_left_out() -> None:
    """The list says when a file was made that this run has sent, though the answer to it did not."""
    ours = Ours()
    ours.date(START_S)
    file_id = ours.created(None, lasted_s=2.0)
    ours.wait(500)
    ours.listed("file-of-somebody", utc_text(START_S + 86_400))
    assert ours.exact_s() is None
    ours.listed(file_id, utc_text(START_S - 3600.0))
    assert ours.exact_s() == -3600.0


def test_a_list_does_not_overrule_an_answer() -> None:
    """An id that turns out to be of an older file says nothing of the time of the upload that it came with."""
    ours = Ours()
    file_id = ours.created(utc_text(ours.utc_s))
    before = ours.offset()
    ours.listed(file_id, utc_text(START_S - 77.0))
    assert ours.offset() == before


def test_a_slow_answer_makes_nothing_less_certain() -> None:
    """While all files agree, the offset is as close as the quickest answer shows it."""
    ours = Ours()
    ours.created(utc_text(ours.utc_s - 0.1))
    ours.created(utc_text(ours.utc_s - 8.0), lasted_s=9.0)
    assert ours.exact_s() == pytest.approx(-0.1, abs=0.01)


def test_only_the_latest_uploads_are_remembered() -> None:
    """A run of a million files keeps the times of a thousand."""
    ours = Ours()
    first = ours.created(None)
    for _ in range(REMEMBERED_MAX):
        ours.created(None)
    ours.listed(first, utc_text(START_S))
    assert ours.offset() == UNKNOWN


def test_times_without_a_zone_rule_nothing_out() -> None:
    """They say how far the server's times are from ours, and nothing of its clock: the zone may change with summer."""
    ours = Ours()
    ours.created(without_zone(START_S + 7200))
    assert ours.offset() == ClockOffset(best_s=7200.0, least_s=None)
    ours.date(START_S)
    assert ours.offset() == ClockOffset(best_s=7200.0, least_s=-DATE_ALONE_S)
    ours.created(utc_text(START_S), lasted_s=0.5)
    assert ours.offset() == ClockOffset(best_s=0.0, least_s=0.0)


@given(STEPS, st.booleans(), st.booleans())
def test_a_clock_that_is_set_back(step_s: float, with_date: bool, answers: bool) -> None:
    """Each moment has the offset of its own time, also one before the step."""
    ours = Ours()
    before = ours.now
    ours.date(START_S if with_date else None)
    ours.created(utc_text(START_S), lasted_s=0.0)
    ours.wait(10)
    ours.utc_s -= step_s
    if answers:
        ours.date(START_S + 10)
        ours.created(utc_text(START_S + 10), lasted_s=0.0)
    assert ours.exact_s() == pytest.approx(step_s, abs=0.001)
    assert ours.exact_s(before) == pytest.approx(0.0, abs=0.001)


@given(STEPS, st.booleans(), st.booleans())
def test_a_step_forward_or_a_sleep(step_s: float, slept: bool, answers: bool) -> None:
    """The next answers show which it was; until then, and for the time before, the smaller offset counts."""
    ours = Ours()
    before = ours.now
    ours.wait(1)
    ours.utc_s += step_s
    ours.noted.note_ours(ours.now)
    true_s = 0.0 if slept else -step_s
    assert ours.offset() == UNKNOWN
    ours.created(utc_text(ours.utc_s + true_s), lasted_s=0.0)
    assert ours.exact_s() == pytest.approx(true_s, abs=0.001)
    assert ours.offset(before).best_s is None
    assert ours.offset(before).least_s == pytest.approx(true_s, abs=0.001)
    measured = Ours()
    measured.created(utc_text(START_S), lasted_s=0.0)
    measured.wait(1)
    measured.utc_s += step_s
    measured.noted.note_ours(measured.now)
    assert measured.offset().best_s is None
    assert measured.offset().least_s == pytest.approx(-step_s, abs=0.001)
    if answers:
        measured.created(utc_text(measured.utc_s + true_s), lasted_s=0.0)
        assert measured.exact_s() == pytest.approx(true_s, abs=0.001)
    assert measured.exact_s(before) == pytest.approx(0.0, abs=0.001)


def test_a_request_during_which_the_machine_slept_measures_nothing() -> None:
    """Its file may have been made before the sleep or after it."""
    ours = Ours()
    ours.wait(5)
    ours.utc_s += 8 * 3600
    ours.noted.note_ours(ours.now)
    ours.wait(5)
    ours.created(utc_text(START_S + 1), lasted_s=10)
    assert ours.offset() == UNKNOWN


@given(STEPS, st.booleans())
def test_a_moment_between_a_step_and_its_notice(step_s: float, after: bool) -> None:
    """What the wall clock showed at the moment says on which side of the step it was."""
    ours = Ours()
    ours.created(utc_text(START_S), lasted_s=0.0)
    ours.wait(10)
    ours.utc_s += step_s if after else 0.0
    then = ours.now
    ours.wait(1)
    ours.utc_s += 0.0 if after else step_s
    ours.noted.note_ours(ours.now)
    ours.wait(1)
    # The machine slept.
    ours.created(utc_text(ours.utc_s), lasted_s=0.0)
    assert ours.exact_s() == pytest.approx(0.0, abs=0.001)
    assert ours.exact_s(then) == pytest.approx(0.0, abs=0.001)
