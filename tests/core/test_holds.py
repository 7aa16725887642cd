"""What held a run back, and for how long."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_upload.core.limits.bottleneck import Hold, HoldAccount, Standstill, held_by

FREE = Standstill(
    paused=False,
    server_pause_s=0.0,
    bandwidth_bound=False,
    rate_wait_s=0.0,
    pacing_wait_s=0.0,
    waiting=True,
    in_flight=3,
    unrecorded=0,
    limit=8,
    unrecorded_max=32,
)
FULL = replace(FREE, in_flight=8)


@pytest.mark.parametrize(
    ("now", "hold"),
    [
        (FREE, None),
        (replace(FREE, waiting=False, rate_wait_s=1.0), None),
        (FULL, Hold.IN_FLIGHT),
        (replace(FULL, waiting=False), Hold.IN_FLIGHT),
        (replace(FULL, bandwidth_bound=True), Hold.BANDWIDTH),
        (replace(FREE, bandwidth_bound=True, waiting=False), Hold.BANDWIDTH),
        (replace(FREE, rate_wait_s=0.1), Hold.RATE),
        (replace(FREE, pacing_wait_s=0.1), Hold.PACING),
        (replace(FULL, rate_wait_s=0.1), Hold.IN_FLIGHT),
        (replace(FULL, unrecorded=32, in_flight=0), Hold.LEDGER),
        (replace(FULL, server_pause_s=3.0, pacing_wait_s=3.0), Hold.SERVER),
        (replace(FULL, server_pause_s=3.0, paused=True), Hold.PERSON),
        (replace(FREE, paused=True, waiting=False), None),
    ],
)
def test_the_outermost_hold_is_named(now: Standstill, hold: Hold | None) -> None:
    """A cap on bytes fills the slots, a pause empties them: what is behind it is named."""
    assert held_by(now) is hold


def test_every_hold_has_words() -> None:
    """Each can be told to a person."""
    assert all(hold.words for hold in Hold)


@given(notes=st.lists(st.tuples(st.floats(0, 100), st.sampled_from([None, *Hold])), max_size=50))
def test_the_account_adds_up(notes: list[tuple[float, Hold | None]]) -> None:
    """Every second goes to what held the run back then, and to nothing twice."""
    account = HoldAccount(5.0)
    now = 5.0
    expected: dict[Hold, float] = {}
    for passed_s, hold in notes:
        now += passed_s
        account.note(now, hold)
        if hold is not None:
            expected[hold] = expected.get(hold, 0.0) + passed_s
    assert account.held_s == pytest.approx(expected)
    assert sum(account.held_s.values()) <= now - 5.0 + 1e-6
