"""How far the server's clock is from ours."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.api.server_clock import AGREES_S, MEASURED_S_MAX, STEP_S, ServerClock
from bulk_upload.core.text.timestamps import utc_text

START_S = 1_781_775_000.0
SKEWS = st.sampled_from([0.0, 20.0, 3600.0, 86_400.0, -20.0, -3600.0, -86_400.0])


class Ours:
    """A server clock with our two clocks, which a test moves."""

    def __init__(self) -> None:
        self.noted = ServerClock()
        self.utc_s = START_S
        self.monotonic_s = 1000.0

    def wait(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.utc_s += seconds
        self.monotonic_s += seconds

    def date(self, date_s: float | None) -> None:
        """Get an answer with this `Date`."""
        self.noted.note_date(date_s, utc_s=self.utc_s, monotonic_s=self.monotonic_s)

    def created(self, created_at: str | None, lasted_s: float = 1.0) -> None:
        """Get an accepted answer."""
        self.noted.note_created(created_at, lasted_s=lasted_s, utc_s=self.utc_s, monotonic_s=self.monotonic_s)

    def offset_s(self) -> float | None:
        """What is known now."""
        return self.noted.offset_s(utc_s=self.utc_s, monotonic_s=self.monotonic_s)


def test_unknown_at_first() -> None:
    """Before any answer, and after answers without a usable time, the offset is unknown and not zero."""
    ours = Ours()
    assert ours.offset_s() is None
    ours.date(None)
    ours.created(None)
    ours.created("yesterday")
    ours.created(utc_text(START_S).removesuffix("Z"))
    ours.created(utc_text(START_S), lasted_s=MEASURED_S_MAX + 1)
    assert ours.offset_s() is None


@given(SKEWS, st.lists(st.floats(0, MEASURED_S_MAX), min_size=1), st.floats(0, 1), st.booleans())
def test_created_at_measures(skew_s: float, lasted: list[float], share: float, whole: bool) -> None:
    """The offset from `created_at` is never above the true one, and below it by no more than the longest request."""
    ours = Ours()
    for lasted_s in lasted:
        made_s = ours.utc_s + lasted_s * share + skew_s
        ours.wait(lasted_s)
        ours.created(utc_text(math.floor(made_s) if whole else made_s), lasted_s=lasted_s)
    offset_s = ours.offset_s()
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
    assert ours.offset_s() == pytest.approx(skew_s - max(delays), abs=0.001)


def test_created_at_counts_against_a_date_that_contradicts_it() -> None:
    """A server whose list is hours off its `Date` is compared by what the list shows; otherwise `Date` is more exact."""
    ours = Ours()
    ours.date(START_S)
    ours.created(utc_text(START_S - AGREES_S), lasted_s=0.0)
    assert ours.offset_s() == 0.0
    shifted = Ours()
    shifted.date(START_S)
    shifted.created(utc_text(START_S - 9 * 3600))
    assert shifted.offset_s() == -9 * 3600


@given(st.floats(STEP_S + 0.01, 86_400.0), st.booleans(), st.booleans())
def test_a_clock_that_is_set_back_makes_it_unknown(step_s: float, with_date: bool, answers: bool) -> None:
    """Attempts before and after would need two offsets."""
    ours = Ours()
    ours.date(START_S if with_date else None)
    ours.created(utc_text(START_S))
    ours.utc_s -= step_s
    assert ours.offset_s() is None
    if answers:
        ours.date(START_S)
        ours.created(utc_text(START_S))
    assert ours.offset_s() is None


@given(st.floats(STEP_S + 0.01, 86_400.0))
def test_a_clock_that_is_set_forward(step_s: float) -> None:
    """What was measured before no longer holds; the next answer gives the smaller offset, which is safe for all."""
    ours = Ours()
    ours.created(utc_text(START_S))
    assert ours.offset_s() == 0.0
    ours.utc_s += step_s
    assert ours.offset_s() is None
    ours.date(START_S)
    assert ours.offset_s() == pytest.approx(-step_s, abs=0.001)


def test_a_machine_that_slept() -> None:
    """The wall clock went on and the monotonic one did not: the server's clock moved with ours."""
    ours = Ours()
    ours.date(START_S)
    ours.utc_s += 8 * 3600
    ours.date(START_S + 8 * 3600)
    assert ours.offset_s() == 0.0
