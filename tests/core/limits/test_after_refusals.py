"""What the parts of the adaptive controller do after refusals: where a pause counts, and which cause is left."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bulk_upload.core.limits.adaptive.goodput import Epoch, UploadCost
from bulk_upload.core.limits.adaptive.passed import Passed
from bulk_upload.core.limits.adaptive.ramp import SPREAD, Ramp
from bulk_upload.core.limits.adaptive.slots import Slots
from bulk_upload.core.limits.adaptive.verdict import REFUTED_TIMES, Verdict


def test_a_pause_that_lies_after_a_refused_start_is_no_time_of_its_run() -> None:
    """The wait that a refusal names begins when it is answered, not before."""
    passed = Passed()
    passed.on_start(0.0)
    passed.on_pause(10.1, 5.0)
    passage = passed.passage(10.1, 101, 10.0)
    assert passage.per_s == pytest.approx(10.0)
    assert not passage.paused


def test_an_earlier_pause_may_or_may_not_have_counted() -> None:
    """A bucket may have filled in it: the rate is the mean of what holds with it and without."""
    passed = Passed()
    passed.on_start(0.0)
    passed.on_pause(1.0, 5.0)
    passed.on_pause(10.1, 5.0)
    passage = passed.passage(10.1, 101, 10.0)
    assert passage.paused
    assert passage.per_s == pytest.approx((100 / 10 * 100 / 5) ** 0.5)


def test_a_pause_goes_on_after_a_verdict() -> None:
    """What is left of it counts as paused in the next run."""
    passed = Passed()
    passed.on_start(0.0)
    passed.on_pause(1.0, 5.0)
    passed.on_verdict(2.0, 10)
    assert passed.passage(7.1, 20, 7.0).paused
    assert passed.passage(7.1, 20, 7.0).per_s == pytest.approx((9 / 5 * 9 / 1) ** 0.5)


def test_a_slot_that_runs_empty_in_a_pause_opens_in_its_turn() -> None:
    """An upload accepted during a pause leaves no slot that may be filled at once."""
    ramp = Ramp()
    ramp.on_pause(5.0)
    for _ in range(8):
        ramp.on_accepted(4.9, 1.0)
    assert ramp.wait_s(5.0) == 0.0
    ramp.on_start(5.0, 8, 1.0)
    assert ramp.wait_s(5.0) == pytest.approx(SPREAD / 8)


def _grown(slots: Slots, cost: UploadCost, now: float) -> int:
    """Judge an epoch that paid, and return the new limit."""
    slots.judge(now, Epoch(slots.limit, 10.0 * slots.limit, 0.0), cost)
    return slots.limit


def test_slots_grow_half_way_to_what_was_refused() -> None:
    """Above a ceiling that was passed lies the level that was refused: it is approached, not leapt over."""
    cost = UploadCost()
    cost.add(1000, 0.1)
    slots = Slots(40)
    slots.on_refused(0.0, 81, None)
    slots.on_refused_too(30)
    now, limits = 1.0, []
    while slots.limit <= 81:
        for _ in range(20):
            slots.on_success()
        now += 1.0
        before = slots.limit
        if _grown(slots, cost, now) != before:
            limits.append(slots.limit)
    grown = [one for one in limits if one > 36]
    assert all(after <= (before * 80) ** 0.5 + 1 for before, after in pairwise(grown) if before < 80)


def test_slots_double_again_above_what_was_refused() -> None:
    """A limit that moved up is outgrown as if it had never been met."""
    cost = UploadCost()
    cost.add(1000, 0.1)
    slots = Slots(8)
    slots.on_refused(0.0, 12, None)
    slots.free()
    slots.judge(1.0, Epoch(slots.limit, 80.0, 0.0), cost)
    before = slots.limit
    assert _grown(slots, cost, 2.0) == 2 * before


def test_a_rate_that_is_refuted_twice_is_no_cause() -> None:
    """Once may be another client at the same quota; after the second time what refuses concerns the slots."""
    verdict = Verdict(rate_suspected=True)

    def concerns_slots() -> bool:
        return verdict.concerns_slots(9.0, 12, paced=False, ceiling=None, latency_s=0.1)

    for _ in range(REFUTED_TIMES):
        assert not concerns_slots()
        verdict.rate_refuted()
    assert concerns_slots()
