"""The in-flight limit that a person sets by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.controller import Controller, FixedLimit, Ticket

ENDINGS = ("success", "reject", "reject without quota", "failure", "cancel")


def end(controller: Controller, now: float, ticket: Ticket, how: str) -> None:
    """Give a ticket back in one of the four ways."""
    if how == "success":
        controller.on_success(now, ticket, 1)
    elif how == "failure":
        controller.on_failure(now, ticket)
    elif how == "cancel":
        controller.on_cancel(now, ticket)
    else:
        quota = how == "reject"
        controller.on_reject(now, ticket, retry_after_s=None, quota=quota, jitter=0.0)


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


@given(st.lists(st.tuples(st.sampled_from(["start", *ENDINGS]), st.integers(0, 100)), max_size=100))
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
            end(controller, now, open_tickets.pop(which % len(open_tickets)), what)
        controller.on_bytes(now, which)
        controller.tick(now)
        assert controller.limit == 4
    assert len(numbers) == sum(what == "start" for what, _ in steps)
    while open_tickets:
        end(controller, now, open_tickets.pop(), "cancel")
    assert controller.on_start(now).level == 1


def test_a_pause_is_for_everybody() -> None:
    """One throttled answer that names a wait delays every start, for that long."""
    controller = FixedLimit(4)
    controller.on_start(0.0)
    ticket = controller.on_start(0.0)
    assert controller.next_delay(1.0) == 0.0
    controller.on_reject(1.0, ticket, retry_after_s=10.0, quota=True, jitter=0.0)
    assert controller.next_delay(1.0) == 10.0
    assert controller.next_delay(11.0) == 0.0


@pytest.mark.parametrize(
    ("quota", "retry_after_s", "delay_s"), [(True, None, 0.5), (False, 10.0, 10.0), (False, None, 0.0)]
)
def test_which_refusals_pause(quota: bool, retry_after_s: float | None, delay_s: float) -> None:
    """A 429 always pauses the run, a 503 only when it names a wait."""
    controller = FixedLimit(4)
    ticket = controller.on_start(0.0)
    controller.on_reject(1.0, ticket, retry_after_s=retry_after_s, quota=quota, jitter=0.0)
    assert controller.next_delay(1.0) == delay_s


def test_success_resets_the_pause() -> None:
    """After an accepted file the next unnamed pause is a short one again."""
    controller = FixedLimit(4)
    for now in (10.0, 20.0, 30.0):
        ticket = controller.on_start(now)
        controller.on_reject(now + 1, ticket, retry_after_s=None, quota=True, jitter=0.0)
    assert controller.next_delay(31.0) == 2.0
    controller.on_success(40.0, controller.on_start(39.0), 1)
    controller.on_reject(51.0, controller.on_start(50.0), retry_after_s=None, quota=True, jitter=0.0)
    assert controller.next_delay(51.0) == 0.5
