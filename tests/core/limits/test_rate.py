"""The rate at which starts are paced, alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.adaptive.rate import BETA, CLIMB_S_FIRST, HUNTED, Pacing, Passage, Rate


def pace(rate: Rate, now: float, seconds: float) -> tuple[float, int]:
    """Start whenever the rate allows; return when that ended and how many started."""
    end, count = now + seconds, 0
    while now < end:
        wait_s = rate.wait_s(now)
        if wait_s > 0:
            now += wait_s
            continue
        rate.take(now)
        count += 1
    return now, count


def paced(per_s: float) -> Rate:
    """Return a rate that was just met."""
    rate = Rate()
    rate.refused(0.0, Passage(per_s=per_s, recent_per_s=per_s, share=0.5))
    return rate


def test_a_rate_is_off_at_first() -> None:
    """Nothing is paced before a refusal showed a quota."""
    rate = Rate()
    assert rate.per_s is None
    assert rate.wait_s(5.0) == 0.0
    assert not rate.take(5.0)


def test_a_rate_climbs_back_while_it_binds() -> None:
    """It starts at 85 % of what was accepted, is back there after one climb, 15 % above after two."""
    rate = paced(40.0)
    assert rate.per_s == pytest.approx(BETA * 40)
    now, _ = pace(rate, 0.0, CLIMB_S_FIRST)
    assert rate.per_s == pytest.approx(40, rel=0.02)
    pace(rate, now, CLIMB_S_FIRST)
    assert rate.per_s == pytest.approx(46, rel=0.03)


def test_an_unused_rate_stands_still() -> None:
    """Time in which nothing was paced proves nothing about the quota."""
    rate = paced(40.0)
    for second in range(1, 1000):
        assert rate.wait_s(second) == 0.0
        rate.take(second)
    assert rate.per_s == pytest.approx(BETA * 40)


def test_a_very_low_rate_recovers() -> None:
    """Even a rate of one start in fifty seconds climbs back within some minutes: nothing stalls."""
    rate = paced(0.02)
    _, count = pace(rate, 0.0, 600.0)
    assert count > 20


@given(st.floats(0, 1e6), st.lists(st.floats(0, 1e4), max_size=30))
def test_a_rate_never_waits_for_ever(accepted: float, steps: list[float]) -> None:
    """Whatever was measured, the next start is at most about a minute away, and is allowed then."""
    rate, now = paced(accepted), 0.0
    for step_s in steps:
        now += step_s
        wait_s = rate.wait_s(now)
        assert 0.0 <= wait_s <= 125.0
        now += wait_s
        rate.take(now)


def test_a_bound_from_below_is_hunted() -> None:
    """Where nearly all was accepted the rate is unknown: it doubles every two seconds until something is refused."""
    rate = Rate()
    rate.refused(0.0, Passage(per_s=40.0, recent_per_s=50.0, share=0.98))
    assert (rate.pacing, rate.per_s) == (Pacing.HUNTING, 40.0)
    now, _ = pace(rate, 0.0, 2.0)
    assert rate.per_s == pytest.approx(80.0, rel=0.05)
    before = rate.per_s or 0.0
    rate.refused(now, Passage(per_s=45.0, recent_per_s=45.0, share=0.99))
    assert rate.good is None
    assert rate.known == pytest.approx(HUNTED * before)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 1), st.floats(0, 20)), max_size=30))
def test_a_verdict_takes_no_more_than_was_refused(verdicts: list[tuple[float, float, float]]) -> None:
    """What our own pacing limited never lowers the rate by more than the share refused, and at most to a half."""
    rate, now = paced(40.0), 0.0
    for per_s, share, seconds in verdicts:
        now, _ = pace(rate, now, seconds)
        known = rate.known
        rate.refused(now, Passage(per_s=per_s, recent_per_s=per_s, share=share))
        assert rate.known >= min(0.97, max(0.5, share)) * known - 1e-9 or rate.known >= share * known - 1e-9


@pytest.mark.parametrize("seconds", [4.0, 6.0, 8.0])
def test_few_refusals_lower_a_rate_to_the_pace_at_which_they_came(seconds: float) -> None:
    """Less got through because of the climb that led there, and says nothing of the server; a higher pace lowers nothing."""
    rate = paced(40.0)
    now, count = pace(rate, 0.0, seconds)
    at = rate.per_s or 0.0
    rate.refused(now, Passage(per_s=count / now, recent_per_s=count / now, share=0.99))
    assert rate.known == pytest.approx(min(40.0, at))


def test_a_rate_that_no_refusal_met_is_assumed() -> None:
    """Where the pace had outgrown it, the truth lies between that and what got through: the next verdict knows more."""
    rate = paced(40.0)
    now, _ = pace(rate, 0.0, 12.0)
    assert (rate.per_s or 0.0) > 1.3 * 40
    rate.refused(now, Passage(per_s=40.0, recent_per_s=40.0, share=0.99))
    assert rate.is_assumed
    assert rate.known > 42
    rate.refused(now + 2.0, Passage(per_s=40.0, recent_per_s=40.0, share=0.9))
    assert not rate.is_assumed


@pytest.mark.parametrize(("per_s", "cycle_s"), [(2.0, 30.0), (35.0, 52.0), (200.0, 600.0)])
def test_after_a_cycle_starts_are_paced_at_its_average(per_s: float, cycle_s: float) -> None:
    """Also where the cycle lasted longer than a climb of so many starts may."""
    rate = Rate()
    rate.averaged(100.0, per_s, cycle_s)
    assert rate.per_s == pytest.approx(per_s)


def test_a_rate_that_was_no_cause_is_known_at_once_when_it_is() -> None:
    """Lifted, nothing is paced; refused again, it is the known rate, not one to search for."""
    rate = paced(40.0)
    rate.lift()
    assert rate.per_s is None
    rate.refused(1.0, Passage(per_s=5.0, recent_per_s=5.0, share=0.95))
    assert (rate.pacing, rate.known) == (Pacing.KNOWN, 40.0)


def test_only_a_rate_that_was_met_twice_is_remembered() -> None:
    """The first finding may be trouble; one that is passed without a refusal is none."""
    rate = paced(40.0)
    assert rate.good is None
    now, _ = pace(rate, 0.0, 3.0)
    rate.refused(now, Passage(per_s=39.0, recent_per_s=39.0, share=0.97))
    assert rate.good == pytest.approx(39.0, rel=0.1)
    pace(rate, now, 60.0)
    assert rate.good is None
