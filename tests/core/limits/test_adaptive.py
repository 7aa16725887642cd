"""The adaptive controller as a whole: what it promises for any sequence of calls, and whom it blames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_upload.core.limits.adaptive import AdaptiveLimit
from bulk_upload.core.limits.controller import LearnedLimits
from bulk_upload.core.limits.signal import FAILED, NEUTRAL, Signal, SignalKind
from bulk_upload.core.model import RateLimitInfo

if TYPE_CHECKING:
    from bulk_upload.core.limits.controller import Ticket

ACCEPTED = Signal(kind=SignalKind.ACCEPTED, file_bytes=1000)


def accept(controller: AdaptiveLimit, now: float, seconds: float = 0.1) -> float:
    """Let one upload go by; return when."""
    ticket = controller.on_start(now)
    controller.on_end(now + seconds, ticket, ACCEPTED)
    return now + seconds


def refuse(controller: AdaptiveLimit, now: float, ticket: Ticket, wait_s: float | None = None) -> None:
    """Answer 429."""
    controller.on_end(now, ticket, Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=wait_s, jitter=0.5))


def test_eight_refusals_of_one_burst_are_one_decision() -> None:
    """The limit becomes the number still in flight; refusals of what had started before change no more than that."""
    controller = AdaptiveLimit(learned=LearnedLimits(limit=64))
    accept(controller, 0.0)
    tickets = [controller.on_start(1.0) for _ in range(32)]
    for number, ticket in enumerate(tickets[24:]):
        refuse(controller, 1.05 + number / 1000, ticket)
    assert controller.limit == 24
    assert controller.rate_per_s is None
    assert "refused beyond" in controller.explain() or "no more of the burst" in controller.explain()


def test_refusals_far_apart_are_nobodys_verdict() -> None:
    """Below the alarm nothing is cut, paced or held: one refusal of forty, time and again."""
    controller, now = AdaptiveLimit(), 0.0
    for number in range(800):
        now += max(0.01, controller.next_delay(now))
        ticket = controller.on_start(now)
        if number % 40 == 39:
            refuse(controller, now + 0.05, ticket)
        else:
            controller.on_end(now + 0.05, ticket, ACCEPTED)
        assert controller.limit == 8
        assert controller.rate_per_s is None
        assert controller.pause_s(now + 0.05) == 0.0


def test_refused_when_alone_it_is_the_rate() -> None:
    """A limit of simultaneous requests cannot refuse the only one: starts are paced, slots stay."""
    controller = AdaptiveLimit()
    now = 0.0
    for _ in range(200):
        now = accept(controller, now)
    for _ in range(3):
        now += 0.1 + controller.next_delay(now)
        refuse(controller, now + 0.01, controller.on_start(now))
    assert controller.limit == 8
    assert controller.rate_per_s == pytest.approx(9, rel=0.4)
    assert controller.learned is not None
    assert controller.learned.rate_per_s is None


def test_nothing_starts_before_retry_after_has_passed() -> None:
    """Seven seconds for everybody, at most 5 % more, and a shorter wait heard later does not shorten them."""
    controller = AdaptiveLimit()
    first, second = controller.on_start(0.0), controller.on_start(0.0)
    refuse(controller, 1.0, first, 7.0)
    refuse(controller, 2.0, second, 1.0)
    assert controller.next_delay(7.99) > 0
    assert controller.pause_s(7.99) > 0
    assert controller.next_delay(1.0 + 7.36) == 0.0


def test_a_pacing_rate_is_no_pause() -> None:
    """What the person sees as a pause is what the server asked for."""
    controller = AdaptiveLimit(learned=LearnedLimits(limit=8, rate_per_s=1.0))
    now = 0.0
    for _ in range(20):
        now = accept(controller, now, 1.0)
    for ticket in [controller.on_start(now) for _ in range(12)]:
        refuse(controller, now + 0.05, ticket)
    now += 30.0
    while controller.next_delay(now) == 0.0:
        controller.on_end(now, controller.on_start(now), ACCEPTED)
    assert controller.rate_per_s == pytest.approx(0.85, rel=0.2)
    assert controller.next_delay(now) > 0.5
    assert controller.pause_s(now) == 0.0


def test_an_allowance_that_is_used_up_stops_everybody() -> None:
    """With nothing remaining the next start waits for the reset, and the reason says so."""
    controller = AdaptiveLimit()
    ticket = controller.on_start(0.0)
    used_up = Signal(kind=SignalKind.ACCEPTED, file_bytes=10, allowance=RateLimitInfo(0, 12.0))
    controller.on_end(1.0, ticket, used_up)
    assert controller.next_delay(1.0) == 12.0
    assert "quota" in controller.explain()
    assert (controller.limit, controller.rate_per_s) == (8, None)


def test_an_outage_ends_with_the_slots_of_before() -> None:
    """After three bad round trips one probe at a time goes out; its success lets the others come back."""
    controller = AdaptiveLimit()
    now = accept(controller, 0.0)
    for _ in range(3):
        now += controller.next_delay(now) + 0.01
        controller.on_end(now + 0.05, controller.on_start(now), FAILED)
        now += 0.05
    now += controller.next_delay(now)
    probe = controller.on_start(now)
    assert probe.probe
    assert controller.next_delay(now) > 0
    controller.on_end(now + 0.1, probe, ACCEPTED)
    assert controller.limit == 8
    assert controller.next_delay(now + 0.1) < 1.1
    assert "the server is back after" in controller.explain()


def test_held_epochs_and_paced_ones_move_nothing() -> None:
    """With our own cap or too little work the limit stays where it is."""
    for held in (True, False):
        controller = AdaptiveLimit()
        now = 0.0
        while now < 60.0:
            if held:
                controller.on_held(now)
            tickets = [controller.on_start(now) for _ in range(8 if held else 3)]
            for ticket in tickets:
                controller.on_end(now + 0.1, ticket, ACCEPTED)
            now += 0.1
            controller.tick(now)
        assert controller.limit == 8


def test_without_completions_nothing_grows() -> None:
    """Bytes in motion alone do not make a limit grow while nothing is answered at all."""
    controller = AdaptiveLimit()
    for _ in range(8):
        controller.on_start(0.0)
    for tick in range(240):
        controller.tick(tick / 4)
    assert controller.limit == 8


def test_a_warm_start_begins_near_what_was_good() -> None:
    """Half of the remembered limit, never fewer than a cold start. The remembered rate counts once something is
    refused."""
    controller = AdaptiveLimit(learned=LearnedLimits(limit=100, rate_per_s=20.0))
    assert controller.limit == 50
    assert controller.rate_per_s is None
    now = 0.0
    for _ in range(20):
        now = accept(controller, now)
    for ticket in [controller.on_start(now) for _ in range(12)]:
        refuse(controller, now + 0.05, ticket)
    assert controller.rate_per_s == pytest.approx(0.85 * 20.0, rel=0.2)
    assert AdaptiveLimit(learned=LearnedLimits(limit=2)).limit == 8
    assert AdaptiveLimit(limit_max=5, learned=LearnedLimits(limit=100)).limit == 5


def test_a_ruined_rate_slows_nothing_down() -> None:
    """A ledger that remembers a rate of one start in ten seconds: nothing waits for it."""
    controller, now = AdaptiveLimit(learned=LearnedLimits(limit=8, rate_per_s=0.1)), 0.0
    for _ in range(100):
        now = accept(controller, now, 0.05)
        assert controller.next_delay(now) < 0.1


STEPS = st.tuples(
    st.sampled_from(["start", *(kind.value for kind in SignalKind), "bytes", "held", "tick"]),
    st.floats(0, 20) | st.just(0.0) | st.floats(0, 0.2),
    st.integers(0, 10**6),
    st.none() | st.floats(0, 1e20),
)


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=150), st.integers(1, 300))
def test_any_sequence_of_calls(steps: list[tuple[str, float, int, float | None]], limit_max: int) -> None:
    """The limit stays in bounds, no pause is shortened, one probe at most is out, every delay is finite."""
    controller = AdaptiveLimit(limit_max=limit_max)
    out: list[Ticket] = []
    now = until = 0.0
    for what, after_s, number, wait_s in steps:
        now += after_s
        if what == "start":
            if len(out) < controller.limit and controller.next_delay(now) == 0.0:
                assert now >= until - 1e-6 or controller.chance_share is not None
                out.append(controller.on_start(now))
        elif what == "bytes":
            controller.on_bytes(now, number - 1000)
        elif what == "held":
            controller.on_held(now)
        elif what == "tick":
            controller.tick(now)
        elif out:
            ticket = out.pop(number % len(out))
            allowed = (
                RateLimitInfo(number % 5, min(3600.0, wait_s)) if wait_s is not None and number % 2 else None
            )
            signal = Signal(kind=SignalKind(what), file_bytes=number, allowance=allowed)
            if signal.is_refusal:
                jitter = (number % 100) / 100
                signal = msgspec.structs.replace(signal, retry_after_s=wait_s, jitter=jitter)
                until = max(until, now + min(wait_s or 0.0, 86_400.0))
            controller.on_end(now, ticket, signal)
        assert 1 <= controller.limit <= limit_max
        assert controller.learned is None or 1 <= controller.learned.limit <= limit_max
        assert sum(ticket.probe for ticket in out) <= 1
        delay_s = controller.next_delay(now)
        assert math.isfinite(delay_s)
        assert 0.0 <= delay_s <= 86_400 * 1.05 + 1
        assert controller.explain()
    # With work left and nothing in flight, asking again after each delay leads to a start.
    for ticket in out:
        controller.on_end(now, ticket, NEUTRAL)
    for _ in range(10):
        delay_s = controller.next_delay(now)
        if delay_s == 0.0:
            break
        now += delay_s
    assert controller.next_delay(now) < 1e-3


def test_what_runs_out_in_a_named_wait_lowers_no_ceiling() -> None:
    """A late refusal of a burst says nothing of those that were accepted and have ended meanwhile."""
    limits = []
    for late_s in (0.01, 0.5):
        controller = AdaptiveLimit()
        tickets = [controller.on_start(0.0) for _ in range(8)]
        refused = Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=5.0)
        accepted = Signal(kind=SignalKind.ACCEPTED, file_bytes=1)
        controller.on_end(0.2, tickets[0], accepted)
        for ticket in tickets[1:5]:
            controller.on_end(0.2, ticket, refused)
        controller.on_end(0.2 + late_s, tickets[5], accepted)
        before = controller.limit
        controller.on_end(0.2 + late_s, tickets[6], refused)
        limits.append((before, controller.limit))
    (before, after), (late_before, late_after) = limits
    assert after < before
    assert late_after == late_before
