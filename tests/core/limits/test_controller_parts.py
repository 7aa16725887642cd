"""Pause, breaker, goodput and slots, each alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.adaptive.breaker import Breaker
from bulk_upload.core.limits.adaptive.goodput import Epoch, Meter, UploadCost
from bulk_upload.core.limits.adaptive.slots import KEEP, YIELD, Slots
from bulk_upload.core.limits.adaptive.trials import INTERRUPTIONS, TRANSITIONS, Trial, TrialEvent
from bulk_upload.core.limits.pause import Pause
from bulk_upload.core.model import RateLimitInfo


def test_remaining_is_counted_down_by_newer_starts() -> None:
    """With 3 remaining after request 5 and two newer starts, exactly one more may start before the reset."""
    pause = Pause()
    pause.allow(10.0, 5, RateLimitInfo(3, 20.0))
    assert pause.wait_s(10.0, 7) == 0.0
    assert pause.wait_s(10.0, 8) == 20.0
    assert pause.wait_s(30.0, 8) == 0.0


def test_answers_out_of_order_agree() -> None:
    """The answer to the newest request counts, in whatever order they come."""
    early, late = Pause(), Pause()
    early.allow(1.0, 5, RateLimitInfo(3, 20.0))
    early.allow(1.0, 6, RateLimitInfo(2, 20.0))
    late.allow(1.0, 6, RateLimitInfo(2, 20.0))
    late.allow(1.0, 5, RateLimitInfo(3, 20.0))
    for count in range(5, 12):
        assert early.wait_s(2.0, count) == late.wait_s(2.0, count)


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1e9), st.floats(0, 0.999)), min_size=1, max_size=20))
def test_no_pause_is_shortened(holds: list[tuple[float, float, float]]) -> None:
    """A named wait is kept to its end, whatever is asked for later; none is longer than a day."""
    pause = Pause()
    now, until = 0.0, 0.0
    for after_s, wait_s, jitter in holds:
        now += after_s
        pause.hold(now, wait_s, jitter)
        until = max(until, now + min(wait_s, 86_400.0))
        assert until - 1e-6 <= now + pause.wait_s(now, 0) <= now + 86_400.0 * 1.05 + 1


def trip(breaker: Breaker, now: float, number: int, *, older_moves: bool = False) -> bool:
    """Let a request start and fail a moment later."""
    return breaker.on_bad(now + 0.1, number, now, started_count=number, older_moves=older_moves)


def test_three_bad_round_trips_open() -> None:
    """Two do not; then nothing starts for a second."""
    breaker = Breaker()
    assert [trip(breaker, number, number) for number in range(3)] == [False, False, True]
    assert breaker.wait_s(2.1) == pytest.approx(1.0)


def test_one_burst_does_not_open() -> None:
    """Fifty refusals of requests that were in flight together are one bad round trip."""
    breaker = Breaker()
    assert not any(
        breaker.on_bad(1.0 + n / 1000, n, 0.5, started_count=50, older_moves=False) for n in range(50)
    )
    assert breaker.bad_count == 1


def test_an_older_upload_that_moves_keeps_it_closed() -> None:
    """While something from before the trouble makes progress the server lives."""
    breaker = Breaker()
    assert not any(trip(breaker, number, number, older_moves=True) for number in range(10))
    assert trip(breaker, 20.0, 20)


def test_unanswered_starts_keep_it_closed() -> None:
    """Refusals come back sooner than acceptances: three among forty starts that are not answered yet mean little."""
    breaker = Breaker()
    bad = [breaker.on_bad(n + 0.1, n, float(n), started_count=40, older_moves=False) for n in range(10)]
    assert not any(bad)


def test_successes_between_keep_it_closed() -> None:
    """Only round trips in a row count."""
    breaker = Breaker()
    for number in range(0, 20, 2):
        assert not trip(breaker, float(number), number)
        breaker.on_success(number + 1.5, number + 1)


def test_one_probe_at_a_time() -> None:
    """Nobody starts beside a probe; a cancelled one frees the place, a failed one waits, a good one closes."""
    breaker = Breaker()
    for number in range(3):
        trip(breaker, number, number)
    assert breaker.wait_s(3.2) == 0.0
    assert breaker.on_start(10)
    assert breaker.wait_s(3.2) > 0
    assert not breaker.on_start(11)
    breaker.on_cancel(10)
    assert breaker.wait_s(3.3) == 0.0
    assert breaker.on_start(12)
    assert breaker.on_success(3.4, 2) is None
    breaker.on_bad(3.5, 12, 3.3, started_count=12, older_moves=False)
    assert breaker.wait_s(3.5) == pytest.approx(1.0)
    assert breaker.on_start(13)
    assert breaker.on_success(5.0, 13) is not None
    assert not breaker.open


@pytest.mark.parametrize(("age_s", "gap_s"), [(5.0, 1.0), (20.0, 2.0), (100.0, 10.0), (1000.0, 30.0)])
def test_the_gap_grows_with_the_outage(age_s: float, gap_s: float) -> None:
    """The next probe comes after a tenth of the outage's age, at least 1 and at most 30 s."""
    breaker = Breaker()
    for number in range(3):
        trip(breaker, number, number)
    breaker.on_start(10)
    breaker.on_bad(0.1 + age_s, 10, 3.3, started_count=10, older_moves=False)
    assert breaker.wait_s(0.1 + age_s) == pytest.approx(gap_s, rel=0.2)


