"""What the parts of the adaptive controller do after refusals: where a pause counts, and which cause is left."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.adaptive.burst import Burst
from bulk_upload.core.limits.adaptive.chance import Chance, Shown
from bulk_upload.core.limits.adaptive.goodput import Epoch, UploadCost
from bulk_upload.core.limits.adaptive.passed import Passed
from bulk_upload.core.limits.adaptive.ramp import SPREAD, Ramp
from bulk_upload.core.limits.adaptive.rate import Passage, Rate
from bulk_upload.core.limits.adaptive.runs import Runs
from bulk_upload.core.limits.adaptive.slots import Slots
from bulk_upload.core.limits.adaptive.verdict import REFUTED_TIMES, Verdict
from bulk_upload.core.limits.controller import Ticket
from simulation.families import FAMILIES
from simulation.measure import run
from simulation.scenarios import SCENARIOS


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


@pytest.mark.parametrize(("met", "step"), [(False, 4), (True, 1)])
def test_a_ceiling_that_a_test_met_is_left_behind_one_by_one(met: bool, step: int) -> None:
    """It is the server's, though it gave way once; another one was a burst's."""
    cost = UploadCost()
    cost.add(1000, 0.1)
    slots, now = Slots(20), 0.0
    slots.on_refused(now, 21, None)
    for refused in [True, False] if met else [False]:
        while "testing" not in (slots.judge(now, Epoch(slots.limit, 10.0 * slots.limit, 0.0), cost) or ""):
            now += 1.0
            for _ in range(20):
                slots.on_success()
        if refused:
            slots.on_refused(now, slots.limit, None)
    tested = slots.limit
    assert tested == 21
    assert _grown(slots, cost, now + 1.0) == tested + step


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


def _established(starts: int) -> Chance:
    """Return chance that was established, and held for so many starts."""
    chance = Chance()
    _refuse(chance, 1)
    for _ in range(5):
        chance.contradicted()
    assert chance.find() is Shown.BY_LOAD
    for number in range(2, starts):
        chance.on_accepted(number, calm=False)
    _refuse(chance, starts)
    return chance


def _refuse(chance: Chance, number: int, *, new: bool = False) -> bool:
    """Record a refused start and return whether it alarms."""
    return chance.on_bad(number, number, beyond=False, calm=False, easy=False, new=new, regular=False)


@pytest.mark.parametrize(
    ("new", "starts", "kept"), [(True, 200, True), (True, 20, False), (False, 200, False)]
)
def test_what_is_refused_at_a_new_level_leaves_chance_established(new: bool, starts: int, kept: bool) -> None:
    """A limit met with more in flight than ever says nothing of those below, where chance held for long."""
    chance = _established(starts)
    assert any(_refuse(chance, starts + more, new=new) for more in range(1, 6))
    assert chance.established is kept


@pytest.mark.parametrize("established", [False, True])
def test_chance_explains_two_refusals_at_the_known_rate(established: bool) -> None:
    """Until chance is established the first is a limit's; from then on it takes three in a row."""
    chance = _established(2) if established else Chance()
    number = 300

    def refuse_near(number: int) -> bool:
        return chance.on_bad(
            number, number, beyond=True, calm=False, easy=False, new=False, regular=False, near=True
        )

    for one in range(3, number):
        chance.on_accepted(one, calm=False, near=True)
    assert refuse_near(number) is not established
    if established:
        for one in range(number + 1, number + 10):
            chance.on_accepted(one, calm=False, near=True)
        assert not refuse_near(number + 10)
        assert any(refuse_near(number + 10 + more) for more in range(1, 4))


def _lowered(*, paused: bool) -> Rate:
    """Return a rate of 40 that verdicts of few refusals have lowered to a third."""
    rate = Rate()
    rate.refused(0.0, Passage(per_s=40.0, recent_per_s=40.0, share=0.5))
    for now in range(1, 60):
        if rate.known > 12.0:
            rate.refused(float(now), Passage(per_s=1.0, recent_per_s=1.0, share=0.97, paused=paused))
    return rate


def test_a_rate_that_is_refused_as_rarely_at_a_third_is_refuted() -> None:
    """A quota refuses far more of three times as many: what refuses three in a hundred at either is none."""
    assert _lowered(paused=False).is_refuted
    chance = Chance()
    chance.on_rate(is_refuted=True)
    assert chance.find() is Shown.BY_CALM


def test_named_waits_refute_no_rate() -> None:
    """In a wait nothing is refused: the share says little of the rate."""
    assert not _lowered(paused=True).is_refuted


def test_a_rate_that_many_refusals_lowered_is_not_refuted() -> None:
    """A first finding may be far too high."""
    rate = Rate()
    for now in range(8):
        rate.refused(float(now), Passage(per_s=1.0, recent_per_s=40.0, share=0.7))
    assert not rate.is_refuted


def _run_between_waits(runs: Runs, now: float, number: int, count: int, per_s: float) -> tuple[float, int]:
    """Start so many after a wait of one second, and have the next refused."""
    for _ in range(count):
        number += 1
        runs.on_start(now, number, 4)
        now += 1 / per_s
    number += 1
    runs.on_start(now, number, 4)
    runs.on_refused(number, now, 4)
    runs.on_pause(1.0)
    return now + 1.0, number


def test_what_exceeds_the_shortest_run_came_at_the_rate() -> None:
    """A bucket of ten that fills by forty a second takes ten at once, or fifty within a second."""
    runs, now, number = Runs(), 0.0, 0
    assert runs.taken_per_s == 0.0
    for count, per_s in ((12, 1000.0), (50, 50.0)):
        now, number = _run_between_waits(runs, now, number, count, per_s)
    assert runs.taken_per_s == pytest.approx(37.0)


