"""What a burst of refusals leaves, and whether the first one met a limit of simultaneous requests or a bucket."""

from __future__ import annotations

import pytest

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.adaptive.burst import Burst
from bulk_upload.core.limits.adaptive.chance import CALM_REFUSED, CALM_STARTS, Chance
from bulk_upload.core.limits.adaptive.goodput import Epoch, Meter
from bulk_upload.core.limits.adaptive.opening import REFUSED_ENOUGH, TAKEN_ENOUGH, Cause, Opening
from bulk_upload.core.limits.adaptive.rate import Passage, Rate
from bulk_upload.core.limits.adaptive.slots import Slots
from bulk_upload.core.limits.adaptive.verdict import Verdict
from bulk_upload.core.limits.controller import LearnedLimits, Ticket
from simulation.measure import run
from simulation.scenarios import KB, Scenario
from simulation.server import ServerSpec


def burst_of(refused: int, *, level: int, held: Epoch | None = None, left_before: int | None = None) -> Burst:
    """Return a burst for which slots are blamed, with so many refused after the first, of `level` in flight."""
    burst = Burst()
    if held is not None:
        burst.on_held(held)
    first = Ticket(100, 9.9, level)
    burst.begin(
        10.0,
        first,
        started_count=110,
        in_flight=level - 1,
        concerns_slots=True,
        left_before=left_before,
    )
    for number in range(101, 101 + refused):
        burst.on_refused_too(number)
    return burst


def test_what_a_burst_leaves_lies_between_two_bounds() -> None:
    """More than is still in flight after its last refusal, less than was and was not refused."""
    assert burst_of(5, level=21).left(in_flight=10) == 12


@pytest.mark.parametrize(
    ("held", "level", "contradicted"),
    [
        pytest.param(Epoch(16, 100.0, 0.0), 21, True, id="less than was held at a lower level"),
        pytest.param(Epoch(8, 100.0, 0.0), 21, False, id="more than was held"),
        pytest.param(Epoch(20, 100.0, 0.0), 21, False, id="the level is not new"),
        pytest.param(Epoch(16, 100.0, 0.0, is_clean=False), 21, False, id="much was refused there"),
        pytest.param(None, 21, False, id="nothing was held"),
    ],
)
def test_a_limit_of_slots_leaves_what_it_held(held: Epoch | None, level: int, contradicted: bool) -> None:
    """If a burst at a new level leaves less than the old one, it is the rate that is new."""
    burst = burst_of(9, level=level, held=held)
    assert burst.is_contradicted == contradicted
    assert burst.concerns_slots != contradicted


@pytest.mark.parametrize(
    ("left_before", "refused", "contradicted"),
    [
        pytest.param(20, 12, True, id="far less than the last one left"),
        pytest.param(20, 11, False, id="it may have been taken for more than it is"),
        pytest.param(None, 19, False, id="a test met the ceiling"),
        pytest.param(3, 18, False, id="one less is nothing"),
    ],
)
def test_a_limit_of_slots_leaves_as_much_again(
    left_before: int | None, refused: int, contradicted: bool
) -> None:
    """If the next burst leaves far less than the one before, there is a bucket that was emptied."""
    assert burst_of(refused, level=21, left_before=left_before).is_contradicted == contradicted


def test_a_ceiling_that_a_test_met_is_no_buckets() -> None:
    """Nor is any later one: simultaneous requests are limited, and that limit may move."""
    verdict = Verdict()
    verdict.on_ceiling(1.0, 12, 0)
    assert verdict.untested(12) == 12
    assert verdict.untested(11) is None
    verdict.on_ceiling(2.0, 12, 1)
    verdict.on_ceiling(3.0, 5, 0)
    assert verdict.untested(5) is None


def test_what_is_refused_at_a_small_ceiling_is_not_below_it() -> None:
    """It looks soft from here: the next is one less, and no rate is suspected for that."""
    verdict = Verdict()
    for _ in range(5):
        assert verdict.concerns_slots(9.0, 7, paced=False, ceiling=7, latency_s=0.1)
    below = [verdict.concerns_slots(9.0, 5, paced=False, ceiling=7, latency_s=0.1) for _ in range(3)]
    assert below == [True, True, False]


def test_single_refusals_lower_a_ceiling_by_a_fifth_at_most() -> None:
    """Where each makes everybody wait. More are refused by chance."""
    slots = Slots(20)
    slots.on_refused(1.0, 21, 1.0)
    for _ in range(10):
        slots.on_costly(slots.ceiling or 0)
    assert slots.ceiling == 16


def test_a_burst_shows_the_rate_at_which_the_server_goes_on_taking() -> None:
    """Of ten starts in the tenth of a second after the first refused one four were taken."""
    assert burst_of(6, level=21, held=Epoch(16, 100.0, 0.0)).taken_per_s == pytest.approx(40.0)
    assert burst_of(6, level=21, held=Epoch(16, 30.0, 0.0)).taken_per_s == 30.0


def test_an_epoch_of_which_much_was_refused_holds_nothing() -> None:
    """More than a tenth is more than chance."""
    meter = Meter(1)
    epoch = None
    for now in range(1, 40):
        meter.on_level(float(now), 1)
        meter.on_success(1000, 0.1)
        if now % 4 == 0:
            meter.on_refused()
        epoch = meter.close(float(now))
        if epoch is not None:
            break
    assert epoch is not None
    assert not epoch.is_clean