def test_cost_tells_the_fixed_part_from_the_bytes() -> None:
    """From small and large uploads the fit finds what each costs."""
    cost = UploadCost()
    for index in range(200):
        size = (1000, 10_000_000, 500_000)[index % 3]
        cost.add(size, 0.05 + size / 10e6)
    assert cost.fixed_s == pytest.approx(0.05, rel=0.05)
    small, large = Epoch(8, 160.0, 160e3), Epoch(8, 7.6, 76e6)
    assert cost.work(small) == pytest.approx(cost.work(large), rel=0.1)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.floats(0, 1e5)), max_size=50))
def test_any_cost_is_usable(samples: list[tuple[int, float]]) -> None:
    """Whatever was measured, work is positive and finite."""
    cost = UploadCost()
    for size, seconds in samples:
        cost.add(size, seconds)
    assert 0 < cost.work(Epoch(8, 1.0, 1e6)) < float("inf")


def used(meter: Meter, level: int, *, since: float, until: float, uploads: int = 100) -> Epoch | None:
    """Keep a level for some time and return the epoch's verdict."""
    meter.close(since)
    meter.on_level(since, level)
    for _ in range(uploads):
        meter.on_success(1000, 0.05)
    return meter.close(until)


def test_an_epoch_in_which_slots_were_idle_has_no_verdict() -> None:
    """What was starved, or paced, says nothing about the limit."""
    assert used(Meter(8), 8, since=0.0, until=2.0) is not None
    assert used(Meter(8), 4, since=0.0, until=2.0) is None


def test_an_epoch_that_something_of_ours_held_back_has_no_verdict() -> None:
    """A cap of our own voids the epoch, not the next one."""
    meter = Meter(8)
    meter.close(0.0)
    meter.void()
    assert used(meter, 8, since=0.0, until=2.0) is None
    assert used(meter, 8, since=2.0, until=4.0) is not None


def test_a_step_down_is_judged_after_the_surplus_drained() -> None:
    """While more are in flight than the limit, nothing is measured."""
    meter = Meter(8)
    meter.on_level(0.0, 8)
    meter.restart(0.0, 4)
    assert used(meter, 8, since=1.0, until=20.0) is None
    meter.on_level(20.5, 4)
    assert used(meter, 4, since=21.0, until=23.0) is not None