def test_no_verdict_lowers_a_rate_below_what_was_taken() -> None:
    """Waits make what got through look like little; the runs between them show more."""
    rate = Rate()
    rate.refused(0.0, Passage(per_s=40.0, recent_per_s=40.0, share=0.5))
    rate.refused(9.0, Passage(per_s=5.0, recent_per_s=5.0, share=0.7, paused=True), taken_per_s=33.0)
    assert rate.known == pytest.approx(33.0)


def test_a_limit_behind_chance_ends_no_run_in_a_crawl() -> None:
    """Twelve at once and 3.6 % refused at random: no rate is lowered time and again for refusals it does not change."""
    tally = run(FAMILIES["mixture"](1011), 0, AdaptiveLimit, count=4000)
    assert tally.lasted_s <= 60.0


def _refused_on_their_way(got_per_s: float) -> Rate:
    """A rate of 100 that was refused again, when `got_per_s` had got through, and of what was on its way a half."""
    rate = Rate()
    for now in (0.0, 10.0):
        rate.refused(now, Passage(per_s=got_per_s, recent_per_s=100.0, share=0.99, paused=False))
        rate.known = 100.0
    rate.refused(20.0, Passage(per_s=got_per_s, recent_per_s=100.0, share=1.0))
    rate.on_refused_too(50.0)
    return rate


def test_what_was_on_its_way_shows_how_far_a_rate_was_exceeded() -> None:
    """It is lowered by up to 15 % more, but not below what had got through."""
    assert _refused_on_their_way(60.0).known < 0.9 * 100
    assert _refused_on_their_way(60.0).known >= 0.8 * 100
    assert _refused_on_their_way(84.0).known >= 84.0


def _burst(*, paced: bool, followers: int) -> Burst:
    """A start that was refused after a second in which others followed it; of these every fourth was refused."""
    burst = Burst()
    ticket = Ticket(100, 0.0, 20, paced=paced)
    burst.begin(1.0, ticket, started_count=100 + followers, in_flight=20, concerns_slots=False)
    for number in range(101, 101 + followers, 4):
        burst.on_refused_too(number)
    return burst


def test_a_burst_of_paced_starts_measures_the_rate() -> None:
    """Fifteen of twenty within a second; a few, or starts that nothing spaced, show nothing."""
    assert _burst(paced=True, followers=20).paced_per_s == pytest.approx(15, abs=1)
    assert _burst(paced=True, followers=4).paced_per_s is None
    assert _burst(paced=False, followers=20).paced_per_s is None


def _refused_at(levels: list[int], *, usual: int) -> list[bool]:
    """Return what paced refusals at these levels show where so many are usually in flight."""
    verdict, shown = Verdict(rate_suspected=True), []
    for now, level in enumerate(levels, start=1):
        for _ in range(20):
            verdict.on_paced(usual)
        shown.append(verdict.on_paced_refused(now + 0.5, float(now), level, is_near=True))
    return shown


def test_paced_starts_refused_at_the_top_show_a_limit_of_simultaneous_requests() -> None:
    """They differ only in what is in flight: four refused far above the average are no quota's."""
    assert _refused_at([12, 12, 12, 12], usual=6) == [False, False, False, True]


def test_paced_starts_always_refused_among_the_highest_show_it_too() -> None:
    """However little these stand out: eight among the highest seventh are no quota's."""
    verdict, shown = Verdict(rate_suspected=True), []
    for now in range(1, 10):
        for level in [*range(5, 13)] * 8:
            verdict.on_paced(level)
        shown.append(verdict.on_paced_refused(now + 0.5, float(now), 12, is_near=True))
    assert shown.index(True) == 7


def test_paced_starts_refused_at_any_level_leave_the_rate_suspected() -> None:
    """What a quota refuses has as much in flight as others."""
    assert not any(_refused_at([6, 12, 7, 12, 5, 12] * 5, usual=6))


@pytest.mark.parametrize(
    ("near", "calm", "is_met"), [(3, 0, True), (3, 1, True), (2, 0, False), (6, 3, False), (0, 3, False)]
)
def test_what_is_refused_below_a_limit_of_simultaneous_requests_shows_a_rate_beside_it(
    near: int, calm: int, is_met: bool
) -> None:
    """With fewer in flight than usual only a rate refuses, and only starts that are not slower than it."""
    verdict = Verdict(rate_suspected=True)
    for _ in range(64):
        verdict.on_paced(6)
    for now in range(1, near + calm + 1):
        verdict.on_paced_refused(now + 0.5, float(now), 4, is_near=now <= near)
    assert verdict.is_rate_met == is_met


def test_a_server_with_both_limits_keeps_its_rate() -> None:
    """16 at once and 30 starts a second: that slots are seen to refuse does not make the rate be learned anew."""
    scenario = next(one for one in SCENARIOS if one.name == "h1")
    assert run(scenario, 1, AdaptiveLimit).refused_share <= 0.02


def test_refusals_of_one_moment_count_once() -> None:
    """Those that had started when the first was answered say the same."""
    verdict = Verdict(rate_suspected=True)
    verdict.on_paced(6)
    assert not any(verdict.on_paced_refused(10.0 + more, 9.0, 12, is_near=True) for more in range(8))


def test_a_limit_that_levels_showed_is_one_at_any_height() -> None:
    """That quotas are more common than limits of two counts no more."""
    verdict = Verdict(rate_suspected=True)
    for now in range(1, 5):
        verdict.on_paced(1)
        verdict.on_paced_refused(now + 0.5, float(now), 3 + now, is_near=True)
    assert verdict.concerns_slots(9.0, 2, paced=False, ceiling=None, latency_s=0.1)