def trial(left: int) -> Opening:
    """Return the trial of what exceeds the number that the first burst left."""
    opening = Opening()
    opening.on_burst()
    opening.begin(left)
    return opening


def test_what_exceeds_a_limit_of_slots_is_refused() -> None:
    """Twice, and hardly ever taken."""
    opening = trial(3)
    opening.on_taken(4)
    causes = [opening.on_refused(level) for level in [4] * REFUSED_ENOUGH]
    assert causes == [None] * (REFUSED_ENOUGH - 1) + [Cause.SLOTS]


def test_a_quota_takes_what_exceeds_a_limit_of_slots() -> None:
    """It refuses whatever comes once the rate is met."""
    opening = trial(3)
    for _ in range(TAKEN_ENOUGH):
        opening.on_taken(5)
    assert opening.on_refused(6) is Cause.RATE
    assert opening.on_refused(6) is None


def test_a_quota_refuses_what_a_limit_of_slots_takes() -> None:
    """No more in flight than the first burst left, and refused twice."""
    opening = trial(3)
    assert opening.on_refused(3) is None
    assert opening.on_refused(2) is Cause.RATE


def test_the_trial_begins_at_the_rate_that_was_taken() -> None:
    """Four uploads accepted in two seconds are two a second."""
    opening = Opening()
    opening.on_burst()
    rates = [opening.on_accepted(now, 1.0, 3) for now in (1.5, 2.0, 2.5, 3.0)]
    assert rates == [None, None, None, 2.0]


def test_there_is_no_opening_once_a_level_was_held() -> None:
    """A later burst has something to be compared with."""
    opening = Opening()
    opening.on_held()
    opening.on_burst()
    assert [opening.on_accepted(float(now), 1.0, 1) for now in range(2, 20)] == [None] * 18


def test_refused_when_alone_no_limit_of_slots_is_met() -> None:
    """Twice: another client may make it seem so once."""
    verdict = Verdict()
    verdict.on_slots_shown()
    assert verdict.concerns_slots(9.0, 2, paced=False, ceiling=None, latency_s=0.1)
    verdict.on_alone()
    assert not verdict.rate_suspected
    verdict.on_alone()
    assert not verdict.concerns_slots(9.0, 2, paced=False, ceiling=None, latency_s=0.1)


@pytest.mark.parametrize(("near_refused", "established"), [(1, True), (20, False)])
def test_chance_refuses_as_many_slow_starts_as_fast_ones(near_refused: int, established: bool) -> None:
    """A rate that was taken for higher than it is refuses slower starts too, but far fewer of them."""
    chance = Chance()
    for number in range(1, 2 * CALM_STARTS + 1):
        index = number - 1
        calm = index % 2 == 0
        if (calm and index % 30 == 0) or (not calm and index // 2 < near_refused):
            chance.on_bad(
                number, number, beyond=False, calm=calm, near=not calm, easy=False, new=False, regular=False
            )
        else:
            chance.on_accepted(number, calm=calm, near=not calm)
    assert 2 * CALM_STARTS // 30 >= CALM_REFUSED
    assert (chance.find() is not None) == established


def test_a_rate_is_tested_less_often_where_that_makes_all_wait() -> None:
    """A climb may last twenty times as long as the wait that ends it."""
    lasts = []
    for wait_s in (0.0, 1.0):
        rate = Rate()
        now = 0.0
        for _ in range(6):
            rate.refused(now, Passage(per_s=100.0, recent_per_s=100.0, share=0.5), wait_s=wait_s)
        while (rate.per_s or 0.0) < 0.995 * rate.known:
            now += rate.wait_s(now)
            rate.take(now)
        lasts.append(now)
    assert lasts[1] >= 2 * lasts[0]


def goodput(server: ServerSpec, file_count: int, per_s: float) -> float:
    """Return how fast one run was, as a share of the most that the server takes."""
    scenario = Scenario(
        name="first burst", what="", server=server, file_count=file_count, median_bytes=20 * KB, sigma=0.5
    )
    return file_count / per_s / run(scenario, 0, AdaptiveLimit).lasted_s


def test_a_bucket_of_three_is_no_limit_of_three() -> None:
    """A quota of 6 a second that takes three at once is found in seconds, and so is a limit of three at once."""
    assert goodput(ServerSpec(rate_per_s=6.0, burst=3, latency_s=0.8), 240, 6.0) >= 0.85
    assert goodput(ServerSpec(cap=3, latency_s=0.2), 600, 3 / 0.2) >= 0.85


@pytest.mark.parametrize(("share", "seconds"), [(1.0, 3.0), (0.5, 8.0), (0.25, 14.0)])
def test_a_wrong_rate_is_outgrown_within_seconds(share: float, seconds: float) -> None:
    """Six at once are taken for a rate, of this share of what they do: what that costs a run of half a minute."""
    per_s = 6 / 0.1
    scenario = Scenario(
        name="wrong rate",
        what="",
        server=ServerSpec(cap=6, latency_s=0.1),
        file_count=int(30 * per_s),
        median_bytes=20 * KB,
        sigma=0.5,
    )
    wrong = LearnedLimits(limit=6, rate_per_s=share * per_s)
    lasted_s = run(scenario, 0, lambda: AdaptiveLimit(learned=wrong)).lasted_s
    assert lasted_s <= run(scenario, 0, AdaptiveLimit).lasted_s + seconds
