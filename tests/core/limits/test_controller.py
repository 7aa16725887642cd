"""The in-flight limit that a person sets by hand."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.controller import Ticket
from bulk_upload.core.limits.fixed import FixedLimit
from bulk_upload.core.limits.signal import NEUTRAL, Signal, SignalKind

ENDS = {kind.value: Signal(kind=kind) for kind in SignalKind}
ACCEPTED = Signal(kind=SignalKind.ACCEPTED, file_bytes=1)
OVER_QUOTA = Signal(kind=SignalKind.OVER_QUOTA)


@pytest.mark.parametrize("limit", [0, -1])
def test_limit_is_positive(limit: int) -> None:
    """A limit that lets nothing start is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        FixedLimit(limit)


def test_explains_itself() -> None:
    """The limit says that a person asked for it."""
    controller = FixedLimit(8)
    assert controller.limit == 8
    assert controller.explain() == "8 in flight, as set"


@given(st.lists(st.tuples(st.sampled_from(["start", *ENDS]), st.integers(0, 100)), max_size=100))
def test_slots_balance(steps: list[tuple[str, int]]) -> None:
    """In any order of starts and ends, a ticket's level is the number of requests that are in flight."""
    controller = FixedLimit(4)
    open_tickets: list[Ticket] = []
    numbers = set()
    now = 0.0
    for what, which in steps:
        now += 1.0
        if what == "start":
            ticket = controller.on_start(now)
            open_tickets.append(ticket)
            assert ticket.level == len(open_tickets)
            assert ticket.started_at == now
            numbers.add(ticket.number)
        elif open_tickets:
            controller.on_end(now, open_tickets.pop(which % len(open_tickets)), ENDS[what])
        controller.on_bytes(now, which)
        controller.tick(now)
        assert controller.limit == 4
    assert len(numbers) == sum(what == "start" for what, _ in steps)
    while open_tickets:
        controller.on_end(now, open_tickets.pop(), NEUTRAL)
    assert controller.on_start(now).level == 1


def test_a_pause_is_for_everybody() -> None:
    """One throttled answer that names a wait delays every start, for that long."""
    controller = FixedLimit(4)
    controller.on_start(0.0)
    ticket = controller.on_start(0.0)
    assert controller.next_delay(1.0) == 0.0
    controller.on_end(1.0, ticket, Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=10.0))
    assert controller.next_delay(1.0) == 10.0
    assert controller.next_delay(11.0) == 0.0


@pytest.mark.parametrize(
    ("kind", "retry_after_s", "delay_s"),
    [
        (SignalKind.OVER_QUOTA, 10.0, 10.0),
        (SignalKind.OVER_QUOTA, None, 0.0),
        (SignalKind.BUSY, 10.0, 10.0),
        (SignalKind.BUSY, None, 0.0),
        (SignalKind.FAILED, None, 0.0),
    ],
)
def test_which_single_ends_pause(kind: SignalKind, retry_after_s: float | None, delay_s: float) -> None:
    """One refusal pauses the run only when it names a wait: without one the refused file waits alone."""
    controller = FixedLimit(4)
    ticket = controller.on_start(0.0)
    controller.on_end(1.0, ticket, Signal(kind=kind, retry_after_s=retry_after_s))
    assert controller.next_delay(1.0) == delay_s


def test_refusals_that_persist_pause_everybody_longer_each_time() -> None:
    """Nothing but 429: all wait, twice as long each time."""
    controller, now, waits = FixedLimit(4), 0.0, []
    for _ in range(8):
        now += 1.0
        controller.on_end(now + 0.5, controller.on_start(now), OVER_QUOTA)
        now += 0.5 + (wait_s := controller.next_delay(now + 0.5))
        waits.append(wait_s)
    paused = [one for one in waits if one]
    assert paused[:4] == [0.5, 1.0, 2.0, 4.0]
    assert waits == [*[0.0] * (8 - len(paused)), *paused]
    assert len(paused) >= 4


def test_success_ends_what_persisted() -> None:
    """After an accepted file a single refusal is the file's own again, and the next pause a short one."""
    controller, now = FixedLimit(4), 0.0
    for _ in range(8):
        now += 100.0
        controller.on_end(now, controller.on_start(now - 1), OVER_QUOTA)
    assert controller.next_delay(now) > 0.5
    now += 100.0
    controller.on_end(now, controller.on_start(now - 1), ACCEPTED)
    controller.on_end(now + 2, controller.on_start(now + 1), OVER_QUOTA)
    assert controller.next_delay(now + 2) == 0.0


@pytest.mark.parametrize("retry_after_s", [None, 1.0])
def test_refusals_by_chance_hold_nobody_up(retry_after_s: float | None) -> None:
    """One of fifty refused at random: a named wait holds all until that is seen, and then the refused file alone."""
    random = Random(1)
    refused = Signal(kind=SignalKind.OVER_QUOTA, retry_after_s=retry_after_s)
    controller, now, paused_s, open_tickets = FixedLimit(8), 0.0, 0.0, []
    for _ in range(3000):
        wait_s = controller.next_delay(now)
        paused_s += wait_s
        now += wait_s + 0.01
        open_tickets.append(controller.on_start(now))
        if len(open_tickets) == 8:
            ticket = open_tickets.pop(0)
            controller.on_end(now + 0.005, ticket, refused if random.random() < 0.02 else ACCEPTED)
    assert paused_s <= 5.0
    if retry_after_s:
        assert "refused whatever our rate" in controller.explain()