def flat_cost() -> UploadCost:
    """Return a cost to which only the number of uploads matters."""
    cost = UploadCost()
    cost.add(0, 1.0)
    return cost


def test_slots_double_while_it_pays_and_come_back_when_not() -> None:
    """With goodput that grows up to 32 in flight the limit settles near there, after one step too far, a smaller one."""
    slots, now = Slots(), 0.0
    seen = []
    for _ in range(60):
        slots.judge(now, Epoch(slots.limit, min(32.0, slots.limit) * 10, 0.0), flat_cost())
        seen.append(slots.limit)
        now += 1.0
    assert seen[:2] == [16, 32]
    assert max(seen) == 51
    assert all(25 <= limit <= 45 for limit in seen[8:])


def test_fewer_slots_are_kept_when_they_do_as_well() -> None:
    """A limit that is far too high comes down by itself."""
    slots, now = Slots(64), 0.0
    for _ in range(2000):
        slots.judge(now, Epoch(slots.limit, 100.0, 0.0), flat_cost())
        now += 1.0
    assert slots.limit < 64 * KEEP / 2


def test_a_burst_cuts_once_to_what_is_in_flight() -> None:
    """Eight of 32 refused: the limit is the 24 that were taken, and that is the ceiling."""
    slots = Slots(32)
    slots.on_refused(1.0, 32, None)
    for in_flight in range(30, 23, -1):
        slots.on_refused_too(in_flight)
    assert slots.limit == 24
    assert slots.ceiling == 24


def test_a_single_refusal_yields_some() -> None:
    """Another client finds room; then the limit goes back to what was accepted, and no further."""
    slots, now = Slots(40), 0.0
    slots.on_refused(now, 41, None)
    assert slots.limit == round(YIELD * 40)
    for _ in range(10):
        now += 0.3
        slots.judge(now, Epoch(slots.limit, 100.0, 0.0), flat_cost())
    assert slots.limit == 40


def test_every_trial_ends_in_holding_and_begins_from_there() -> None:
    """From holding each trial can be reached, and from each trial the limit comes to rest again."""
    reached = {Trial.HOLD}
    while (
        more := {to for one in reached for to in [*TRANSITIONS[one].values(), *INTERRUPTIONS.values()]}
        - reached
    ):
        reached |= more
    assert reached == set(Trial) == set(TRANSITIONS)
    rests = {Trial.HOLD}
    while more := {one for one in Trial if rests & set(TRANSITIONS[one].values())} - rests:
        rests |= more
    assert rests == set(Trial)
    assert {event for events in [*TRANSITIONS.values(), INTERRUPTIONS] for event in events} == set(TrialEvent)


CALLS = st.one_of(
    st.tuples(st.just("judge"), st.floats(0.5, 1.5), st.integers(0, 40)),
    st.tuples(
        st.sampled_from(["refused", "refused too", "back", "acquit", "free", "retest"]),
        st.just(1.0),
        st.integers(1, 300),
    ),
)


@given(st.lists(CALLS, max_size=80), st.integers(1, 256), st.integers(1, 256))
def test_no_event_comes_that_the_table_lacks(
    calls: list[tuple[str, float, int]], first: int, limit_max: int
) -> None:
    """In any order of epochs, refusals and outages the slots find the next trial in the table, within their bounds."""
    slots, now = Slots(first, limit_max=limit_max), 0.0
    for what, luck, number in calls:
        now += 3.0
        if what == "judge":
            for _ in range(number):
                slots.on_success()
            slots.judge(now, Epoch(slots.limit, luck * min(slots.limit, 40), 0.0), flat_cost())
        elif what == "refused":
            slots.on_refused(now, number, None)
        elif what == "refused too":
            slots.on_refused_too(number)
        elif what == "back":
            slots.come_back(number)
        elif what == "free":
            slots.free()
        elif what == "retest":
            slots.retest(now)
        else:
            slots.acquit()
        assert 1 <= slots.limit <= limit_max
