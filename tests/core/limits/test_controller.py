"""The in-flight limit that a person sets by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.controller import FixedLimit, Ticket
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
        (SignalKind.OVER_QUOTA, None, 0.5),
        (SignalKind.BUSY, 10.0, 10.0),
        (SignalKind.BUSY, None, 0.0),
        (SignalKind.FAILED, None, 0.0),
    ],
)
def test_which_ends_pause(kind: SignalKind, retry_after_s: float | None, delay_s: float) -> None:
    """A 429 always pauses the run, a 503 only when it names a wait."""
    controller = FixedLimit(4)
    ticket = controller.on_start(0.0)
    controller.on_end(1.0, ticket, Signal(kind=kind, retry_after_s=retry_after_s))
    assert controller.next_delay(1.0) == delay_s


def test_success_resets_the_pause() -> None:
    """After an accepted file the next unnamed pause is a short one again."""
    controller = FixedLimit(4)
    for now in (10.0, 20.0, 30.0):
        ticket = controller.on_start(now)
        controller.on_end(now + 1, ticket, OVER_QUOTA)
    assert controller.next_delay(31.0) == 2.0
    controller.on_end(40.0, controller.on_start(39.0), ACCEPTED)
    controller.on_end(51.0, controller.on_start(50.0), OVER_QUOTA)
    assert controller.next_delay(51.0) == 0.5
