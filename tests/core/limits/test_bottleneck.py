"""What held a run back, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bulk_upload.core.limits.bottleneck import Bottleneck, BottleneckTimes, LimiterState, held_by

FREE = LimiterState(
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
    ("now", "bottleneck"),
    [
        (FREE, None),
        (replace(FREE, waiting=False, rate_wait_s=1.0), None),
        (FULL, Bottleneck.IN_FLIGHT),
        (replace(FULL, waiting=False), Bottleneck.IN_FLIGHT),
        (replace(FULL, bandwidth_bound=True), Bottleneck.BANDWIDTH),
        (replace(FREE, bandwidth_bound=True, waiting=False), Bottleneck.BANDWIDTH),
        (replace(FREE, rate_wait_s=0.1), Bottleneck.RATE),
        (replace(FREE, pacing_wait_s=0.1), Bottleneck.PACING),
        (replace(FULL, rate_wait_s=0.1), Bottleneck.IN_FLIGHT),
        (replace(FULL, unrecorded=32, in_flight=0), Bottleneck.LEDGER),
        (replace(FULL, server_pause_s=3.0, pacing_wait_s=3.0), Bottleneck.SERVER),
        (replace(FULL, server_pause_s=3.0, paused=True), Bottleneck.PERSON),
        (replace(FREE, paused=True, waiting=False), None),
    ],
)
def test_the_outermost_hold_is_named(now: LimiterState, bottleneck: Bottleneck | None) -> None:
    """A cap on bytes fills the slots, a pause empties them: what is behind it is named."""
    assert held_by(now) is bottleneck


def test_every_hold_has_words() -> None:
    """Each can be told to a person."""
    assert all(bottleneck.words for bottleneck in Bottleneck)


@given(notes=st.lists(st.tuples(st.floats(0, 100), st.sampled_from([None, *Bottleneck])), max_size=50))
def test_the_account_adds_up(notes: list[tuple[float, Bottleneck | None]]) -> None:
    """Every second goes to what held the run back then, and to nothing twice."""
    account = BottleneckTimes(5.0)
    now = 5.0
    expected: dict[Bottleneck, float] = {}
    for passed_s, bottleneck in notes:
        now += passed_s
        account.note(now, bottleneck)
        if bottleneck is not None:
            expected[bottleneck] = expected.get(bottleneck, 0.0) + passed_s
    assert account.held_s == pytest.approx(expected)
    assert sum(account.held_s.values()) <= now - 5.0 + 1e-6
